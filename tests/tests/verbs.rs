//! Each verb of `bartizan` over a running service: it does what it says, prints JSON where it is asked to, and ends with the exit code
//! that the documents name. What has a test of its own in more depth is only gone through here.

use bartizan_playground::service::Finished;
use bartizan_tests::house::{House, Plan, programs};
use bartizan_tests::terminal::Terminal;
use serde_json::Value;

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.output).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

/// One of doctor's lines about the service.
fn check<'r>(report: &'r Value, what: &str) -> &'r Value {
    let checks = report["service"]["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["what"] == what).unwrap_or_else(|| panic!("no {what}: {report}"))
}

#[tokio::test(flavor = "current_thread")]
async fn every_verb_that_shows_something_shows_it_as_json_too() {
    let house = House::open().await;
    house.works().await;
    let history = json(&house.operator(&["history", "--json"]).await);
    let job = history[0]["job"].to_string();
    let head = json(&house.operator(&["audit", "verify", "--json"]).await);
    assert_eq!(head["ok"], true, "{head}");
    let verbs: [&[&str]; 29] = [
        &["status"],
        &["health"],
        &["top"],
        &["ps"],
        &["history"],
        &["log", &job],
        &["tail", &job],
        &["receipt", &job],
        &["schedule"],
        &["metrics"],
        &["check-config"],
        &["check-config", "--diff"],
        &["reload"],
        &["pause", "a reason"],
        &["drain"],
        &["resume"],
        &["doctor"],
        &["people", "list"],
        &["people", "show", "carol"],
        &["people", "key", "list"],
        &["bans", "list"],
        &["totp", "status", "alice"],
        &["explain", "--as", "carol", "--channel", "ops", "!hello"],
        &["audit", "show"],
        &["audit", "export"],
        &["brain", "status"],
        &["brain", "list"],
        &["secret", "list"],
        &["remote", "list"],
    ];
    for verb in verbs {
        let finished = house.operator(&[verb, &["--json"]].concat()).await;
        assert_eq!(finished.code(), Some(0), "{verb:?}: {}", finished.output);
        let shown = json(&finished);
        assert!(shown.is_object() || shown.is_array(), "{verb:?}: {shown}");
        let plain = house.operator(verb).await;
        // `top` wants a terminal, an export and a receipt are JSON anyway.
        if !["top", "audit", "receipt"].contains(&verb[0]) {
            assert_eq!(plain.code(), Some(0), "{verb:?}: {}", plain.output);
            assert!(serde_json::from_str::<Value>(&plain.output).is_err(), "{verb:?} is for people: {}", plain.output);
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_pause_holds_new_commands_and_lets_a_pipeline_that_has_begun_come_to_its_end() {
    let plan = Plan::default()
        .bash("begin", "sleep 2", "steps = [\"step\"]\nfinally = [\"last\"]")
        .bash("step", "sleep 1; echo stepped", "")
        .bash("last", "echo at the end", "");
    let house = House::build(plan).await;
    let begun = house.say("alice", "ops", "!begin");
    house.wait("a job", || (house.jobs() == 1).then_some(())).await;
    let paused = json(&house.operator(&["pause", "--json"]).await);
    assert_eq!((&paused["running"], &paused["pause"]["reason"]), (&1.into(), &"".into()), "{paused}");
    let held = house.say("alice", "ops", "!last");
    let told = house.reply(&held).await;
    assert!(told.starts_with("Bartizan is paused by ") && told.contains("**last** waits"), "{told}");
    // What it waits for is the whole pipeline, not the job that runs at this moment.
    let drained = json(&house.operator(&["drain", "--json", "--timeout", "60s"]).await);
    assert_eq!((&drained["drained"], &drained["queued"]), (&true.into(), &1.into()), "{drained}");
    for words in ["stepped", "at the end"] {
        house.wait(words, || house.said(&begun).iter().any(|text| text.contains(words)).then_some(())).await;
    }
    assert_eq!(house.said(&held).len(), 1, "{:?}", house.said(&held));
    // Who may only read can neither begin a pause nor end one; who begins one twice keeps the first reason.
    let again = json(&house.operator(&["pause", "another", "--json"]).await);
    assert_eq!(again["pause"]["reason"], "", "{again}");
    let socket = house.service.socket().with_file_name("read.sock").display().to_string();
    for words in [&["pause"][..], &["drain"], &["resume"]] {
        let refused = house.operator(&[words, &["--socket", &socket]].concat()).await;
        assert_eq!(refused.code(), Some(4), "{words:?}: {}", refused.output);
    }
    assert!(house.operator(&["metrics"]).await.output.contains("bartizan_paused 1"));
    let resumed = json(&house.operator(&["resume", "--json"]).await);
    assert_eq!(resumed["pause"], Value::Null, "{resumed}");
    let ran = house.replies(&held, 2).await;
    assert!(ran.iter().any(|text| text.contains("at the end")), "{ran:?}");
    for event in ["pause", "resume"] {
        house.recorded(event, |line| line["event"] == event).await;
    }
}

/// What a job has run beside it, and what has no place yet, was nobody's: drained was said, and then it began.
#[tokio::test(flavor = "current_thread")]
async fn nothing_is_drained_while_something_that_belongs_to_a_job_is_about_to_begin() {
    let plan = Plan::default()
        .config("\n[limits]\njobs = 1\n")
        .bash("begin", "bz spawn-job beside; sleep 50 & wait $!", "api = [\"spawn-job\"]\ntimeout = \"1m\"")
        .bash("beside", "sleep 1; echo ran", "");
    let house = House::build(plan).await;
    let begun = house.say("alice", "ops", "!begin");
    let started = house.recorded("its start", |line| line["event"] == "job-start").await;
    let waits = || house.operator(&["status", "--json"]);
    while json(&waits().await)["queued"] != 1 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    house.operator(&["pause"]).await;
    let status = json(&waits().await);
    assert_eq!((&status["running"], &status["due"]), (&1.into(), &1.into()), "{status}");
    let told = house.operator(&["drain", "--timeout", "0s"]).await;
    assert!(told.output.contains("1 job, 1 about to begin still going on"), "{}", told.output);
    house.operator(&["kill", &started["executionId"].to_string()]).await;
    let drained = json(&house.operator(&["drain", "--json", "--timeout", "60s"]).await);
    assert_eq!((&drained["drained"], &drained["due"]), (&true.into(), &0.into()), "{drained}");
    house.wait("its end", || house.said(&begun).iter().any(|text| text.contains("ran")).then_some(())).await;
}

#[tokio::test(flavor = "current_thread")]
async fn exit_codes_are_those_that_the_documents_name() {
    let house = House::open().await;
    let nowhere = house.files.path().join("nowhere.sock").display().to_string();
    for (words, code) in [
        (&["status"][..], 0),
        (&["check-config", "/nonexistent.toml"], 2),
        (&["kill", "not-a-number"], 2),
        (&["no-such-verb"], 2),
        (&["status", "--socket", &nowhere], 3),
        (&["reload", "--socket", &nowhere], 3),
        (&["kill", "99999"], 4),
        (&["tail", "99999"], 4),
        (&["receipt", "99999"], 4),
        (&["people", "show", "nobody-of-that-name"], 4),
        (&["pause", &"x".repeat(501)], 2),
        (&["drain", "--timeout", "soon"], 2),
    ] {
        let finished = house.operator(words).await;
        assert_eq!(finished.code(), Some(code), "{words:?}: {}", finished.output);
        assert!(code == 0 || !finished.output.trim().is_empty(), "{words:?} says nothing");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn tail_follows_a_job_to_its_end_and_reload_takes_a_right_configuration_only() {
    let plan = Plan::default().bash("steps", "for i in 1 2 3; do echo step $i; sleep 1; done; echo done", "");
    let house = House::build(plan).await;
    let post = house.say("carol", "ops", "!steps");
    let jobs = || async { json(&house.operator(&["ps", "--json"]).await) };
    house.wait("a job", || (house.jobs() == 1).then_some(())).await;
    let running = jobs().await;
    let job = running[0]["job"].to_string();
    let program = programs().join("bartizan");
    let socket = house.service.socket();
    let mut tail = Terminal::start(&program, &["tail", "-f", &job], &[("BARTIZAN_SOCKET", &socket)]);
    assert!(tail.ended().success(), "{}", tail.seen);
    for line in ["step 1", "step 2", "step 3", "done"] {
        assert_eq!(tail.seen.matches(line).count(), 1, "{line}: {}", tail.seen);
    }
    house.reply(&post).await;

    // A configuration with a mistake changes nothing, and says so; a right one is taken over.
    let path = json(&house.operator(&["check-config", "--json"]).await)["path"].as_str().expect("a path").to_owned();
    let before = std::fs::read_to_string(&path).expect("the configuration");
    std::fs::write(&path, format!("{before}\n[rate]\nno-such-key = 1\n")).expect("written");
    let refused = house.operator(&["reload"]).await;
    assert_eq!(refused.code(), Some(2), "{}", refused.output);
    assert!(refused.output.contains("no-such-key"), "{}", refused.output);
    std::fs::write(&path, format!("{before}\n[elevation]\nwindow = \"7m\"\n")).expect("written");
    let taken = house.operator(&["reload", "--json"]).await;
    assert!(taken.success() && taken.output.contains("elevation.window"), "{}", taken.output);
    let again = json(&house.operator(&["check-config", "--diff", "--json"]).await);
    assert_eq!(again["differences"], serde_json::json!([]), "{again}");
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_secret_is_typed_without_being_shown_and_completions_and_pages_need_no_service() {
    let house = House::open().await;
    let program = programs().join("bartizan");
    let socket = house.service.socket();
    let at = |words: &[&str]| Terminal::start(&program, words, &[("BARTIZAN_SOCKET", &socket)]);
    let mut secret = at(&["secret", "set", "deploy/password"]);
    secret.answer("Value of deploy/password: ", "correct horse");
    secret.answer("Once more: ", "correct horse");
    assert!(secret.ended().success(), "{}", secret.seen);
    assert!(!secret.seen.contains("correct horse"), "{}", secret.seen);
    let listed = house.operator(&["secret", "list"]).await;
    assert!(listed.output.contains("password") && !listed.output.contains("correct horse"), "{}", listed.output);
    let mut other = at(&["secret", "set", "deploy/other"]);
    other.answer("Value of deploy/other: ", "one");
    other.answer("Once more: ", "two");
    assert_eq!(other.ended().code(), Some(2), "{}", other.seen);
    assert!(house.operator(&["secret", "remove", "deploy/password"]).await.success());

    let mut token = at(&["token", "rotate"]);
    token.answer("The bot's access token: ", "9xuqwrwgstrb3mzrxb83nb357a");
    assert_eq!(token.ended().code(), Some(4), "the server does not know it: {}", token.seen);
    assert!(!token.seen.contains("9xuqwrwgstrb3mzrxb83nb357a"), "{}", token.seen);
    house.works().await;
    let mut brain = at(&["unlock"]);
    assert!(brain.ended().code().is_some_and(|code| code == 0 || code == 4), "{}", brain.seen);

    for shell in ["bash", "zsh", "fish"] {
        let text = house.operator(&["completions", shell]).await;
        assert!(text.success() && text.output.contains("lockdown") && text.output.contains("tail"), "{shell}");
    }
    let page = house.operator(&["manual"]).await;
    assert!(page.success() && page.output.contains("bartizan\\-reload"), "{}", page.output);
    let folder = house.files.path().join("pages");
    std::fs::create_dir(&folder).expect("made");
    assert!(house.operator(&["manual", &folder.display().to_string()]).await.success());
    assert!(folder.join("bartizan-audit-serve.1").exists());
    let token = house.files.path().join("config/token");
    std::fs::write(&token, "9xuqwrwgstrb3mzrxb83nb357a").expect("written");
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("chmod");
    let script = house.files.path().join("config/bartizan.toml").display().to_string();
    let made = house.operator(&["script", "new", "greet", "--config", &script]).await;
    assert!(made.success() && made.output.contains("greet"), "{}", made.output);
}

#[tokio::test(flavor = "current_thread")]
async fn doctor_warns_of_a_bot_that_may_notify_whole_channels_and_says_who_may_read() {
    let house = House::open().await;
    let asked = || async { json(&house.operator(&["doctor", "--json"]).await) };
    let report = asked().await;
    let told = check(&report, "channel mentions");
    assert_eq!(told["verdict"], "warn", "{told}");
    assert!(told["detail"].as_str().is_some_and(|detail| detail.contains("channel_user")), "{told}");
    let sockets = check(&report, "sockets")["detail"].as_str().expect("words");
    assert!(sockets.contains("control.sock") && sockets.contains("read.sock"), "{sockets}");
    // As an administrator takes it away; asked anew each time.
    house.server.take_permission("channel_user", "use_channel_mentions");
    assert_eq!(check(&asked().await, "channel mentions")["verdict"], "ok");
    // A server that does not answer keeps nobody waiting.
    house.server.fault(bartizan_playground::server::Fault::HangUp { count: 1 });
    let told = check(&asked().await, "channel mentions").clone();
    assert!(told["verdict"] == "warn" && told["detail"].to_string().contains("does not say"), "{told}");
}
