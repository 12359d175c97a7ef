//! Every refusal of [`Trust`], on real files in a private directory.

use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        // The name of the private directory itself may lead through links (as /tmp does on some systems).
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }
}

fn own() -> Trust {
    Trust::single_user()
}

/// Makes `path` somebody else's: really, as root; otherwise by trusting somebody else.
fn made_foreign(path: &Path) -> Trust {
    if own().owner.is_root() {
        std::os::unix::fs::lchown(path, Some(54_321), None).unwrap();
        own()
    } else {
        Trust { owner: Uid::from_raw(54_321), allow_own: true }
    }
}

fn refusal(result: Result<(File, Metadata), TrustError>) -> String {
    result.map(drop).unwrap_err().to_string()
}

#[test]
fn an_own_file_in_own_directories_is_opened() {
    let place = Place::new();
    let path = place.file("a/b/config.toml", "x", 0o644);
    assert_eq!(own().open(&path).unwrap().1.size(), 1);
    assert_eq!(own().read(&path, 1).unwrap(), "x");
    assert!(own().open(&place.path("a/./b/../b/config.toml")).is_ok());
}

#[test]
fn a_file_that_group_or_others_can_write_is_refused() {
    let place = Place::new();
    for (mode, who) in [(0o664, "its group"), (0o646, "everybody"), (0o666, "everybody")] {
        let path = place.file("config.toml", "x", mode);
        let text = refusal(own().open(&path));
        assert!(text.contains(who) && text.contains("; chmod go-w"), "{text}");
    }
}

#[test]
fn a_directory_above_that_group_or_others_can_write_is_refused_unless_sticky() {
    let place = Place::new();
    let path = place.file("a/b/config.toml", "x", 0o644);
    for (mode, accepted) in [(0o775, false), (0o757, false), (0o777, false), (0o1777, true), (0o1775, true)] {
        fs::set_permissions(place.path("a"), Permissions::from_mode(mode)).unwrap();
        assert_eq!(own().open(&path).is_ok(), accepted, "{mode:o}");
    }
}

#[test]
fn a_file_or_a_directory_of_another_user_is_refused() {
    let place = Place::new();
    let path = place.file("a/config.toml", "x", 0o644);
    let trust = made_foreign(&path);
    assert!(matches!(trust.open(&path), Err(TrustError::Owner { .. })));

    let path = place.file("b/config.toml", "x", 0o644);
    let trust = made_foreign(&place.path("b"));
    assert!(matches!(trust.open(&path), Err(TrustError::Owner { .. })));
}

#[test]
fn the_last_part_may_not_be_a_link_but_an_own_link_to_a_directory_is_followed() {
    let place = Place::new();
    let path = place.file("real/config.toml", "x", 0o644);
    symlink(&path, place.path("config.toml")).unwrap();
    assert!(matches!(own().open(&place.path("config.toml")), Err(TrustError::Link(_))));

    symlink("real", place.path("relative")).unwrap();
    symlink(place.path("real"), place.path("absolute")).unwrap();
    symlink("../relative", place.path("real/up")).unwrap();
    for way in ["relative", "absolute", "real/up", "relative/up/up"] {
        assert!(own().open(&place.path(way).join("config.toml")).is_ok(), "{way}");
    }
}

#[test]
fn what_a_link_leads_through_is_checked_too() {
    let place = Place::new();
    place.file("open/inner/config.toml", "x", 0o644);
    fs::set_permissions(place.path("open"), Permissions::from_mode(0o777)).unwrap();
    symlink("open/inner", place.path("way")).unwrap();
    assert!(matches!(own().open(&place.path("way/config.toml")), Err(TrustError::Writable { .. })));
}

#[test]
fn a_link_of_another_user_is_not_followed() {
    let place = Place::new();
    place.file("real/config.toml", "x", 0o644);
    symlink("real", place.path("way")).unwrap();
    let trust = made_foreign(&place.path("way"));
    assert!(matches!(trust.open(&place.path("way/config.toml")), Err(TrustError::Owner { .. })));
}

