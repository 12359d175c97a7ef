//! The private root: what a script sees instead of the machine's file system.
//!
//! Built in two parts. [`Root::prepare`] needs no order: a small tmpfs with the system's programs and libraries, a few
//! devices, an `/etc` with nothing private in it, a `/proc` of the job's own processes. [`Root::finish`] adds the job's
//! scratch directory, what its profile grants, and the script; then it becomes the root, and the machine's is gone.
//!
//! Trees are cloned, given their attributes, and only then attached (`open_tree`, `mount_setattr`, `move_mount`), so that
//! nothing is ever visible with more rights than it should have. What is not a system directory and not granted for it
//! cannot be executed.

use crate::confine::{names, tools, walk};
use crate::order::{Job, copy_all};
use crate::system::{self, Attributes};
use bartizan_proto::Text;
use bartizan_proto::limits::MAX_PATH;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The job's own directory: its HOME, TMPDIR and working directory; `/tmp` leads here too.
pub(crate) const SCRATCH: &str = "/scratch";

/// Places that are the job's own and cannot be covered by the machine's: the root, its processes, devices, and scratch by all
/// of its names.
pub(crate) const OWN: [&str; 7] = ["/", "/proc", "/dev", "/dev/shm", "/tmp", SCRATCH, TOOLS];

/// `bz`, and the libraries that speak its protocol.
pub(crate) const TOOLS: &str = "/bartizan";

/// Programs and libraries. On a merged-usr system all but the first are links into it.
pub(crate) const SYSTEM: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// What of `/etc` is the machine's own: how programs find one another.
pub(crate) const ETC: [&str; 2] = ["/etc/ld.so.cache", "/etc/alternatives"];

/// What of `/etc` a job with a network grant gets besides: certificates and port names. Names of hosts come from its own
/// `/etc/hosts`.
pub(crate) const ETC_NETWORK: [&str; 6] =
    ["/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/crypto-policies", "/etc/services", "/etc/protocols"];

/// The devices that every program expects.
pub(crate) const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Links that programs expect: name, target. Targets are relative, so that they mean the same while the root is built.
const LINKS: [(&str, &str); 8] = [
    ("tmp", "scratch"),
    ("etc/os-release", "../usr/lib/os-release"),
    ("etc/mtab", "../proc/self/mounts"),
    ("dev/fd", "../proc/self/fd"),
    ("dev/stdin", "../proc/self/fd/0"),
    ("dev/stdout", "../proc/self/fd/1"),
    ("dev/stderr", "../proc/self/fd/2"),
    ("dev/shm", "../scratch"),
];

/// Most that the root itself may hold: its directories, its few generated files, and a sealed or swapped script.
const ROOT_SIZE: &str = "32m";

/// Why there is no private root.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub(crate) struct RootError {
    what: String,
    source: io::Error,
}

/// Names the thing that failed.
fn failed<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> RootError {
    move |error| RootError { what: what.into(), source: error.into() }
}

/// A root that is not entered yet.
#[derive(Debug)]
pub(crate) struct Root {
    /// The top of the tmpfs, through its mount.
    top: OwnedFd,
}

impl Root {
    /// Everything that needs no order.
    pub(crate) fn prepare() -> Result<Self, RootError> {
        // 1. Nothing that happens to the machine's mounts from now on reaches this namespace, nor the other way.
        rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
            .map_err(failed("separate the mounts"))?;

        // 2. An empty file system on top of the old root; paths of this process still mean the old one.
        let top = file_system("tmpfs", &[("size", ROOT_SIZE), ("mode", "0755")], Attributes::PLAIN.no_programs())?;
        attach(&top, rustix::fs::CWD, "/").map_err(failed("attach the root"))?;
        let root = Self { top };

        // 3. Directories, links, and the generated part of /etc.
        for directory in ["usr", "etc", "dev", "proc", "scratch"] {
            rustix::fs::mkdirat(&root.top, directory, Mode::from_raw_mode(0o755)).map_err(failed(directory))?;
        }
        for (name, target) in LINKS {
            rustix::fs::symlinkat(target, &root.top, name).map_err(failed(name))?;
        }
        root.file("etc/group", names::group().as_bytes())?;
        root.file("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files\nservices: files\n")?;

        // 4. Programs, libraries, and how they are found: read-only.
        for path in SYSTEM {
            root.system_directory(Path::new(path))?;
        }
        for path in ETC {
            root.bind_if_there(Path::new(path), Attributes::PLAIN.read_only().no_programs())?;
        }

        // 5. What belongs to the script API.
        rustix::fs::mkdirat(&root.top, "bartizan", Mode::from_raw_mode(0o755)).map_err(failed(TOOLS))?;
        for (name, content) in tools::LIBRARIES {
            root.file(&format!("bartizan/{name}"), content.as_bytes())?;
        }
        if let Some(bz) = tools::program() {
            let tree = open_path(&bz).and_then(clone_of).map_err(failed(bz.display().to_string()))?;
            system::set_attributes(&tree, Attributes::PLAIN.read_only().programs()).map_err(failed("bz"))?;
            let target = root.target(&Path::new(TOOLS).join(tools::PROGRAM), false)?;
            attach(&tree, &target, "").map_err(failed("bz"))?;
        }

        // 6. Devices.
        for path in DEVICES {
            root.bind_if_there(Path::new(path), Attributes::PLAIN.read_only().no_programs().devices())?;
        }

        // 7. The processes of this PID namespace.
        let proc = file_system("proc", &[], Attributes::PLAIN.read_only().no_programs())?;
        attach(&proc, &root.top, "proc").map_err(failed("attach /proc"))?;
        Ok(root)
    }

