//! What `bartizan doctor` finds in the installation that this program belongs to: every file's owner and mode, with the one
//! line that mends it. It looks only, and also while no service runs; the broker checks the same by itself at each start.

use bartizan_proto::bounded::Text;
use bartizan_proto::control::{Check, CheckVerdict};
use bartizan_proto::installation::Installation;
use std::fs::{Metadata, symlink_metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// What must be.
struct Rule<'a> {
    path: &'a Path,
    kind: Kind,
    /// Nobody's in particular where it is `None`.
    owner: Option<u32>,
    /// Permission bits; the first is what `make install` gives.
    modes: &'a [u32],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
}

/// Where the program that runs is installed, if it is.
pub fn own() -> Option<Installation> {
    Installation::of_program(&std::fs::read_link("/proc/self/exe").ok()?)
}

/// One line for each part.
pub fn check(found: &Installation) -> Vec<Check> {
    let broker = found.programs.join("bartizan-broker");
    let mut checks = Vec::new();

    // 1. The setuid program: what its owner is, everything below depends on.
    let (service, group) = match symlink_metadata(&broker) {
        Ok(metadata) => (metadata.uid(), metadata.gid()),
        Err(error) => return vec![unseen(&broker, &error, "install it with `make install`")],
    };
    let own = check_rule(&Rule { path: &broker, kind: Kind::File, owner: None, modes: &[0o4750] });
    checks.push(worse(own, setuid_program(&broker, service, group)));

    // 2. The others.
    let others = ["bartizan-launcher", "bartizan-egress", "bartizan-connector", "bartizan-worker"];
    for name in others {
        let path = found.programs.join(name);
        checks.push(check_rule(&Rule { path: &path, kind: Kind::File, owner: Some(0), modes: &[0o711, 0o755] }));
    }
    for name in ["bartizan", "bartizan-remote", "bartizan-driver", "bz"] {
        let path = found.programs.join(name);
        checks.push(check_rule(&Rule { path: &path, kind: Kind::File, owner: Some(0), modes: &[0o755] }));
    }

    // 3. The configuration, its keys, the state, the directories of the control sockets.
    let Some((config, var)) = found.config.parent().zip(found.control.parent()) else { return checks };
    let (allowlist, keys, token) = (config.join("allowlist.toml"), config.join("keys"), config.join("keys/token"));
    let state = var.join("state");
    let rule = |path, kind, owner, modes| check_rule(&Rule { path, kind, owner: Some(owner), modes });
    let readable: &[u32] = &[0o644, 0o444, 0o640, 0o440, 0o600, 0o400];
    checks.push(rule(&found.config, Kind::File, 0, readable));
    checks.push(rule(&allowlist, Kind::File, 0, readable));
    checks.push(rule(&keys, Kind::Directory, service, &[0o700, 0o500]));
    checks.push(rule(&token, Kind::File, service, &[0o400, 0o600]));
    checks.push(rule(&state, Kind::Directory, service, &[0o700]));
    let control = rule(&found.control, Kind::Directory, service, &[0o2710, 0o700]);
    checks.push(worse(control, group_directory(&found.control, group, "OPERATORS")));
    let read = rule(&found.read, Kind::Directory, service, &[0o2710, 0o700]);
    checks.push(worse(read, group_directory(&found.read, group, "READERS")));

    // 4. Every folder above any of them.
    checks.extend([&*found.programs, config, var].into_iter().filter_map(folders_above));
    checks
}

fn setuid_program(path: &Path, service: u32, group: u32) -> Option<String> {
    let shown = path.display();
    if service == 0 {
        return Some(format!(
            "belongs to root, and nothing in Bartizan runs as root: chown bartizan {shown} && chmod 4750 {shown}"
        ));
    }
    if group == 0 {
        return Some(format!("has root's group: chgrp GROUP-OF-THE-SERVICE-USER {shown} && chmod 4750 {shown}"));
    }
    if symlink_metadata(path).is_ok_and(|metadata| metadata.nlink() != 1) {
        return Some(format!("has a second name (a hard link): find it with find / -samefile {shown}, and remove it"));
    }
    let mount = rustix::fs::statvfs(path).ok()?;
    mount
        .f_flag
        .contains(rustix::fs::StatVfsMountFlags::NOSUID)
        .then(|| format!("{shown}: its file system is mounted nosuid; mount it suid, or install elsewhere"))
}

