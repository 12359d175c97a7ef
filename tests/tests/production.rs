//! What is shipped for production holds together: units, alert rules, dashboard.

use bartizan_tests::installed::skip;
use regex::Regex;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The exposure that `systemd-analyze security` gives each unit, in tenths; docs/decisions/0008-units.md has the reasons.
const EXPOSURE: [(&str, u32); 7] = [
    ("bartizan-broker.service", 5),
    ("bartizan-egress@.service", 11),
    ("bartizan-connector@.service", 2),
    // The worker makes namespaces for the script: `what_the_workers_unit_does_without_is_what_its_sandbox_needs`.
    ("bartizan-worker@.service", 17),
    ("bartizan.service", 56),
    ("bartizan-exporter.service", 11),
    ("bartizan-audit-page.service", 4),
];

/// All that is installed.
const UNITS: [&str; 12] = [
    "bartizan-broker.service",
    "bartizan-egress.socket",
    "bartizan-egress@.service",
    "bartizan-connector.socket",
    "bartizan-connector@.service",
    "bartizan-worker.socket",
    "bartizan-worker@.service",
    "bartizan-workers.slice",
    "bartizan.service",
    "bartizan.slice",
    "bartizan-exporter.service",
    "bartizan-audit-page.service",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("a file of ours")
}

/// What a program said; nothing where it is not installed.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(_) => {
            skip(&format!("{program} is not installed"));
            None
        }
    }
}

/// The units as an installation has them, but with a program that is there.
fn filled(folder: &Path) -> Vec<PathBuf> {
    let words = Regex::new("ExecStart=[^ \n]+").expect("regex");
    let fill = |unit: &&str| {
        let mut text = words.replace_all(&read(&format!("systemd/{unit}")), "ExecStart=/bin/true").into_owned();
        for (word, value) in [
            ("@SERVICE_USER@", "daemon"),
            ("@SERVICE_GROUP@", "daemon"),
            ("@OPERATORS@", "daemon"),
            ("@READERS@", "daemon"),
            ("@OWNER@", "daemon"),
            ("@CONFIG@", "/etc/bartizan"),
            ("@VAR@", "/var/lib/bartizan"),
        ] {
            text = text.replace(word, value);
        }
        let left = Regex::new("@[A-Z_]+@").expect("regex");
        assert!(!left.is_match(&text), "a word is not filled in: {text}");
        let path = folder.join(unit);
        std::fs::write(&path, text).expect("written");
        path
    };
    UNITS.iter().map(fill).collect()
}

#[test]
fn systemd_takes_each_unit_and_gives_it_the_figure_that_is_stated() {
    let folder = tempfile::tempdir().expect("temp dir");
    let units = filled(folder.path());
    let names: Vec<&str> = units.iter().map(|unit| unit.to_str().expect("text")).collect();
    let Some(verified) = run("systemd-analyze", &[&["verify", "--man=no"], names.as_slice()].concat()) else { return };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("bartizan")).collect();
    assert!(ours.is_empty(), "{said}");
    for (unit, tenths) in EXPOSURE {
        let path = folder.path().join(unit);
        let limit = format!("--threshold={tenths}");
        let asked = ["security", "--offline=true", "--no-pager", &limit, path.to_str().expect("text")];
        let Some(judged) = run("systemd-analyze", &asked) else { return };
        let said = String::from_utf8_lossy(&judged.stdout).into_owned();
        if String::from_utf8_lossy(&judged.stderr).contains("unrecognized option") {
            return skip("systemd-analyze is too old for --offline");
        }
        assert!(judged.status.success(), "{unit} is above {tenths}: {said}");
        let least = format!("--threshold={}", tenths - 1);
        let asked = ["security", "--offline=true", "--no-pager", &least, path.to_str().expect("text")];
        let judged = run("systemd-analyze", &asked).expect("it was there");
        assert!(
            !judged.status.success(),
            "{unit} is better than {tenths} now: lower the figure here and in the document"
        );
    }
}

#[test]
fn what_is_installed_is_what_is_checked() {
    let layout = read("deploy/layout");
    let line = layout.lines().find_map(|line| line.strip_prefix("all_units=")).expect("a list");
    let listed: BTreeSet<&str> = line.trim_matches('"').split_whitespace().collect();
    assert_eq!(listed, UNITS.into_iter().collect());
}

