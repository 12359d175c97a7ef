//! Row 49 through the whole service: what `sandbox.require` names and this machine cannot give keeps the service from
//! starting; what the configuration does without is written down and shown.
//!
//! A machine without user namespaces is made of this one: its workers are started in a user namespace that allows no further
//! ones.

use bartizan_playground::server::{Options, Server};
use bartizan_playground::service::{Role, Service, Settings};
use bartizan_tests::house::{House, Plan, programs, skip, stand};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use tempfile::TempDir;

/// Everything but what only user namespaces give here.
const OTHERS: &str = "[sandbox]\nrequire = [\"files-read\", \"files-write\", \"privileges\", \"tracing\", \"network\", \
                      \"unix-sockets\", \"kernel-surface\", \"resources\"]\n";

/// Becomes the program after it, where no user namespace can be made.
const WITHOUT: &str = "exec /usr/bin/unshare --user --map-current-user --keep-caps /bin/sh -c 'echo 0 >/proc/sys/user/max_user_namespaces \
                       && exec /usr/bin/setpriv --inh-caps=-all --ambient-caps=-all -- \"$0\" \"$@\"'";

/// The programs, with workers that find themselves on such a machine. `None` where that cannot be made here.
fn old_machine(test: &str) -> Option<TempDir> {
    stand();
    let tried = Command::new("/bin/sh").args(["-c", &format!("{WITHOUT} /usr/bin/unshare --user true 2>&1")]).output();
    let said = tried.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if !said.contains("unshare failed") {
        skip(test, "a user namespace without further ones cannot be made with these tools");
        return None;
    }
    let folder = tempfile::Builder::new().prefix("bartizan-old-").tempdir_in("/tmp").expect("a directory");
    for entry in fs::read_dir(programs()).expect("the programs").flatten() {
        fs::hard_link(entry.path(), folder.path().join(entry.file_name())).expect("a link");
    }
    let (worker, real) = (folder.path().join("bartizan-worker"), folder.path().join("real-worker"));
    fs::rename(&worker, &real).expect("aside");
    fs::write(&worker, format!("#!/bin/sh\n{WITHOUT} {} \"$@\"\n", real.display())).expect("written");
    fs::set_permissions(&worker, Permissions::from_mode(0o755)).expect("chmod");
    Some(folder)
}

#[tokio::test(flavor = "current_thread")]
async fn row_49_a_required_guarantee_that_nothing_here_gives_keeps_the_service_from_starting() {
    let Some(machine) = old_machine("row_49") else { return };
    let server = Server::start(Options::default()).expect("the server starts");
    let (_files, source) = Plan::default().write();
    let settings =
        Settings { server: server.file(), source, programs: machine.path().to_owned(), environment: Vec::new() };
    let error = Service::start(&settings).await.expect_err("it starts").to_string();
    let line = error.lines().find(|line| line.contains("the service ends")).unwrap_or_default();
    assert!(line.contains("programs, lifetime, which [sandbox] require names"), "{error}");
    assert!(line.contains("user-namespace: "), "{error}");
    assert!(!error.contains("connector") && !error.contains("egress"), "nothing else was started: {error}");
}

#[tokio::test(flavor = "current_thread")]
async fn row_49_what_the_configuration_does_without_is_logged_recorded_and_shown() {
    let Some(machine) = old_machine("row_49") else { return };
    let plan = Plan::default().config(OTHERS).programs(machine.path());
    let house = House::build(plan).await;
    for missing in ["programs", "lifetime"] {
        let line = format!("the configuration does without guarantee={missing}");
        assert!(house.service.complaints(50).contains(&line), "{}", house.service.complaints(50));
    }
    house.works().await;
    let running = house.recorded("a job", |record| record["event"] == "job-running").await;
    assert!(running["layers"].to_string().contains("user-namespace"), "{running}");
    let report: serde_json::Value =
        serde_json::from_str(&house.operator(&["doctor", "--json"]).await.output).expect("JSON");
    let required = report["service"]["require"].as_array().expect("a list").iter().any(|name| name == "programs");
    let by = report["service"]["given"].as_array().into_iter().flatten().find(|given| given["guarantee"] == "programs");
    assert!(!required && by.is_some_and(|given| given["by"] == serde_json::json!([])), "{report}");
    let table = house.operator(&["doctor"]).await.output;
    let row = table.lines().rfind(|line| line.starts_with("programs")).unwrap_or_default();
    assert!(row.contains("no") && row.contains("nothing gives it"), "{table}");
    // Who asks for it all the same gets the old configuration.
    let service = house.service.state();
    let file = service.parent().expect("its home").join("bartizan.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    fs::write(&file, text.replace("\"files-read\",", "\"files-read\", \"programs\",")).expect("written");
    let main = house.pids("launcher").await;
    for pid in main {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).expect("it runs");
    }
    let refused = house.recorded("a refused reload", |record| record["event"] == "config-reload").await;
    assert!(refused["error"].as_str().is_some_and(|error| error.contains("programs")), "{refused}");
    assert!(house.service.runs(Role::Core));
    house.works().await;
}