/// The operators' and the readers' group must be a group of other people than the one that starts the service.
fn group_directory(path: &Path, service_group: u32, whose: &str) -> Option<String> {
    let metadata = symlink_metadata(path).ok()?;
    let shared = metadata.mode() & 0o070 != 0 && (metadata.gid() == service_group || metadata.gid() == 0);
    shared.then(|| {
        let shown = path.display();
        format!("has the group of root or of the service's user: chgrp GROUP-OF-{whose} {shown} && chmod 2710 {shown}")
    })
}

fn check_rule(rule: &Rule<'_>) -> Check {
    let Rule { path, kind, owner, modes } = rule;
    let metadata = match symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return unseen(path, &error, "install it again with `make install`"),
    };
    let shown = path.display();
    let mode = metadata.mode() & 0o7777;
    let right = modes.first().copied().unwrap_or_default();
    if !is_kind(&metadata, *kind) {
        let what = if *kind == Kind::File { "a regular file" } else { "a directory" };
        return failed(path, format!("is not {what}: remove it and run `make install` again"));
    }
    match owner {
        Some(owner) if metadata.uid() != *owner => failed(
            path,
            format!("belongs to uid {}: chown {owner} {shown} && chmod {right:04o} {shown}", metadata.uid()),
        ),
        _ if !modes.contains(&mode) => failed(path, format!("has mode {mode:04o}: chmod {right:04o} {shown}")),
        Some(_) | None => {
            let detail = format!("uid {}, gid {}, mode {mode:04o}", metadata.uid(), metadata.gid());
            check_of(path, CheckVerdict::Ok, detail)
        }
    }
}

fn is_kind(metadata: &Metadata, kind: Kind) -> bool {
    let file_type = metadata.file_type();
    match kind {
        Kind::File => file_type.is_file() && !file_type.is_fifo(),
        Kind::Directory => file_type.is_dir(),
    }
}

/// The first folder above, or `path` itself, in which somebody else than root could exchange something.
fn folders_above(path: &Path) -> Option<Check> {
    path.ancestors().find_map(|folder| {
        let metadata = symlink_metadata(folder).ok()?;
        let mode = metadata.mode() & 0o7777;
        let shown = folder.display();
        if metadata.uid() != 0 {
            return Some(failed(folder, format!("belongs to uid {}: chown root {shown}", metadata.uid())));
        }
        // In a sticky one only an entry's owner can exchange it.
        let open = mode & 0o022 != 0 && mode & 0o1000 == 0 && !metadata.is_symlink();
        open.then(|| failed(folder, format!("can be written by others (mode {mode:04o}): chmod go-w {shown}")))
    })
}

fn worse(check: Check, fault: Option<String>) -> Check {
    match fault {
        Some(fault) if check.verdict != CheckVerdict::Fail => {
            Check { verdict: CheckVerdict::Fail, detail: Text::cut(fault), ..check }
        }
        Some(_) | None => check,
    }
}

fn unseen(path: &Path, error: &std::io::Error, remedy: &str) -> Check {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            check_of(path, CheckVerdict::Warn, "this user cannot see it: run `bartizan doctor` as root".to_owned())
        }
        _ => failed(path, format!("{error}: {remedy}")),
    }
}

fn failed(path: &Path, detail: String) -> Check {
    check_of(path, CheckVerdict::Fail, detail)
}

fn check_of(path: &Path, verdict: CheckVerdict, detail: String) -> Check {
    Check { what: Text::cut(path.to_string_lossy()), verdict, detail: Text::cut(detail) }
}
