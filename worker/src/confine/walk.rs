//! The way to a path inside of a root that is being built, step by step: for a kernel, or a filter, without `openat2(2)`. systemd's
//! `RestrictSUIDSGID=`, which `DynamicUser=` brings with it, is such a filter: it cannot look into that call's arguments.
//!
//! As with `RESOLVE_IN_ROOT`: links are followed inside, absolute ones and `..` too, and nothing leads out.

use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// As many symbolic links as the kernel follows in one path (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// What is at `path` below `top`, to name it and for nothing else.
pub(super) fn within(top: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let open = |at: &OwnedFd, name: &OsStr| {
        openat(at.as_fd(), name, OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
    };
    // From the top to where we are: `..` goes back on it, and never beyond its beginning.
    let mut way = vec![open(top, OsStr::new("."))?];
    let mut names = names_of(path);
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        let Some(here) = way.last() else { return Err(Errno::NOENT) };
        if name == ".." {
            if way.len() > 1 {
                way.pop();
            }
            continue;
        }
        let next = open(here, &name)?;
        match readlinkat(&next, "", Vec::new()) {
            // Not a link.
            Err(Errno::NOENT | Errno::INVAL) => way.push(next),
            Err(error) => return Err(error),
            Ok(_) if links == MAX_LINKS => return Err(Errno::LOOP),
            Ok(target) => {
                links += 1;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                if target.is_absolute() {
                    way.truncate(1);
                }
                let mut rest = names_of(&target);
                rest.append(&mut names);
                names = rest;
            }
        }
    }
    way.pop().ok_or(Errno::NOENT)
}

/// The names in a path, `..` among them.
fn names_of(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{ResolveFlags, fstat, openat2};
    use std::fs::{create_dir_all, write};
    use std::os::unix::fs::symlink;

    #[test]
    fn it_comes_to_the_same_as_the_kernel_does_inside_of_a_root() {
        let place = tempfile::tempdir().expect("tempdir");
        let at = |name: &str| place.path().join(name);
        create_dir_all(at("usr/lib/deep")).expect("made");
        write(at("usr/lib/file"), "").expect("written");
        for (link, target) in [
            ("lib", "usr/lib"),
            ("absolute", "/usr/lib/file"),
            ("up", "../../../usr/lib/deep/.."),
            ("loop", "loop"),
            ("nowhere", "gone/file"),
            ("out", "/etc/passwd"),
            ("usr/back", "../lib/deep"),
        ] {
            symlink(target, at(link)).expect("linked");
        }
        let top = OwnedFd::from(std::fs::File::open(place.path()).expect("opened"));
        let number = |found: Result<OwnedFd, Errno>| found.map(|fd| fstat(&fd).expect("stat").st_ino);
        for path in [
            ".",
            "..",
            "usr",
            "lib/file",
            "absolute",
            "up/file",
            "loop",
            "nowhere",
            "out",
            "usr/back",
            "usr/back/../file",
            "../../lib",
            "usr/lib/file/more",
            "gone",
            "lib/../../usr",
        ] {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let kernel = openat2(&top, path, flags, Mode::empty(), ResolveFlags::IN_ROOT);
            assert_eq!(number(within(&top, Path::new(path))), number(kernel), "{path}");
        }
    }
}
