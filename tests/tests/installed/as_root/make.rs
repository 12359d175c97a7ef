//! `make install` and `make uninstall`.

use bartizan_tests::installed::{INVOKER, OPERATORS, Place, READERS, SERVICE};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Every file and folder that `make install` makes: mode, owner, group.
const MADE: &[(&str, u32, u32, u32)] = &[
    ("libexec/bartizan", 0o755, 0, 0),
    ("libexec/bartizan/bartizan", 0o755, 0, 0),
    ("libexec/bartizan/bartizan-broker", 0o4750, SERVICE.uid, INVOKER.gid),
    ("libexec/bartizan/bartizan-launcher", 0o711, 0, 0),
    ("libexec/bartizan/bartizan-egress", 0o711, 0, 0),
    ("libexec/bartizan/bartizan-connector", 0o711, 0, 0),
    ("libexec/bartizan/bartizan-worker", 0o711, 0, 0),
    ("libexec/bartizan/bz", 0o755, 0, 0),
    ("share/bartizan/lib/bz.sh", 0o644, 0, 0),
    ("share/bartizan/lib/bz.py", 0o644, 0, 0),
    ("lib/systemd/system/bartizan.service", 0o644, 0, 0),
    ("lib/systemd/system/bartizan.slice", 0o644, 0, 0),
    ("lib/systemd/system/bartizan-exporter.service", 0o644, 0, 0),
    ("lib/systemd/system/bartizan-audit-page.service", 0o644, 0, 0),
    ("lib/tmpfiles.d/bartizan.conf", 0o644, 0, 0),
    ("share/man/man1/bartizan.1", 0o644, 0, 0),
    ("share/bash-completion/completions/bartizan", 0o644, 0, 0),
    ("share/zsh/site-functions/_bartizan", 0o644, 0, 0),
    ("share/fish/vendor_completions.d/bartizan.fish", 0o644, 0, 0),
    ("etc/bartizan", 0o755, 0, 0),
    ("etc/bartizan/bartizan.toml", 0o644, 0, 0),
    ("etc/bartizan/allowlist.toml", 0o644, 0, 0),
    ("etc/bartizan/scripts", 0o755, 0, 0),
    ("etc/bartizan/scripts/hello", 0o755, 0, 0),
    ("etc/bartizan/keys", 0o700, SERVICE.uid, 0),
    ("etc/bartizan/keys/token", 0o400, SERVICE.uid, 0),
    ("var/lib/bartizan", 0o755, 0, 0),
    ("var/lib/bartizan/state", 0o700, SERVICE.uid, 0),
    ("var/lib/bartizan/control", 0o2710, SERVICE.uid, OPERATORS),
    ("var/lib/bartizan/read", 0o2710, SERVICE.uid, READERS),
];

#[test]
fn everything_has_exactly_its_owner_and_mode_and_an_existing_configuration_stays() {
    let Some(place) = Place::empty() else { return };
    // An administrator's umask makes no difference.
    for round in 0..2 {
        let done = place.make("install", &[]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        for (name, mode, uid, gid) in MADE {
            let metadata = fs::symlink_metadata(place.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(
                (metadata.mode() & 0o7777, metadata.uid(), metadata.gid()),
                (*mode, *uid, *gid),
                "{name}, round {round}"
            );
        }
        if round == 0 {
            let text = place.read("etc/bartizan/bartizan.toml");
            place.write("etc/bartizan/bartizan.toml", &format!("{text}carol = \"user\"\n# mine\n"), 0o644);
        }
    }
    assert!(place.read("etc/bartizan/bartizan.toml").contains("# mine"));
    // What it says of itself is enough to start.
    place.start().works();
}

#[test]
fn an_uninstall_leaves_no_program_and_keeps_the_state_unless_it_is_told_to() {
    let Some(place) = Place::install() else { return };
    place.start().works();
    let done = place.make("uninstall", &[]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(setuid_below(place.root.path()), [""; 0]);
    assert!(!place.path("lib/systemd/system/bartizan.service").exists());
    assert!(!place.path("lib/tmpfiles.d/bartizan.conf").exists());
    assert!(!place.path("share/man/man1/bartizan.1").exists());
    assert!(!place.path("libexec/bartizan").exists() && !place.path("bin/bartizan").exists());
    assert!(
        place.path("etc/bartizan/bartizan.toml").exists() && place.path("var/lib/bartizan/state/state.db").exists()
    );

    let again = place.make("install", &[]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    place.start().works();
    assert!(place.make("uninstall", &[("PURGE", "1")]).status.success());
    assert!(!place.path("etc/bartizan").exists() && !place.path("var/lib/bartizan").exists());
}

#[test]
fn one_user_for_everything_or_root_is_no_installation() {
    let Some(place) = Place::empty() else { return };
    for owner in ["0", "root", "64111"] {
        let done = place.make("install", &[("OWNER", owner)]);
        assert!(!done.status.success(), "{owner}");
        assert_eq!(setuid_below(place.root.path()), [""; 0]);
    }
}

#[test]
fn a_staged_root_works_as_it_is() {
    let Some(place) = Place::empty() else { return };
    let stage = place.root.path().to_string_lossy().into_owned();
    let done = place.make("install", &[("DESTDIR", &stage), ("PREFIX", "/usr")]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(place.path("etc/bartizan/bartizan.toml").exists() && place.path("usr/bin/bartizan").exists());
    let output = INVOKER.command(place.path("usr/sbin/bartizan-broker")).arg("--check-config").output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn setuid_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.path().symlink_metadata() else { continue };
        if metadata.is_dir() {
            found.extend(setuid_below(&entry.path()));
        } else if metadata.mode() & 0o6000 != 0 {
            found.push(entry.path().display().to_string());
        }
    }
    found
}