#[test]
fn what_the_workers_unit_does_without_is_what_its_sandbox_needs() {
    // Mounts over a part of /proc, or a /proc that shows less: then the kernel lets no user namespace mount its own.
    let hides = ["ProtectProc=", "ProcSubset=", "ProtectKernelTunables=", "ProtectKernelLogs=", "ProtectHostname="];
    // The namespaces themselves, a root in them, and scripts whose interpreters make code.
    let forbids = ["RestrictNamespaces=yes", "MemoryDenyWriteExecute="];
    let lines = |unit: &str| -> Vec<String> {
        read(unit).lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let has = |lines: &[String], word: &str| lines.iter().any(|line| line.starts_with(word));
    let worker = lines("systemd/bartizan-worker@.service");
    for word in hides.iter().chain(&forbids) {
        assert!(!has(&worker, word), "{word} in {worker:?}");
    }
    // All else that the strictest of the others has, it has, too.
    for line in lines("systemd/bartizan-connector@.service") {
        let Some((word, _)) = line.split_once('=') else { continue };
        let word = format!("{word}=");
        let without = hides.iter().chain(&forbids).any(|left| left.starts_with(&word)) || word == "SystemCallFilter=";
        assert!(without || has(&worker, &word), "{word}");
    }
}

#[test]
fn the_service_can_become_its_two_users() {
    let unit = read("systemd/bartizan.service");
    let words: Vec<&str> = unit.lines().filter(|line| !line.starts_with('#')).collect();
    // Each of these takes the setuid bit's effect away where User= is given (systemd.exec(5)).
    for implies in [
        "NoNewPrivileges=",
        "DynamicUser=",
        "SystemCall",
        "Restrict",
        "LockPersonality=",
        "MemoryDenyWriteExecute=",
        "PrivateDevices=",
        "ProtectClock=",
        "ProtectHostname=",
        "ProtectKernel",
    ] {
        assert!(
            !words.iter().any(|line| line.starts_with(implies) && !line.starts_with("RestartPrevent")),
            "{implies} in {unit}"
        );
    }
    // And these the mounting of a job's own /proc.
    assert!(!words.iter().any(|line| line.starts_with("ProtectProc") || line.starts_with("ProcSubset")), "{unit}");
}

#[test]
fn what_serves_something_may_confine_itself() {
    // `@system-service` of systemd 252 has neither, and the unit's filter ends a process that makes another call.
    for unit in ["systemd/bartizan-exporter.service", "systemd/bartizan-audit-page.service"] {
        let unit = read(unit);
        let filter: Vec<&str> = unit.lines().filter(|line| line.starts_with("SystemCallFilter=@")).collect();
        for call in ["seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"] {
            assert!(filter.iter().any(|line| line.split(' ').any(|word| word == call)), "{call}: {filter:?}");
        }
    }
}

#[test]
fn every_metric_that_a_rule_or_a_panel_names_is_one_that_the_service_says() {
    let source = read("broker/src/metrics.rs") + &read("broker/src/core/metrics.rs");
    let name = Regex::new("(?:bot|bartizan)_[a-z_]+").expect("regex");
    let whole = |found: &str| {
        ["_bucket", "_count", "_sum"].iter().find_map(|end| found.strip_suffix(end)).unwrap_or(found).to_owned()
    };
    let said: BTreeSet<String> = name.find_iter(&source).map(|found| whole(found.as_str())).collect();
    let said: BTreeSet<String> = said.into_iter().filter(|name| !name.starts_with("bartizan_proto")).collect();
    let document = read("docs/operations.md");
    for name in &said {
        assert!(document.contains(name.as_str()), "docs/operations.md does not say what {name} is");
    }
    let mut named = 0;
    for file in ["config/alerts.yml", "config/dashboard.json"] {
        let text = read(file);
        for found in name.find_iter(&text) {
            named += 1;
            let base = whole(found.as_str());
            assert!(said.contains(&base), "{file}: nothing is called {base}");
        }
    }
    assert!(named > 25, "only {named} were found: does the search still work?");
    let dashboard: serde_json::Value = serde_json::from_str(&read("config/dashboard.json")).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 10));
}

#[test]
fn prometheus_takes_the_alert_rules() {
    let rules = root().join("config/alerts.yml");
    let Some(output) = run("promtool", &["check", "rules", rules.to_str().expect("text")]) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