    /// Adds what the order names, and enters it.
    pub(crate) fn finish(self, job: &Job) -> Result<(), RootError> {
        // 1. Scratch: all that can be written, of limited size, nothing in it executable.
        let size = job.order.profile.limits.scratch.to_string();
        let scratch = file_system(
            "tmpfs",
            &[("size", &size), ("mode", "0700"), ("nr_inodes", "16384")],
            Attributes::PLAIN.no_programs(),
        )?;
        attach(&scratch, &self.top, "scratch").map_err(failed("attach the scratch directory"))?;

        // 2. With a network grant: certificates, and the granted hosts by name.
        if job.network() {
            for path in ETC_NETWORK {
                self.bind_if_there(Path::new(path), Attributes::PLAIN.read_only().no_programs())?;
            }
        }
        self.file("etc/hosts", names::hosts(job).as_bytes())?;
        self.file("etc/passwd", names::passwd(job).as_bytes())?;

        // 3. Grants and the script's directory, outer paths before inner ones.
        let script = ScriptHere::find(job).map_err(failed("the script"))?;
        for (path, attributes) in trees(job, &script) {
            self.bind(&path, attributes)?;
        }

        // 4. Over its own path the script that was opened.
        self.script(job, script)?;

        // 5. The root itself becomes read-only, and the only one.
        system::set_attributes_of_one(&self.top, Attributes::PLAIN.read_only().no_programs())
            .map_err(failed("make the root read-only"))?;
        rustix::process::fchdir(&self.top).map_err(failed("enter the root"))?;
        rustix::process::pivot_root(".", ".").map_err(failed("pivot_root"))?;
        rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(failed("leave the old root"))?;
        rustix::process::chdir(SCRATCH).map_err(failed("enter the scratch directory"))
    }

    /// A directory of programs; where the system has a link instead, the same link.
    fn system_directory(&self, path: &Path) -> Result<(), RootError> {
        let shown = path.display().to_string();
        match std::fs::read_link(path) {
            Ok(target) if target.is_relative() => {
                let name = path.strip_prefix("/").unwrap_or(path);
                rustix::fs::symlinkat(&target, &self.top, name).map_err(failed(shown))
            }
            Ok(_) | Err(_) => self.bind_if_there(path, Attributes::PLAIN.read_only()),
        }
    }

    /// What was checked is what runs: the file itself where it still stands at its path, else what can be read through the
    /// descriptor. (The descriptor's own mount belongs to another namespace and cannot be attached here.)
    fn script(&self, job: &Job, here: ScriptHere) -> Result<(), RootError> {
        let path = Path::new(job.order.path.as_str());
        let tree = match here {
            ScriptHere::Same(file) if !job.order.sealed => clone_of(&file),
            ScriptHere::Same(_) | ScriptHere::AnotherFile | ScriptHere::NoFile => {
                self.copy_of(&job.script).and_then(|copy| clone_of(&copy))
            }
        }
        .map_err(failed("the script"))?;
        system::set_attributes(&tree, Attributes::PLAIN.read_only().programs()).map_err(failed("the script"))?;
        let target = self.target(path, false)?;
        attach(&tree, &target, "").map_err(failed(job.order.path.as_str()))
    }

    /// A copy that nobody but the kernel can reach from now on.
    fn copy_of(&self, script: &File) -> io::Result<File> {
        let name = ".script";
        let mut copy = File::from(rustix::fs::openat(
            &self.top,
            name,
            OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC,
            Mode::from_raw_mode(0o500),
        )?);
        copy_all(script, &mut copy)?;
        // Nothing can be executed while it is open for writing.
        drop(copy);
        Ok(rustix::fs::openat(&self.top, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?.into())
    }

    /// What is at this path in the new root already.
    fn at(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let relative = path.strip_prefix("/").unwrap_or(path);
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        // Links inside, absolute ones too, are followed inside and never into the machine's own root.
        match rustix::fs::openat2(&self.top, relative, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            Err(Errno::NOSYS) => walk::within(&self.top, relative),
            other => other,
        }
    }

    /// A place to attach something at: what is there, or a new empty directory or file.
    fn target(&self, path: &Path, directory: bool) -> Result<OwnedFd, RootError> {
        let shown = || path.display().to_string();
        match self.at(path) {
            Err(Errno::NOENT) => {}
            other => return other.map_err(failed(shown())),
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(failed(shown())(Errno::INVAL));
        };
        let parent = self.target(parent, true)?;
        if directory {
            rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)).map_err(failed(shown()))?;
        } else {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o600)).map_err(failed(shown()))?;
        }
        self.at(path).map_err(failed(shown()))
    }

    /// The machine's tree at `path`, at the same place here.
    fn bind(&self, path: &Path, attributes: Attributes) -> Result<(), RootError> {
        let source = open_path(path).map_err(failed(path.display().to_string()))?;
        self.bind_opened(&source, path, attributes)
    }

    fn bind_if_there(&self, path: &Path, attributes: Attributes) -> Result<(), RootError> {
        match open_path(path) {
            Ok(source) => self.bind_opened(&source, path, attributes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(path.display().to_string())(error)),
        }
    }

    fn bind_opened(&self, source: &File, path: &Path, attributes: Attributes) -> Result<(), RootError> {
        let shown = || path.display().to_string();
        let tree = clone_of(source).map_err(failed(shown()))?;
        system::set_attributes(&tree, attributes).map_err(failed(shown()))?;
        let directory = source.metadata().map_err(failed(shown()))?.is_dir();
        let target = self.target(path, directory)?;
        attach(&tree, &target, "").map_err(failed(shown()))
    }

    /// A generated file.
    fn file(&self, name: &str, content: &[u8]) -> Result<(), RootError> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.top, name, flags, Mode::from_raw_mode(0o644)).map_err(failed(name))?;
        io::Write::write_all(&mut File::from(file), content).map_err(failed(name))
    }
}

