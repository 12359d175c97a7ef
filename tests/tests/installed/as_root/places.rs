//! Files and folders that are not as root left them: the service does not start.

use bartizan_tests::installed::{INVOKER, Place, SERVICE, STRANGER};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

/// What is done to a file, and the word that its refusal has.
const WRONG: &[(&str, Deed, &str)] = &[
    ("libexec/bartizan/bartizan-broker", Deed::Mode(0o4755), "4750"),
    ("libexec/bartizan/bartizan-broker", Deed::Mode(0o6750), "chmod 4750"),
    ("libexec/bartizan/bartizan-broker", Deed::Mode(0o4770), "4750"),
    ("libexec/bartizan/bartizan-launcher", Deed::Owner(INVOKER.uid), "chown root"),
    ("libexec/bartizan/bartizan-launcher", Deed::Owner(SERVICE.uid), "chown root"),
    ("libexec/bartizan/bartizan-egress", Deed::Mode(0o733), "chmod 0711"),
    ("libexec/bartizan/bartizan-worker", Deed::Mode(0o700), "chmod 0711"),
    ("libexec/bartizan/bartizan-connector", Deed::Mode(0o4711), "chmod 0711"),
    ("libexec/bartizan", Deed::Mode(0o777), "chmod go-w"),
    ("libexec", Deed::Owner(INVOKER.uid), "chown"),
    ("etc/bartizan/bartizan.toml", Deed::Mode(0o664), "chmod go-w"),
    ("etc/bartizan/bartizan.toml", Deed::Owner(INVOKER.uid), "must belong to root"),
    ("etc/bartizan/bartizan.toml", Deed::Owner(SERVICE.uid), "must belong to root"),
    ("etc/bartizan/allowlist.toml", Deed::Owner(INVOKER.uid), "must belong to root"),
    ("etc/bartizan/allowlist.toml", Deed::Mode(0o646), "chmod go-w"),
    ("etc/bartizan", Deed::Mode(0o775), "chmod go-w"),
    ("etc", Deed::Owner(STRANGER.uid), "must belong to root"),
    ("etc/bartizan/scripts/hello", Deed::Owner(SERVICE.uid), "must belong to root"),
    ("etc/bartizan/scripts/hello", Deed::Owner(INVOKER.uid), "must belong to root"),
    ("etc/bartizan/scripts", Deed::Owner(INVOKER.uid), "must belong to root"),
    ("etc/bartizan/keys/token", Deed::Mode(0o440), "chmod"),
    ("etc/bartizan/keys/token", Deed::Owner(INVOKER.uid), "belongs to user"),
    ("etc/bartizan/keys", Deed::Owner(INVOKER.uid), "keys"),
    ("var/lib/bartizan/state", Deed::Mode(0o750), "chmod 700"),
    ("var/lib/bartizan/state", Deed::Owner(STRANGER.uid), "state"),
    ("var/lib/bartizan", Deed::Owner(INVOKER.uid), "must belong to root"),
    ("var/lib/bartizan/control", Deed::Mode(0o2750), "chmod 2710"),
    ("var/lib/bartizan/control", Deed::Mode(0o710), "chmod 2710"),
    ("var/lib/bartizan/control", Deed::Owner(INVOKER.uid), "belongs to uid 64111"),
    ("var/lib/bartizan/control", Deed::Group(INVOKER.gid), "chgrp 64112"),
    ("var/lib/bartizan/read", Deed::Mode(0o2755), "chmod 2710"),
    ("var/lib/bartizan/read", Deed::Group(INVOKER.gid), "chgrp 64115"),
];

#[derive(Debug, Clone, Copy)]
enum Deed {
    Owner(u32),
    Group(u32),
    Mode(u32),
}

#[test]
fn row_24_every_wrong_owner_or_mode_is_refused_with_its_remedy() {
    let Some(place) = Place::install() else { return };
    for (name, deed, word) in WRONG {
        let path = place.path(name);
        let before = fs::metadata(&path).expect("installed");
        match deed {
            Deed::Owner(uid) => chown(&path, Some(*uid), None).expect("chown"),
            Deed::Group(gid) => chown(&path, None, Some(*gid)).expect("chown"),
            Deed::Mode(_) => {}
        }
        let mode = if let Deed::Mode(mode) = deed { *mode } else { before.mode() & 0o7777 };
        // Also after a change of owner, which takes the setuid bit away.
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("chmod");
        let line = place.refusal(&[]);
        assert!(line.contains(word), "{name} {deed:?}: {line}");
        chown(&path, Some(before.uid()), Some(before.gid())).expect("chown");
        fs::set_permissions(&path, Permissions::from_mode(before.mode() & 0o7777)).expect("chmod");
    }
    place.start().works();
}

