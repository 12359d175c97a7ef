//! The units under a real systemd, in a container: everything that the mode promises, once through.

use bartizan_playground::server::{Options, Server};
use bartizan_tests::house::seen;
use bartizan_tests::installed::{Machine, uid_of};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

/// A job whose child is in a session of its own, and does not end with it.
const LEAVES: &str = "#!/bin/bash\nsetsid bash -c 'trap \"\" TERM HUP; sleep 1000' &\nsleep 1000\n";

/// Whatever this can open is named in its output.
const SPY: &str = "#!/bin/bash
shopt -s nullglob
for f in /var/lib/bartizan/* /var/lib/bartizan/*/* /etc/bartizan/keys/* /run/credentials/* /run/credentials/*/* /run/bartizan-units/*; do
  [ -r \"$f\" ] && echo \"SEEN $f\"
done
for d in /var/lib/bartizan/state /etc/bartizan/keys /run/credentials/bartizan-broker.service; do ls \"$d\" 2>/dev/null && echo \"SEEN $d\"; done
echo done
";

fn ask(machine: &Machine, server: &Server, who: &str, text: &str) -> String {
    let post = server.say(who, "ops", text).expect("such a person and channel");
    let bot = server.file().bot.id;
    machine.wait("an answer", || {
        let replies = server.replies(&post);
        let reply = replies.iter().find(|reply| reply["user_id"] == *bot)?;
        Some(reply["message"].as_str().unwrap_or_default().to_owned())
    })
}

fn works(machine: &Machine, server: &Server) {
    machine.wait("the connection", || machine.status()?["connected"].as_bool().filter(|connected| *connected));
    let reply = ask(machine, server, "carol", "!hello Works");
    assert!(reply.contains("exit 0") && reply.contains("Hello, Works!"), "{reply}");
}

/// The names of the units of a kind that run.
fn units(machine: &Machine, kind: &str) -> Vec<String> {
    let said =
        machine.does(&format!("systemctl list-units --plain --no-legend --state=running 'bartizan-{kind}@*.service'"));
    said.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// The main process of a unit, as seen from here.
fn main_of(machine: &Machine, unit: &str) -> Option<u32> {
    let folder = machine.does(&format!("systemctl show -P ControlGroup {unit}"));
    let pid = machine.does(&format!("systemctl show -P MainPID {unit}"));
    let all = seen::with_word(&format!("bartizan-{}", unit.strip_prefix("bartizan-")?.split('@').next()?));
    all.into_iter().find(|own| {
        let inside = seen::status(*own, "NSpid:");
        let group = fs::read_to_string(format!("/proc/{own}/cgroup")).unwrap_or_default();
        inside.len() == 2 && inside.last().map(String::as_str) == Some(pid.trim()) && group.contains(folder.trim())
    })
}

/// The job of a script and its worker's unit, once it runs.
fn job(machine: &Machine, server: &Server, name: &str) -> (String, String) {
    server.say("alice", "ops", &format!("!{name}")).expect("such a person and channel");
    machine.wait("the job", || {
        let rows: serde_json::Value = serde_json::from_str(&machine.shell("bartizan ps --json").1).ok()?;
        let row = rows.as_array()?.iter().find(|row| row["script"] == name && row["state"] == "running")?;
        let (id, pid) = (row["job"].to_string(), row["pid"].to_string());
        let pid_of = |unit: &String| machine.does(&format!("systemctl show -P MainPID {unit}")).trim() == pid;
        Some((id, units(machine, "worker").into_iter().find(pid_of)?))
    })
}

#[test]
fn under_a_real_systemd_each_process_is_a_unit_and_what_the_mode_promises_holds() {
    let Some(machine) = Machine::boot() else { return };
    let server = Server::start(Options::default()).expect("the server starts");
    configure(&machine, &server);

    // 1. It starts, says that it is ready, and works.
    machine.does("systemctl enable --now bartizan-broker");
    works(&machine, &server);
    assert!(ask(&machine, &server, "carol", "!ping").contains("Pong!"));
    assert!(ask(&machine, &server, "alice", "!about").contains("each process is a unit of systemd's"));
    assert_eq!(machine.status().expect("it answers")["mode"], "systemd");
    assert_eq!(
        machine.does("systemctl show -P Type -P StatusText bartizan-broker").trim().lines().next(),
        Some("notify")
    );
    assert!(machine.does("systemctl show -P StatusText bartizan-broker").starts_with("connected to "));
    let doctor = machine.does("bartizan doctor --json");
    let doctor: serde_json::Value = serde_json::from_str(&doctor).expect("JSON");
    for given in doctor["service"]["given"].as_array().expect("guarantees") {
        assert!(given["by"].as_array().is_some_and(|by| !by.is_empty()), "{given}");
    }

    machine.does("systemctl reload bartizan-broker");
    machine.wait("the end of the reload", || {
        machine.does("systemctl show -P StatusText bartizan-broker").starts_with("connected to ").then_some(())
    });

    // 2. Each has a user and a control group of its own.
    let broker = machine.does("id -u bartizan");
    let mut users = BTreeSet::from([broker.trim().parse::<u32>().expect("a number")]);
    let mut all = vec![];
    for kind in ["egress", "connector", "worker"] {
        let found = machine.wait(kind, || Some(units(&machine, kind)).filter(|found| !found.is_empty()));
        all.extend(found);
    }
    for unit in &all {
        let Some(pid) = main_of(&machine, unit) else { continue };
        let user = uid_of(pid).expect("it runs");
        assert!(users.insert(user) && user > 61_000, "{unit} runs as {user}, and so does another: {users:?}");
        assert_eq!(seen::status(pid, "NoNewPrivs:"), ["1"], "{unit}");
    }
    assert!(users.len() >= 4, "{users:?}");

    // 3. A script sees none of it, and neither does a worker: not in its sandbox, and not with its user outside of it.
    let seen = ask(&machine, &server, "alice", "!spy");
    assert!(seen.contains("done") && !seen.contains("SEEN"), "{seen}");
    let (id, unit) = job(&machine, &server, "leaves");
    let worker = main_of(&machine, &unit).expect("its main process");
    let user = uid_of(worker).expect("it runs");
    for path in ["/var/lib/bartizan/state/state.db", "/var/lib/bartizan/state/brain.key", "/etc/bartizan/keys/token"] {
        assert!(machine.path(path.trim_start_matches('/')).exists(), "{path}");
        let outside = format!("setpriv --reuid={user} --regid={user} --clear-groups -- cat {path}");
        let (read, said) = machine.shell(&outside);
        assert!(!read && said.contains("ermission denied"), "{path}: {said}");
        let pid = machine.does(&format!("systemctl show -P MainPID {unit}"));
        let (read, said) = machine.shell(&format!("nsenter -t {} -m -- {outside}", pid.trim()));
        assert!(!read, "in its own mounts, {path}: {said}");
    }
    for role in ["worker", "egress", "connector"] {
        let connect =
            format!("setpriv --reuid={user} --regid={user} --clear-groups -- test -w /run/bartizan-units/{role}.sock");
        assert!(!machine.shell(&connect).0, "a worker can have a {role} started");
    }

    // 4. A killed job leaves nothing behind, its child in another session neither.
    machine.does(&format!("bartizan kill {id}"));
    machine.wait("the end of its unit", || (!units(&machine, "worker").contains(&unit)).then_some(()));
    assert!(!fs::exists(format!("/proc/{worker}")).unwrap_or(true), "its supervisor");
    assert_eq!(machine.shell("pgrep -c -f '[s]leep 1000'").1.trim(), "0");

    // 5. What dies comes back; a job dies with its worker.
    for kind in ["egress", "connector"] {
        let before = units(&machine, kind);
        machine.does(&format!("systemctl kill --signal=KILL {}", before.join(" ")));
        machine.wait("another", || {
            let now = units(&machine, kind);
            (!now.is_empty() && now != before).then_some(())
        });
        works(&machine, &server);
    }
    let (_, unit) = job(&machine, &server, "leaves");
    machine.does(&format!("systemctl kill --kill-who=main --signal=KILL {unit}"));
    machine.wait("the end of the job", || (machine.shell("pgrep -c -f '[s]leep 1000'").1.trim() == "0").then_some(()));
    works(&machine, &server);

    // 6. The brain's key as a credential of systemd's, root's alone.
    machine.does("systemctl stop bartizan-broker");
    machine.does("install -o root -g root -m 0400 /var/lib/bartizan/state/brain.key /etc/bartizan/keys/brain && rm /var/lib/bartizan/state/brain.key");
    let config = machine.path("etc/bartizan/bartizan.toml");
    let text = fs::read_to_string(&config).expect("there");
    fs::write(&config, text.replace("[people]", "[brain]\nkey-credential = \"keys_brain\"\n\n[people]"))
        .expect("written");
    machine.does("systemctl start bartizan-broker");
    works(&machine, &server);

    // 7. `bartizan restart`, the core's death, and a stop, after which nothing is left.
    machine.does("bartizan restart");
    works(&machine, &server);
    let core = machine.status().expect("it answers")["processes"][0]["pid"].clone();
    machine.does(&format!("kill -KILL {core}"));
    machine.wait("another core", || {
        let status = machine.status()?;
        (status["processes"][0]["pid"] != core).then_some(())
    });
    works(&machine, &server);
    let (_, _) = job(&machine, &server, "leaves");
    machine.does("systemctl stop bartizan-broker");
    machine.wait("the end of everything", || {
        let left = machine.shell("pgrep -c -f '[l]ibexec/bartizan|[s]leep 1000'").1;
        (left.trim() == "0").then_some(())
    });

    // 8. The other way, on the same machine: one setuid program.
    machine.does("install -o bartizan -g root -m 0400 /etc/bartizan/keys/brain /var/lib/bartizan/state/brain.key");
    fs::write(&config, text).expect("written");
    machine.does("systemctl start bartizan");
    assert_eq!(machine.wait("an answer", || machine.status())["mode"], "setuid");
    works(&machine, &server);
    machine.does("systemctl stop bartizan");
}

/// Server, people, and two more scripts.
fn configure(machine: &Machine, server: &Server) {
    let file = server.file();
    let config = machine.path("etc/bartizan/bartizan.toml");
    let text = fs::read_to_string(&config).expect("installed");
    let text = text.replace("https://chat.example.com", &file.url);
    fs::write(&config, format!("{text}\nalice = \"admin\"\nbob = \"operator\"\ncarol = \"user\"\n")).expect("written");
    fs::write(machine.path("etc/bartizan/keys/token"), &file.bot.token).expect("written");
    let allowlist = machine.path("etc/bartizan/allowlist.toml");
    let mut entries = fs::read_to_string(&allowlist).expect("installed");
    for (name, script) in [("leaves", LEAVES), ("spy", SPY)] {
        let path = machine.path(&format!("etc/bartizan/scripts/{name}"));
        fs::write(&path, script).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("chmod");
        entries.push_str(&format!(
            "\n[[scripts]]\nname = \"{name}\"\npath = \"{name}\"\ndescription = \"A test\"\nrequired-permission = \"user\"\ntimeout = \"5m\"\n"
        ));
    }
    fs::write(&allowlist, entries).expect("written");
}
