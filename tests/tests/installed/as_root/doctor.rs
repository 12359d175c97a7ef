//! `bartizan doctor` on an installation, also while nothing runs.

use bartizan_tests::installed::{INVOKER, OPERATOR, Place, SERVICE};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

fn doctor(place: &Place) -> Vec<Value> {
    let output = Command::new(place.path("bin/bartizan")).args(["doctor", "--json"]).output().expect("runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    report["installation"].as_array().cloned().expect("an installation")
}

/// What is not right: path and remedy.
fn faults(place: &Place) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let wrong = doctor(place).into_iter().filter(|check| check["verdict"] != "ok");
    wrong.map(|check| (text(&check["what"]), text(&check["detail"]))).collect()
}

#[test]
fn a_fresh_installation_is_sound_and_each_fault_is_named_with_its_remedy() {
    let Some(place) = Place::install() else { return };
    assert_eq!(faults(&place), []);
    // Root asks, and the sandbox is tried as somebody else all the same.
    let output = Command::new(place.path("bin/bartizan")).args(["doctor", "--json"]).output().expect("runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(report["probe"]["given"].is_array(), "{}", report["probe-error"]);
    let wrong: &[(&str, Option<u32>, Option<u32>, &str)] = &[
        ("libexec/bartizan/bartizan-broker", None, Some(0o755), "chmod 4750"),
        ("libexec/bartizan/bartizan-broker", None, Some(0o4755), "chmod 4750"),
        ("libexec/bartizan/bartizan-launcher", Some(INVOKER.uid), Some(0o711), "chown 0"),
        ("libexec/bartizan/bartizan-egress", None, Some(0o777), "chmod 0711"),
        ("etc/bartizan/bartizan.toml", Some(SERVICE.uid), None, "chown 0"),
        ("etc/bartizan/allowlist.toml", None, Some(0o666), "chmod 0644"),
        ("etc/bartizan/keys", None, Some(0o755), "chmod 0700"),
        ("etc/bartizan/keys/token", Some(0), None, "chown 64110"),
        ("var/lib/bartizan/state", Some(INVOKER.uid), None, "chown 64110"),
        ("var/lib/bartizan/control", None, Some(0o777), "chmod 2710"),
        ("var/lib/bartizan/read", None, Some(0o775), "chmod 2710"),
        ("etc", None, Some(0o777), "chmod go-w"),
    ];
    for (name, owner, mode, remedy) in wrong {
        let path = place.path(name);
        let before = fs::metadata(&path).expect("installed");
        chown(&path, *owner, None).expect("chown");
        fs::set_permissions(&path, Permissions::from_mode(mode.unwrap_or(before.mode() & 0o7777))).expect("chmod");
        let found = faults(&place);
        assert!(
            found.iter().any(|(what, detail)| *what == path.to_string_lossy() && detail.contains(remedy)),
            "{name}: {found:?}"
        );
        chown(&path, Some(before.uid()), Some(before.gid())).expect("chown");
        fs::set_permissions(&path, Permissions::from_mode(before.mode() & 0o7777)).expect("chmod");
    }
    fs::remove_file(place.path("libexec/bartizan/bartizan-worker")).expect("removed");
    assert!(
        faults(&place)
            .iter()
            .any(|(what, detail)| what.ends_with("bartizan-worker") && detail.contains("make install"))
    );
}

#[test]
fn an_operator_is_told_what_only_root_can_see() {
    let Some(place) = Place::install() else { return };
    let output = place.bartizan(OPERATOR, &["doctor"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("The installation") && said.contains("as root"), "{said}");
}

#[test]
fn a_running_service_says_that_it_is_setuid() {
    let Some(place) = Place::install() else { return };
    let _running = place.start();
    let output = place.bartizan(OPERATOR, &["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["service"]["mode"], "setuid", "{report}");
}