#[test]
fn row_24_a_setuid_program_of_another_owner_runs_nothing() {
    let Some(place) = Place::install() else { return };
    let broker = place.path("libexec/bartizan/bartizan-broker");
    chown(&broker, Some(STRANGER.uid), None).expect("chown");
    fs::set_permissions(&broker, Permissions::from_mode(0o4750)).expect("chmod");
    // It is now that user, to whom neither token nor state belong.
    let line = place.refusal(&[]);
    assert!(line.contains("keys"), "{line}");
    chown(&broker, Some(0), None).expect("chown");
    fs::set_permissions(&broker, Permissions::from_mode(0o4750)).expect("chmod");
    assert!(place.refusal(&[]).contains("as root"));
}

#[test]
fn row_15_a_symbolic_link_in_the_place_of_the_configuration_is_refused() {
    let Some(place) = Place::install() else { return };
    let (config, real) = (place.path("etc/bartizan/bartizan.toml"), place.path("etc/bartizan/real.toml"));
    fs::rename(&config, &real).expect("moved");
    symlink(&real, &config).expect("linked");
    assert!(place.refusal(&[]).contains("symbolic link"));
    fs::remove_file(&config).expect("removed");
    fs::rename(&real, &config).expect("moved back");

    // A folder on the way: through a link of the caller's, to a folder of the caller's.
    let own = tempfile::tempdir().expect("a directory");
    chown(own.path(), Some(INVOKER.uid), None).expect("chown");
    let (folder, kept) = (place.path("etc"), place.path("kept"));
    fs::rename(&folder, &kept).expect("moved");
    symlink(own.path(), &folder).expect("linked");
    let line = place.refusal(&[]);
    assert!(line.contains("must belong to root"), "{line}");
    fs::remove_file(&folder).expect("removed");
    fs::rename(&kept, &folder).expect("moved back");
    place.start().works();
}

#[test]
fn row_16_a_directory_that_another_user_made_again_is_refused() {
    let Some(place) = Place::install() else { return };
    for name in ["var/lib/bartizan/control", "var/lib/bartizan/state"] {
        let path = place.path(name);
        let before = fs::metadata(&path).expect("installed");
        fs::remove_dir_all(&path).expect("removed");
        fs::create_dir(&path).expect("made");
        fs::set_permissions(&path, Permissions::from_mode(before.mode() & 0o7777)).expect("chmod");
        chown(&path, Some(INVOKER.uid), Some(before.gid())).expect("chown");
        let line = place.refusal(&[]);
        assert!(line.contains("64111"), "{line}");
        fs::remove_dir_all(&path).expect("removed");
        symlink("/tmp", &path).expect("linked");
        assert!(place.refusal(&[]).contains(name.rsplit('/').next().unwrap_or_default()));
        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("made");
        chown(&path, Some(before.uid()), Some(before.gid())).expect("chown");
        fs::set_permissions(&path, Permissions::from_mode(before.mode() & 0o7777)).expect("chmod");
    }
    place.start().works();
}

#[test]
fn operators_that_do_not_exist_or_that_scripts_would_be_among_are_refused() {
    let Some(place) = Place::install() else { return };
    let config = place.read("etc/bartizan/bartizan.toml");
    place.write("etc/bartizan/bartizan.toml", &config.replace("\"64112\"", "\"no-such-group\""), 0o644);
    assert!(place.refusal(&[]).contains("groupadd"));
    place.write("etc/bartizan/bartizan.toml", &config.replace("\"64112\"", "\"64111\""), 0o644);
    assert!(place.refusal(&[]).contains("every script"));
    place.write("etc/bartizan/bartizan.toml", &config.replace("\"64115\"", "\"64111\""), 0o644);
    let said = place.refusal(&[]);
    assert!(said.contains("[control] readers") && said.contains("every script"), "{said}");
    let together = config.replace("lib/bartizan/read\"", "lib/bartizan/control\"");
    place.write("etc/bartizan/bartizan.toml", &together, 0o644);
    assert!(place.refusal(&[]).contains("cannot share a directory"));
}
