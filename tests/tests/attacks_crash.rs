//! `kill -9`, SIGTERM and SIGSTOP in the middle of a job and of a delivery: at most one run, one answer, nothing left
//! running, the service back (rows 42 and 85 of the attack catalogue).

use bartizan_playground::server::{Aim, Fault};
use bartizan_playground::service::Role;
use bartizan_tests::house::{House, Plan, programs, seen};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A script that writes a line when it starts, and goes on until the file `go` is there, with a daemon of its own beside it.
struct Watched {
    house: House,
    folder: TempDir,
    /// In the command line of everything that the script starts.
    word: String,
}

impl Watched {
    async fn open(config: &str, entry: &str) -> Self {
        programs();
        let folder = tempfile::Builder::new().prefix("bartizan-watched-").tempdir_in("/tmp").expect("a directory");
        let word = folder.path().file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let path = folder.path().display();
        // The marker is an argument of every process that the job leaves.
        let content = format!(
            "trap '' TERM\necho run >> {path}/runs\n(setsid bash -c 'while :; do sleep 0.02; done' {word} &) </dev/null >/dev/null 2>&1\n\
             while [ ! -e {path}/go ]; do sleep 0.02; done; echo went"
        );
        let profile = format!("{config}\n[profiles.watched]\nwrite = [\"{path}\"]\n");
        let entry = format!("profile = \"watched\"\n{entry}");
        let house = House::build(Plan::default().config(&profile).bash("watched", &content, &entry)).await;
        Self { house, folder, word }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn runs(&self) -> usize {
        std::fs::read_to_string(self.path("runs")).map_or(0, |runs| runs.lines().count())
    }

    fn left(&self) -> Vec<u32> {
        seen::with_word(&self.word).into_iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect()
    }

    /// Says the command and waits until its script runs.
    async fn begin(&self) -> String {
        let post = self.house.say("carol", "ops", "!watched");
        self.house.wait("the script to run", || (self.runs() == 1 && !self.left().is_empty()).then_some(())).await;
        post
    }

    async fn nothing_left(&self) {
        self.house.wait("the job's processes to end", || self.left().is_empty().then_some(())).await;
    }
}

async fn interrupted_by_the_death_of(role: Role) {
    let watched = Watched::open("", "").await;
    let post = watched.begin().await;
    watched.house.service.kill(role).await.expect("it runs");
    watched.nothing_left().await;
    let reply = watched.house.reply(&post).await;
    assert!(reply.contains("interrupted"), "{reply}");
    watched.house.reaction(&post, "no_entry").await;
    watched.house.works().await;
    assert_eq!(watched.runs(), 1, "never again");
    assert_eq!(watched.house.said(&post).len(), 1, "told once");
    assert_eq!(watched.house.server.reactions(&post).len(), 1, "the hourglass is gone");
}

#[tokio::test(flavor = "current_thread")]
async fn row_85_the_core_killed_in_a_job() {
    interrupted_by_the_death_of(Role::Core).await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_85_the_launcher_killed_in_a_job() {
    interrupted_by_the_death_of(Role::Launcher).await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_85_and_42_a_worker_killed_in_a_job() {
    interrupted_by_the_death_of(Role::Worker).await;
}

async fn unharmed_by_the_death_of(role: Role) {
    let watched = Watched::open("", "").await;
    let post = watched.begin().await;
    watched.house.service.kill(role).await.expect("it runs");
    std::fs::write(watched.path("go"), "").expect("go");
    let reply = watched.house.reply(&post).await;
    assert!(reply.contains("exit 0") && reply.contains("went"), "{reply}");
    watched.house.works().await;
    watched.nothing_left().await;
    assert_eq!((watched.runs(), watched.house.said(&post).len()), (1, 1));
}

#[tokio::test(flavor = "current_thread")]
async fn row_85_the_connector_killed_in_a_job() {
    unharmed_by_the_death_of(Role::Connector).await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_85_egress_killed_in_a_job() {
    unharmed_by_the_death_of(Role::Egress).await;
}

/// The answer is on its way to the server, and has or has not arrived, when the process is killed.
async fn delivered_once_in_spite_of_the_death_of(role: Role) {
    let house = House::open().await;
    let aim = Aim { user: None, route: Some("POST /api/v4/posts".to_owned()) };
    for fault in [
        Fault::Slow { by: std::time::Duration::from_millis(300), count: 1 },
        Fault::LoseAnswer { count: 1 },
        Fault::HangUp { count: 1 },
    ] {
        house.server.fault_at(&aim, fault.clone());
        let post = house.say("carol", "ops", "!hello Once");
        let job_ended = |r: &serde_json::Value| r["event"] == "job-end" && r["postId"] == *post;
        house.recorded("the job's end", job_ended).await;
        house.service.kill(role).await.expect("it runs");
        let reply = house.reply(&post).await;
        assert!(reply.contains("Hello, Once!") || reply.contains("interrupted"), "{fault:?}: {reply}");
        house.works().await;
        assert_eq!(house.said(&post).len(), 1, "{fault:?}");
        let starts = house.audit().iter().filter(|r| r["event"] == "job-start" && r["postId"] == *post).count();
        assert_eq!(starts, 1, "{fault:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn row_85_the_core_killed_in_a_delivery() {
    delivered_once_in_spite_of_the_death_of(Role::Core).await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_85_the_connector_killed_in_a_delivery() {
    delivered_once_in_spite_of_the_death_of(Role::Connector).await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_85_egress_killed_in_a_delivery() {
    delivered_once_in_spite_of_the_death_of(Role::Egress).await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_85_the_core_killed_at_any_moment_of_a_command_runs_it_once_at_most_and_answers_it_once() {
    programs();
    let folder = tempfile::Builder::new().prefix("bartizan-moments-").tempdir_in("/tmp").expect("a directory");
    let path = folder.path().display();
    let profile = format!("[profiles.moments]\nwrite = [\"{path}\"]\n");
    let entry = "profile = \"moments\"\n[scripts.arguments.round]\ntype = \"number\"\nrequired = true";
    let content = format!("echo run >> {path}/$1; echo Hello, Moment!");
    let house = House::build(Plan::default().config(&profile).bash("moment", &content, entry)).await;
    let mut posts = Vec::new();
    for round in 0..4 {
        let post = house.say("carol", "ops", &format!("!moment {round}"));
        // From "not yet received" to "answered".
        let milestone = [None, Some("decision"), Some("job-start"), Some("job-end")][round];
        if let Some(event) = milestone {
            house.recorded(event, |r| r["event"] == event && r["postId"] == *post).await;
        }
        house.service.kill(Role::Core).await.expect("it runs");
        house.service.connected().await.expect("it comes back");
        posts.push(post);
    }
    for post in &posts {
        let reply = house.reply(post).await;
        assert!(reply.contains("Hello, Moment!") || reply.contains("interrupted"), "{reply}");
    }
    house.works().await;
    for (round, post) in posts.iter().enumerate() {
        assert_eq!(house.said(post).len(), 1);
        // The log may have the intent twice: it is written before the act, and the act may not have followed.
        let runs = std::fs::read_to_string(folder.path().join(round.to_string())).unwrap_or_default();
        assert!(runs.lines().count() <= 1, "{round}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_idempotent_script_is_started_again_when_the_core_died_under_it() {
    let watched = Watched::open("", "idempotent = true").await;
    let post = watched.begin().await;
    watched.house.service.kill(Role::Core).await.expect("it runs");
    watched.house.wait("the second run", || (watched.runs() == 2).then_some(())).await;
    std::fs::write(watched.path("go"), "").expect("go");
    let replies = watched.house.replies(&post, 2).await;
    assert!(replies[0].contains("I start it again"), "{replies:?}");
    assert!(replies[1].contains("exit 0") && replies[1].contains("went"), "{replies:?}");
    watched.house.works().await;
    watched.nothing_left().await;
    assert_eq!((watched.runs(), watched.house.said(&post).len()), (2, 2));
}

#[tokio::test(flavor = "current_thread")]
async fn row_85_what_an_interrupted_script_had_printed_is_told() {
    let plan = Plan::default().bash("talker", "echo so far; sleep 60", "");
    let house = House::build(plan).await;
    let post = house.say("carol", "ops", "!talker");
    house.reaction(&post, "hourglass_flowing_sand").await;
    house.recorded("its run", |record| record["event"] == "job-running").await;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    house.service.kill(Role::Core).await.expect("it runs");
    let reply = house.reply(&post).await;
    assert!(reply.contains("interrupted") && reply.contains("so far"), "{reply}");
}

#[tokio::test(flavor = "current_thread")]
async fn sigterm_in_a_job_ends_it_in_order_and_tells() {
    let watched = Watched::open("[limits]\nshutdown-grace = \"1s\"\n", "").await;
    let post = watched.begin().await;
    watched.house.service.restart(Role::Launcher).await.expect("it comes back");
    watched.nothing_left().await;
    let reply = watched.house.reply(&post).await;
    assert!(reply.contains("stopped"), "{reply}");
    watched.house.works().await;
    assert_eq!((watched.runs(), watched.house.said(&post).len()), (1, 1));
    assert!(watched.house.audit().iter().any(|record| record["event"] == "stop"));
}

#[tokio::test(flavor = "current_thread")]
async fn row_65_a_job_that_waited_through_a_stop_for_too_long_is_asked_for_again() {
    // What waits for a place when the service ends is started by the next start. It once was, however long that took.
    let config = "[limits]\njobs = 1\nstale-after = \"1s\"\nshutdown-grace = \"2s\"\n";
    let watched = Watched::open(config, "").await;
    let first = watched.begin().await;
    let waits = watched.house.say("carol", "ops", "!hello Stale");
    watched.house.reaction(&waits, "hourglass_flowing_sand").await;
    // The first one does not hear the polite signal, so that ending takes the whole grace.
    watched.house.service.restart(Role::Launcher).await.expect("it comes back");
    // The first answer was its place in the line.
    let replies = watched.house.replies(&waits, 2).await;
    assert!(replies[0].contains("in line") && replies[1].contains("still wanted?"), "{replies:?}");
    watched.house.reply(&first).await;
    let starts = || watched.house.audit().iter().filter(|r| r["event"] == "job-start" && r["postId"] == *waits).count();
    assert_eq!(starts(), 0);
    // Only its author's word counts, and once.
    assert!(watched.house.server.react("bob", &waits, "white_check_mark"));
    watched.house.works().await;
    assert_eq!((starts(), watched.house.said(&waits).len()), (0, 2));
    assert!(watched.house.server.react("carol", &waits, "white_check_mark"));
    let replies = watched.house.replies(&waits, 3).await;
    assert!(replies[2].contains("Hello, Stale!"), "{replies:?}");
    assert!(watched.house.server.unreact("carol", &waits, "white_check_mark"));
    assert!(watched.house.server.react("carol", &waits, "white_check_mark"));
    watched.house.works().await;
    assert_eq!((starts(), watched.house.said(&waits).len()), (1, 3));
}

#[tokio::test(flavor = "current_thread")]
async fn a_worker_that_is_stopped_does_not_keep_its_job_beyond_its_time() {
    // The worker watches the time. The core once believed that it does, and waited for one that was stopped for ever.
    let watched = Watched::open("", "timeout = \"100ms\"").await;
    let post = watched.house.say("carol", "ops", "!watched");
    watched.house.wait("the script to run", || (watched.runs() == 1).then_some(())).await;
    let status = watched.house.service.status().await.expect("a status");
    let rows = status["processes"].as_array().expect("rows").iter().filter(|row| row["note"] == "job 1");
    for pid in rows.filter_map(|row| row["pid"].as_u64()) {
        kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), Signal::SIGSTOP).expect("stopped");
    }
    let reply = watched.house.reply(&post).await;
    assert!(reply.contains("interrupted") || reply.contains("ran out of time"), "{reply}");
    watched.nothing_left().await;
    watched.house.works().await;
    assert_eq!((watched.runs(), watched.house.said(&post).len()), (1, 1));
}
