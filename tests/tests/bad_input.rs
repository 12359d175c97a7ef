//! What a broken or hostile server, network or configuration can send: the process lives or is started again, nothing
//! else is disturbed, no command is lost and none is done twice.

use bartizan_playground::server::{Aim, Fault, Options, Server};
use bartizan_tests::house::{House, PATIENCE, Plan, programs, until};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// A text frame of a websocket server with a payload of its own.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(u8::try_from(short).expect("short")),
        long => {
            bytes.push(127);
            bytes.extend_from_slice(&u64::try_from(long).expect("a length").to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_no_websocket_frame_ends_a_connection_and_no_process() {
    garbage(vec![
        ("not UTF-8", frame(0x81, &[0xff, 0xfe, 0xfd])),
        ("a reserved opcode", frame(0x83, b"x")),
        ("a reserved bit", frame(0xc1, b"x")),
        ("a length of 2 to the 63", [&[0x81, 127][..], &[0x7f; 8], &[0; 64]].concat()),
    ])
    .await;
}

#[tokio::test(flavor = "current_thread")]
async fn what_no_websocket_server_sends_ends_a_connection_and_no_process() {
    garbage(vec![
        ("a masked frame", vec![0x81, 0x83, 1, 2, 3, 4, 5, 6, 7]),
        ("a continuation of nothing", frame(0x80, b"x")),
        ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("zeros", vec![0; 70_000]),
    ])
    .await;
}

async fn garbage(floods: Vec<(&str, Vec<u8>)>) {
    let house = House::open().await;
    let (connector, egress) = (house.pids("connector").await, house.pids("egress").await);
    for (what, bytes) in floods {
        assert!(house.server.wait_for_socket("bartizan", PATIENCE), "connected before {what}");
        house.server.fault(Fault::Garbage { bytes });
        let post = house.say("carol", "ops", "!hello Garbage");
        let reply = house.reply(&post).await;
        assert!(reply.contains("Hello, Garbage!"), "after {what}: {reply}");
        assert_eq!(house.said(&post).len(), 1, "after {what}");
    }
    house.works().await;
    assert_eq!((house.pids("connector").await, house.pids("egress").await), (connector, egress), "the same processes");
}

#[tokio::test(flavor = "current_thread")]
async fn text_frames_that_are_no_event_are_passed_over() {
    let house = House::open().await;
    let (connector, egress) = (house.pids("connector").await, house.pids("egress").await);
    let posted = |post: &str| {
        format!(r#"{{"event":"posted","seq":3,"data":{{"post":{}}}}}"#, serde_json::to_string(post).expect("JSON"))
    };
    let floods = [
        ("nothing", String::new()),
        ("not JSON", "!ping".to_owned()),
        ("deep JSON", "[".repeat(500_000)),
        (
            "deep JSON in an event",
            format!(r#"{{"event":"x","seq":1,"data":{}1{}}}"#, "[".repeat(200_000), "]".repeat(200_000)),
        ),
        ("deep JSON in a post", posted(&format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)))),
        ("a post of wrong types", posted(r#"{"id":1,"user_id":[],"message":{}}"#)),
        (
            "a post with an id that is a path",
            posted(r#"{"id":"../../../../../../users/me","user_id":"x","message":"!ping"}"#),
        ),
        ("a lone surrogate", r#"{"event":"\ud800","seq":1}"#.to_owned()),
        ("a number out of all bounds", r#"{"event":"posted","seq":1e999}"#.to_owned()),
        ("a number of a far future", r#"{"event":"posted","seq":18446744073709551615,"data":{}}"#.to_owned()),
        ("a second hello without anything", r#"{"event":"hello","seq":0}"#.to_owned()),
        ("10 MB", format!(r#"{{"event":"posted","seq":1,"data":{{"post":"{}"}}}}"#, "x".repeat(10 << 20))),
    ];
    for (what, text) in floods {
        assert!(house.server.wait_for_socket("bartizan", PATIENCE), "connected before {what}");
        house.server.fault(Fault::Text { text });
        let post = house.say("carol", "ops", "!hello Frames");
        let reply = house.reply(&post).await;
        assert!(reply.contains("Hello, Frames!"), "after {what}: {reply}");
        assert_eq!(house.said(&post).len(), 1, "after {what}");
    }
    house.works().await;
    assert_eq!((house.pids("connector").await, house.pids("egress").await), (connector, egress), "the same processes");
}

#[tokio::test(flavor = "current_thread")]
async fn a_forged_event_about_a_post_that_is_not_there_runs_nothing() {
    let house = House::open().await;
    let alice = house.server.file().users["alice"].id.clone();
    let channel = house.server.file().channels["ops"].clone();
    let post = serde_json::json!({
        "id": "z".repeat(26), "user_id": alice, "channel_id": channel, "message": "!deploy", "create_at": 1, "props": {},
    });
    let event = serde_json::json!({
        "event": "posted", "seq": 1, "data": {"post": post.to_string(), "channel_type": "O"}, "broadcast": {},
    });
    house.server.fault(Fault::Text { text: event.to_string() });
    house.works().await;
    assert!(house.audit().iter().all(|record| record["scriptName"] != "deploy"));
}

#[tokio::test(flavor = "current_thread")]
async fn dropped_doubled_late_and_reordered_events_neither_lose_nor_double_a_command() {
    let house = House::open().await;
    let mut posts = Vec::new();
    let faults = [
        Fault::Duplicate { count: 3 },
        Fault::Drop { count: 2 },
        Fault::Reorder { count: 2 },
        Fault::Duplicate { count: 2 },
        Fault::Reorder { count: 1 },
        Fault::Drop { count: 1 },
    ];
    for (round, fault) in faults.into_iter().enumerate() {
        house.server.fault(fault);
        for who in ["alice", "bob", "carol"] {
            posts.push(house.say(
                who,
                "ops",
                &format!("!hello Round {}", "x".repeat(round + 1)).replacen("Round ", "Round-", 1),
            ));
        }
    }
    // What was dropped last is missed when the next event comes.
    house.say("dave", "ops", "good morning");
    for post in &posts {
        house.reply(post).await;
    }
    house.works().await;
    for post in &posts {
        assert_eq!(house.said(post).len(), 1, "each once");
    }
    assert_eq!(house.jobs(), posts.len() + 1);
}

#[tokio::test(flavor = "current_thread")]
async fn errors_refusals_and_nonsense_of_the_rest_api_lose_no_command_and_double_none() {
    let house = House::open().await;
    let answer = |status, content_type: &str, body: Vec<u8>| Fault::Answer {
        status,
        content_type: content_type.to_owned(),
        body,
        count: 1,
    };
    let deep = "[".repeat(400_000).into_bytes();
    let faults = [
        ("429", Fault::TooManyRequests { retry_after: 0, count: 1 }),
        ("500", Fault::InternalError { count: 1 }),
        ("no answer", Fault::HangUp { count: 1 }),
        ("an answer that breaks off", Fault::Truncate { count: 1 }),
        ("a lost answer", Fault::LoseAnswer { count: 1 }),
        ("200 with HTML", answer(200, "text/html", b"<html>please log in</html>".to_vec())),
        ("200 with nothing", answer(200, "application/json", Vec::new())),
        ("200 with bytes", answer(200, "application/json", vec![0xff; 2000])),
        ("200 with deep JSON", answer(200, "application/json", deep)),
        ("200 with 10 MB", answer(200, "application/json", vec![b' '; 10 << 20])),
        ("502", answer(502, "text/html", b"bad gateway".to_vec())),
    ];
    let mut posts = Vec::new();
    for (what, fault) in faults {
        for route in ["GET /api/v4/posts", "POST /api/v4/posts", "POST /api/v4/reactions"] {
            let aim = Aim { user: None, route: Some(route.to_owned()) };
            house.server.fault_at(&aim, fault.clone());
        }
        posts.push((what, house.say("carol", "ops", "!hello Faults")));
    }
    for (what, post) in &posts {
        let reply = house.reply(post).await;
        assert!(reply.contains("Hello, Faults!"), "after {what}: {reply}");
        house.reaction(post, "white_check_mark").await;
    }
    house.works().await;
    for (what, post) in &posts {
        assert_eq!(house.said(post).len(), 1, "after {what}");
    }
    assert_eq!(house.jobs(), posts.len() + 1);
}

#[tokio::test(flavor = "current_thread")]
async fn a_person_whose_look_up_fails_for_a_moment_is_still_banned() {
    // The names of [people] are looked up when the service starts. An error of the server at that moment once counted as
    // "no such user", and whoever was banned was a user like any other until the next start.
    let server = Server::start(Options::default()).expect("the server starts");
    for (name, fault) in [
        ("mallory", Fault::InternalError { count: 1 }),
        ("mallory", Fault::TooManyRequests { retry_after: 0, count: 1 }),
        ("alice", Fault::HangUp { count: 1 }),
    ] {
        server.fault_at(&Aim { user: None, route: Some(format!("GET /api/v4/users/username/{name}")) }, fault);
    }
    bartizan_tests::house::programs();
    let house = House::at(server, Plan::default()).await;
    let post = house.say("mallory", "ops", "!hello Mallory");
    assert!(house.reply(&post).await.contains("banned"));
    assert!(house.ask("alice", "ops", "!whoami").await.contains("admin"));
    assert_eq!(house.jobs(), 0);
}

#[tokio::test(flavor = "current_thread")]
async fn more_people_than_can_be_asked_about_at_once_are_all_known() {
    // 600 names are more than the frames that may wait for egress (512) and the questions that it holds (256).
    let names: Vec<String> = (0..600).map(|n| format!("person{n} = \"banned\"\n")).collect();
    let server = Server::start(Options::default()).expect("the server starts");
    server.add_user("person0", Default::default());
    server.add_user("person599", Default::default());
    programs();
    let house = House::at(server, Plan::default().config(&names.concat())).await;
    for who in ["mallory", "person0", "person599"] {
        assert!(house.ask(who, "ops", "!hello").await.contains("banned"), "{who}");
    }
    house.works().await;
}

/// A directory with a configuration that is right, until something is changed about it.
struct Written {
    folder: tempfile::TempDir,
}

impl Written {
    fn new(plan: &Plan) -> Self {
        programs();
        let (folder, _) = plan.write();
        let at = |name: &str| folder.path().join("config").join(name);
        fs::write(at("token"), "x".repeat(26)).expect("a token");
        fs::set_permissions(at("token"), Permissions::from_mode(0o600)).expect("chmod");
        Self { folder }
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn broker(&self, more: &[&str]) -> Output {
        let mut command = Command::new(programs().join("bartizan-broker"));
        command.arg("--config").arg(self.at("config/bartizan.toml")).args(more).env_clear().output().expect("it starts")
    }

    /// One line with all of `words`, exit code 2, checked and served alike.
    fn refused(&self, words: &[&str]) {
        for more in [&["--check-config"][..], &[]] {
            let output = self.broker(more);
            let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(2), "{more:?}: {said}");
            let lines: Vec<&str> = said.lines().filter(|line| !line.contains("single-user")).collect();
            assert_eq!(lines.len(), 1, "one line: {said}");
            for word in words {
                assert!(lines[0].contains(word), "{word:?} is not in {said}");
            }
        }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.at(name), content).expect("written");
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("chmod");
}

#[test]
fn a_right_configuration_is_accepted_before_it_is_spoiled() {
    let written = Written::new(&Plan::default());
    let output = written.broker(&["--check-config"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_spoiled_bartizan_toml_is_one_line_and_exit_code_2() {
    let spoil = |more: &str, words: &[&str]| Written::new(&Plan::default().config(more)).refused(words);
    spoil("[limitz]\njobs = 3\n", &["bartizan.toml:", "limitz", "limits"]);
    spoil("[limits]\njobz = 3\n", &["bartizan.toml:", "jobz", "jobs"]);
    spoil("[limits]\njobs = \"many\"\n", &["bartizan.toml:", "whole number"]);
    spoil("[limits]\nstale-after = \"9999999999999999999999h\"\n", &["bartizan.toml:"]);
    spoil("[profiles.x]\nmemory = \"a lot\"\n", &["bartizan.toml:"]);
    spoil("[profiles.x]\nread = [\"relative/../..\"]\n", &["bartizan.toml:"]);
    spoil("[sandbox]\nrequire = [\"everything\"]\n", &["bartizan.toml:", "everything"]);
    spoil("[bot]\nprefix = \"?\"\n", &["bartizan.toml:"]);
    spoil("[broken\n", &["bartizan.toml:"]);
    let written = Written::new(&Plan::default());
    written.write("config/bartizan.toml", [0xff, 0xfe, 0x00]);
    written.refused(&["bartizan.toml", "UTF-8"]);
    written.write("config/bartizan.toml", format!("x = {}", "[".repeat(100_000)));
    written.refused(&["bartizan.toml"]);
}

#[test]
fn a_spoiled_allowlist_is_one_line_and_exit_code_2() {
    let spoil = |entry: &str, words: &[&str]| Written::new(&Plan::default().bash("odd", "true", entry)).refused(words);
    spoil("tiemout = 3", &["allowlist.toml:", "tiemout", "timeout"]);
    spoil("[scripts.arguments.a]\ntype = \"string\"\nregex = \"(\"", &["allowlist.toml:", "regex"]);
    spoil("[scripts.arguments.a]\ntype = \"string\"\nregex = \"(?=x)y\"", &["allowlist.toml:", "regex"]);
    spoil("[scripts.arguments.a]\ntype = \"enum\"\nvalues = []", &["allowlist.toml:"]);
    spoil("[scripts.arguments.a]\ntype = \"number\"\nmin = 3\nmax = 1", &["allowlist.toml:"]);
    spoil("profile = \"none-such\"", &["allowlist.toml:", "none-such"]);
    spoil("allowed-channels = [\"\\u0000\"]", &["allowlist.toml:"]);
    let written = Written::new(&Plan::default());
    written.write(
        "config/allowlist.toml",
        "[[scripts]]\nname = \"../x\"\npath = \"scripts/hello\"\ndescription = \"x\"\ntimeout = \"1s\"\n",
    );
    written.refused(&["allowlist.toml:", "../x"]);
}

#[test]
fn row_72_an_operators_regex_that_would_explode_is_refused_or_linear() {
    let with = |regex: &str| {
        let entry = format!("[scripts.arguments.a]\ntype = \"string\"\nregex = '{regex}'");
        Written::new(&Plan::default().bash("odd", "true", &entry))
    };
    with("((a{1,1000}){1,1000}){1,1000}").refused(&["allowlist.toml:", "regex"]);
    with(r"(a)\1").refused(&["allowlist.toml:", "regex"]);
    let accepted = with("(a+)+b").broker(&["--check-config"]);
    assert_eq!(accepted.status.code(), Some(0), "{}", String::from_utf8_lossy(&accepted.stderr));
}

#[test]
fn files_that_are_missing_or_open_to_others_are_one_line_and_exit_code_2() {
    let spoiled = |spoil: &dyn Fn(&Written), words: &[&str]| {
        let written = Written::new(&Plan::default());
        spoil(&written);
        written.refused(words);
        // So that it can be removed again.
        mode(written.folder.path(), 0o700);
    };
    spoiled(&|w| fs::remove_file(w.at("config/bartizan.toml")).expect("gone"), &["bartizan.toml"]);
    spoiled(&|w| fs::remove_file(w.at("config/allowlist.toml")).expect("gone"), &["allowlist.toml"]);
    spoiled(&|w| fs::remove_file(w.at("config/token")).expect("gone"), &["token"]);
    spoiled(&|w| fs::remove_file(w.at("scripts/hello")).expect("gone"), &["scripts/hello"]);
    spoiled(&|w| mode(&w.at("config/bartizan.toml"), 0o666), &["bartizan.toml"]);
    spoiled(&|w| mode(&w.at("config/allowlist.toml"), 0o620), &["allowlist.toml"]);
    spoiled(&|w| mode(&w.at("config"), 0o777), &["config"]);
    spoiled(&|w| mode(&w.at("config/token"), 0o644), &["token"]);
    spoiled(&|w| mode(&w.at("scripts/hello"), 0o777), &["scripts/hello"]);
    spoiled(&|w| mode(&w.at("scripts"), 0o777), &["scripts"]);
    spoiled(&|w| mode(w.folder.path(), 0o777), &["bartizan-house-"]);
    spoiled(
        &|w| {
            fs::rename(w.at("config/token"), w.at("config/elsewhere")).expect("moved");
            std::os::unix::fs::symlink("/dev/zero", w.at("config/token")).expect("a link");
        },
        &["token"],
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    // For two seconds nobody listens at its address: the service starts, and goes on when there is a server.
    programs();
    let server = Server::start(Options::default()).expect("the server starts");
    server.restart();
    let house = House::at(server, Plan::default()).await;
    assert!(until(|| (house.server.sockets("bartizan") > 0).then_some(())).await.is_some());
    house.works().await;
}
