//! The SELinux policy: it builds, what must never be cannot be added to it, and everything that is installed has its type.
//! That it lets the service work and stops attacks is `make vm-test`, on a booted machine.

use bartizan_tests::installed::skip;
use regex::Regex;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// `selinux/check` with a rule more, where the tools for it are installed.
fn check(extra: &str) -> Option<Output> {
    if !Path::new("/usr/share/selinux/devel/Makefile").exists() {
        skip("the policy is not built: install selinux-policy-dev");
        return None;
    }
    let output = Command::new(root().join("selinux/check")).env("EXTRA", extra).output();
    Some(output.expect("the check runs"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn the_policy_builds_and_allows_nothing_that_must_never_be() {
    let Some(output) = check("") else { return };
    assert!(output.status.success(), "{}", said(&output));
    if said(&output).contains("not linted") {
        skip("the policy is not linted: install selint");
    }
}

#[test]
fn rows_07_30_36_and_37_a_policy_with_a_rule_that_must_never_be_does_not_build() {
    let forbidden = [
        // A job, or who builds its sandbox, at the core's files.
        "allow bartizan_worker_t bartizan_state_t:file { open read };",
        "allow bartizan_script_t bartizan_key_t:file { open read };",
        "allow bartizan_remote_t bartizan_audit_t:file append;",
        // The connector at the token, or at the network.
        "allow bartizan_connector_t bartizan_token_t:file read;",
        "allow bartizan_connector_t self:tcp_socket { create connect };",
        // Egress at the brain.
        "allow bartizan_egress_t bartizan_state_t:file { open read };",
        // Anybody at the core's memory.
        "allow bartizan_launcher_t bartizan_core_t:process ptrace;",
        "allow bartizan_worker_t bartizan_core_t:file { open read };",
        "allow init_t bartizan_core_t:process ptrace;",
        // The core at the network, and what the service obeys in its own hands.
        "allow bartizan_core_t self:udp_socket { create bind };",
        "allow bartizan_core_t bartizan_etc_t:file { open write };",
        "allow bartizan_core_t bartizan_script_exec_t:file append;",
        // A job at the control socket, at the core by signal, out of its domain, and at what it wrote itself.
        "allow bartizan_script_t bartizan_control_t:sock_file write;",
        "allow bartizan_script_t bartizan_core_t:process sigkill;",
        "allow bartizan_script_t bartizan_core_t:process transition;",
        "allow bartizan_driver_t bartizan_scratch_t:file { execute execute_no_trans };",
        // A capability on the host.
        "allow bartizan_worker_t self:capability sys_admin;",
    ];
    // All at once: each is found, and the build would fail for any of them.
    let Some(output) = check(&forbidden.join("\n")) else { return };
    let said = said(&output);
    assert!(!output.status.success(), "{said}");
    let words = Regex::new(r"^allow (\S+) (\S+):(\S+) ").expect("regex");
    for rule in forbidden {
        let found = words.captures(rule).expect("a rule");
        let target = if &found[2] == "self" { &found[1] } else { &found[2] };
        let wanted = format!("neverallow violated by allow {} {target}:{} ", &found[1], &found[3]);
        assert!(said.contains(&wanted), "{rule}\n{said}");
    }
    // And it is the rule that makes it fail, not what the check was given.
    let Some(output) = check("allow bartizan_core_t bartizan_state_t:file read;") else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A line of `bartizan.fc`.
struct Context {
    fixed: usize,
    path: Regex,
    directories_only: bool,
    files_only: bool,
    name: String,
}

fn contexts() -> Vec<Context> {
    let text = std::fs::read_to_string(root().join("selinux/bartizan.fc")).expect("the contexts");
    let line = Regex::new(r"^(\S+)\s+(--|-d)?\s*gen_context\(system_u:object_r:(\w+),s0\)$").expect("regex");
    text.lines()
        .filter(|text| !text.is_empty() && !text.starts_with('#'))
        .map(|text| {
            let found = line.captures(text).unwrap_or_else(|| panic!("not a context: {text}"));
            let kind = found.get(2).map(|kind| kind.as_str());
            Context {
                fixed: found[1].find(['(', '\\', '[', '.', '*', '?', '+']).unwrap_or(found[1].len()),
                path: Regex::new(&format!("^{}$", &found[1])).expect("a pattern"),
                directories_only: kind == Some("-d"),
                files_only: kind == Some("--"),
                name: found[3].to_owned(),
            }
        })
        .collect()
}

/// As libselinux chooses: of those that match the one with the longest fixed beginning, and of equals the last.
fn type_of(contexts: &[Context], path: &str, directory: bool) -> Option<String> {
    let fits = |context: &&Context| {
        let kind = if directory { !context.files_only } else { !context.directories_only };
        kind && context.path.is_match(path)
    };
    contexts.iter().filter(fits).max_by_key(|context| context.fixed).map(|context| context.name.clone())
}

#[test]
fn everything_that_is_installed_has_its_type() {
    let contexts = contexts();
    for prefix in ["/usr", "/usr/local"] {
        let asked = "PREFIX=$1 DESTDIR=; . \"$2\"; echo \"$programs\"; echo \"$config\"; echo \"$var\"; echo $all";
        let layout = root().join("deploy/layout");
        let output = Command::new("sh").args(["-c", asked, "sh", prefix]).arg(layout).output().expect("a shell");
        let said = String::from_utf8(output.stdout).expect("text");
        let [programs, config, var, all] = said.lines().collect::<Vec<_>>()[..] else { panic!("the layout: {said}") };
        let mut expected: Vec<(String, bool, String)> = Vec::new();
        for program in all.split(' ') {
            let name = match program.strip_prefix("bartizan-") {
                Some(role) => format!("bartizan_{role}_exec_t"),
                None if program == "bartizan" => "bartizan_ctl_exec_t".to_owned(),
                None => format!("bartizan_{program}_exec_t"),
            };
            expected.push((format!("{programs}/{program}"), false, name));
        }
        let mut file = |folder: &str, path: &str, directory: bool, name: &str| {
            expected.push((format!("{folder}{path}"), directory, format!("bartizan_{name}_t")));
        };
        file(config, "", true, "etc");
        file(config, "/bartizan.toml", false, "etc");
        file(config, "/allowlist.toml", false, "allowlist");
        file(config, "/scripts", true, "script_exec");
        file(config, "/scripts/hello", false, "script_exec");
        file(config, "/keys", true, "key");
        file(config, "/keys/token", false, "token");
        file(config, "/keys/brain", false, "key");
        file(var, "", true, "var_lib");
        file(var, "/state", true, "state");
        file(var, "/state/state.db-wal", false, "state");
        file(var, "/state/brain.key", false, "key");
        file(var, "/state/audit.key", false, "key");
        file(var, "/state/audit.jsonl", false, "audit");
        file(var, "/state/audit-00000000000000000018.jsonl", false, "audit");
        file(var, "/control", true, "control");
        file(var, "/control/control.sock", false, "control");
        file(var, "/read", true, "read");
        file(var, "/read/read.sock", false, "read");
        for (path, directory, name) in expected {
            assert_eq!(type_of(&contexts, &path, directory).as_deref(), Some(&*name), "{path}");
        }
    }
    // And no type is in one file only.
    let policy = std::fs::read_to_string(root().join("selinux/bartizan.te")).expect("the policy");
    for context in contexts {
        assert!(
            Regex::new(&format!(r"(?m)^type {}[,;]", context.name)).expect("regex").is_match(&policy),
            "{}",
            context.name
        );
    }
}