#[test]
fn links_in_a_circle_end() {
    let place = Place::new();
    symlink("b", place.path("a")).unwrap();
    symlink("a", place.path("b")).unwrap();
    assert!(matches!(own().open(&place.path("a/config.toml")), Err(TrustError::TooManyLinks(_))));
}

#[test]
fn what_is_no_regular_file_is_refused_without_being_opened() {
    let place = Place::new();
    fs::create_dir(place.path("d")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, place.path("pipe"), FileType::Fifo, Mode::from(0o600), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.path("socket")).unwrap();
    for name in ["d", "pipe", "socket"] {
        assert!(matches!(own().open(&place.path(name)), Err(TrustError::NotRegular(_))), "{name}");
    }
    assert!(own().open(Path::new("/dev/null")).is_err());
    assert!(matches!(own().open(Path::new("/")), Err(TrustError::NotRegular(_))));
    assert!(matches!(own().open(&place.path("d/..")), Err(TrustError::NotRegular(_))));
}

#[test]
fn what_is_missing_is_named() {
    let place = Place::new();
    let path = place.file("f", "x", 0o644);
    assert!(refusal(own().open(&place.path("no/where"))).contains("no does not exist"));
    assert!(matches!(own().open(&path.join("x")), Err(TrustError::NotDirectory(_))));
}

#[test]
fn a_secret_is_open_to_its_owner_alone() {
    let place = Place::new();
    for (mode, accepted) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o700, false)] {
        let path = place.file(&format!("token-{mode:o}"), "x", mode);
        match own().open_secret(&path) {
            Ok(_) => assert!(accepted, "{mode:o}"),
            Err(error) => assert!(!accepted && error.to_string().contains("; chmod 600"), "{mode:o} {error}"),
        }
    }
}

#[test]
fn a_script_has_a_first_line_content_and_permission_to_run() {
    let place = Place::new();
    let good = place.file("good", "#!/bin/sh\n", 0o755);
    match own().open_script(&good) {
        Err(TrustError::NoExec(_)) => {
            skipped("a_script_has_a_first_line_content_and_permission_to_run: the temporary directory is noexec");
            return;
        }
        other => assert!(other.is_ok(), "{other:?}"),
    }
    let elf = place.file("elf", "\x7fELF\x02", 0o755);
    assert!(own().open_script(&elf).is_ok());
    let plain = place.file("plain", "echo hello\n", 0o755);
    assert!(matches!(own().open_script(&plain), Err(TrustError::NotAProgram(_))));
    let short = place.file("short", "#", 0o755);
    assert!(matches!(own().open_script(&short), Err(TrustError::NotAProgram(_))));
    let empty = place.file("empty", "", 0o755);
    assert!(matches!(own().open_script(&empty), Err(TrustError::Empty(_))));
    let text = place.file("text", "#!/bin/sh\n", 0o644);
    assert!(matches!(own().open_script(&text), Err(TrustError::NotExecutable { .. })));
}

#[test]
fn outside_single_user_mode_only_secrets_may_be_the_services_own() {
    let place = Place::new();
    let script = place.file("script", "#!/bin/sh\n", 0o755);
    let secret = place.file("token", "x", 0o400);
    let trust = Trust { allow_own: false, ..own() };
    assert!(trust.open_secret(&secret).is_ok());
    if !trust.owner.is_root() {
        assert!(refusal(trust.open(&script)).contains("must belong to root"));
        assert!(refusal(trust.open_script(&script)).contains("must belong to root"));
    }
}

#[test]
fn a_text_is_bounded_and_utf_8() {
    let place = Place::new();
    let path = place.file("f", "four", 0o644);
    assert!(matches!(own().read(&path, 3), Err(TrustError::TooLarge { .. })));
    fs::write(&path, b"\xff").unwrap();
    assert!(matches!(own().read(&path, 3), Err(TrustError::NotText(_))));
}

/// Counts a test that cannot run here.
fn skipped(line: &str) {
    use std::io::Write;
    let file = std::env::var_os("BARTIZAN_SKIPS").map(|path| File::options().append(true).create(true).open(path));
    match file {
        Some(Ok(mut file)) => writeln!(file, "{line}").unwrap(),
        _ => eprintln!("skipped: {line}"),
    }
}