/// What stands at the script's path now, seen from this mount namespace.
enum ScriptHere {
    /// The file that the core opened.
    Same(File),
    /// Another file.
    AnotherFile,
    /// Nothing, a link, a directory.
    NoFile,
}

impl ScriptHere {
    fn find(job: &Job) -> io::Result<Self> {
        let opened = job.script.metadata()?;
        let Ok(here) = open_unfollowed(Path::new(job.order.path.as_str())) else { return Ok(Self::NoFile) };
        Ok(match here.metadata() {
            Ok(there) if (there.dev(), there.ino()) == (opened.dev(), opened.ino()) => Self::Same(here),
            Ok(there) if there.is_file() => Self::AnotherFile,
            Ok(_) | Err(_) => Self::NoFile,
        })
    }
}

/// The machine's trees that the job sees: what its profile grants, each path once with the rights of all its mentions,
/// and the script's directory where that is not visible anyway. Outer paths first.
fn trees(job: &Job, script: &ScriptHere) -> Vec<(PathBuf, Attributes)> {
    let profile = &job.order.profile;
    let all = [&profile.read, &profile.write, &profile.exec];
    let mut paths: Vec<&Path> = all.iter().flat_map(|list| list.iter()).map(|path| Path::new(path.as_str())).collect();
    paths.extend(job.order.daemon.as_ref().map(|daemon| Path::new(daemon.folder.as_str())));
    let system = |path: &Path| SYSTEM.iter().any(|system| path.starts_with(system));
    let directory = job.directory();
    let own = OWN.iter().any(|own| Path::new(own) == directory);
    let visible = own || job.order.alone || system(directory) || paths.iter().any(|path| directory.starts_with(path));
    // In place of a script that is gone nothing can be attached where its directory is shown as it is.
    if !visible && !matches!(script, ScriptHere::NoFile) {
        paths.push(directory);
    }
    paths.sort_unstable();
    paths.dedup();
    let granted = |list: &[Text<MAX_PATH>], path: &Path| list.iter().any(|granted| Path::new(granted.as_str()) == path);
    paths
        .into_iter()
        .map(|path| {
            let attributes =
                if granted(&profile.write, path) { Attributes::PLAIN } else { Attributes::PLAIN.read_only() };
            // Inside a system directory programs stay programs.
            let runs = granted(&profile.exec, path) || system(path);
            (path.to_owned(), if runs { attributes } else { attributes.no_programs() })
        })
        .collect()
}

/// A new file system that is not attached anywhere yet.
fn file_system(kind: &str, options: &[(&str, &str)], attributes: Attributes) -> Result<OwnedFd, RootError> {
    let make = || -> Result<OwnedFd, Errno> {
        let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (name, value) in options {
            rustix::mount::fsconfig_set_string(&context, *name, *value)?;
        }
        rustix::mount::fsconfig_create(&context)?;
        let attributes = MountAttrFlags::from_bits_retain(u32::try_from(attributes.set).unwrap_or(u32::MAX));
        rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    make().map_err(failed(format!("make a {kind}")))
}

/// A private copy of the mounts at and beneath what `source` refers to.
fn clone_of<Fd: AsFd>(source: Fd) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(rustix::mount::open_tree(source, "", flags)?)
}

/// Attaches a tree; an empty name means the directory or file that `to` refers to.
fn attach<From: AsFd, To: AsFd>(tree: From, to: To, name: &str) -> io::Result<()> {
    let mut flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    if name.is_empty() {
        flags |= MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    }
    Ok(rustix::mount::move_mount(tree, "", to, name, flags)?)
}

/// A path of the machine, not opened for anything but naming it.
fn open_path(path: &Path) -> io::Result<File> {
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?.into())
}

/// The same, where a link at the end is not followed.
fn open_unfollowed(path: &Path) -> io::Result<File> {
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?.into())
}
