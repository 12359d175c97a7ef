//! What people, bots and webhooks can write, and what scripts can print. Rows of the attack catalogue, over the real
//! processes and the embedded server.
//!
//! Over 400 lines: one list of what can be written and printed, each a few lines.

use bartizan_playground::client::Client;
use bartizan_playground::server::{Fault, UserOptions};
use bartizan_playground::service::Role;
use bartizan_tests::house::web::post_json;
use bartizan_tests::house::{House, Plan, seen};
use serde_json::{Value, json};

/// Posts over REST with more than a message; the post's id.
fn post_with(house: &House, who: &str, more: Value) -> String {
    let file = house.server.file();
    let mut body = json!({ "channel_id": file.channels["ops"] });
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let (status, answer) = post_json(&file.url, "/api/v4/posts", &file.users[who].token, &body);
    assert_eq!(status, 201, "{answer}");
    let post: Value = serde_json::from_str(&answer).expect("JSON");
    post["id"].as_str().expect("an id").to_owned()
}

/// Each of these gets an answer with these words, and starts nothing.
async fn refused(commands: &[(&str, &[&str])]) {
    let house = House::open().await;
    for (command, words) in commands {
        let post = house.say("bob", "ops", command);
        let reply = house.reply(&post).await;
        for word in *words {
            assert!(reply.contains(word), "{command:?}: {word:?} is not in {reply:?}");
        }
        house.reaction(&post, "no_entry").await;
        house.cause(&post).await;
    }
    house.works().await;
    assert_eq!(house.jobs(), 1, "nothing else was started");
}

#[tokio::test(flavor = "current_thread")]
async fn row_54_a_jobs_name_is_never_a_path() {
    let unknown: &[&str] = &["I know no command"];
    refused(&[
        ("!run ../hello", unknown),
        ("!run ./hello", unknown),
        ("!run scripts/hello", unknown),
        ("!run /bin/sh", unknown),
        ("!run hello/", unknown),
        ("!run hello%00", unknown),
        ("!run \"hello \"", unknown),
        ("!run HELLO", unknown),
        ("!run ''", unknown),
        ("!run hello\0", &["U+0000"]),
    ])
    .await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_21_what_is_forbidden_and_what_does_not_exist_are_told_apart_by_nothing_that_chat_sees() {
    let house = House::open().await;
    let mut seen = Vec::new();
    for (who, name) in [("carol", "deploy"), ("carol", "deplox"), ("dave", "deploy"), ("dave", "deplox")] {
        for arguments in ["", " --no-such argument", " \"quoted\""] {
            let post = house.say(who, "ops", &format!("!run {name}{arguments}"));
            let reply = house.reply(&post).await.replace(name, "NAME");
            house.reaction(&post, "no_entry").await;
            assert_eq!(house.server.reactions(&post).len(), 1, "{who} {name}{arguments}");
            seen.push(reply);
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].contains("I know no command"), "{seen:?}");
    house.works().await;
    assert_eq!(house.jobs(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn row_55_an_old_username_gives_its_new_owner_nothing_also_after_egress_was_started_again() {
    let house = House::open().await;
    assert!(house.server.rename_user("alice", "alice-before") && house.server.rename_user("dave", "alice"));
    assert!(house.server.rename_user("mallory", "innocent"));
    for round in ["before", "after"] {
        let reply = house.ask("alice", "ops", "!deploy").await;
        assert!(reply.contains("I know no command"), "{round}: dave as alice: {reply}");
        let reply = house.ask("alice-before", "ops", "!deploy").await;
        assert!(reply.contains("exit 0"), "{round}: alice: {reply}");
        let post = house.say("innocent", "ops", "!hello");
        assert!(house.cause(&post).await.contains("banned"), "{round}: mallory");
        // Names were once looked up again whenever egress was started again.
        let egress = house.pids("egress").await;
        house.service.kill(Role::Egress).await.expect("egress runs");
        house.wait("egress to be gone", || (!seen::alive(egress[0])).then_some(())).await;
        house.works().await;
    }
    assert_eq!(
        house
            .audit()
            .iter()
            .filter(|record| record["event"] == "job-start" && record["scriptName"] == "deploy")
            .count(),
        2
    );
}

#[tokio::test(flavor = "current_thread")]
async fn row_56_and_57_a_webhook_of_an_admin_commands_nothing_under_whatever_name() {
    let house = House::open().await;
    let hook = house.server.create_webhook("alice", "ops").expect("a webhook");
    for body in [
        json!({"text": "!deploy"}),
        json!({"text": "!ping"}),
        json!({"text": "@bartizan deploy"}),
        json!({"text": "!deploy", "username": "alice"}),
        json!({"text": "!deploy", "username": "alice", "props": {"from_webhook": "false"}}),
    ] {
        assert_eq!(post_json(&house.server.url(), &hook, "", &body).0, 200, "{body}");
    }
    let posts: Vec<Value> = house.server.posts("ops").into_iter().filter(|post| post["message"] != "").collect();
    assert_eq!(posts.len(), 5);
    for post in &posts {
        assert!(house.cause(post["id"].as_str().expect("an id")).await.contains("does not come from a person"));
    }
    // Denied, and alert: each in the audit log, and the admins are told once for all of them.
    let told = house.warned("webhook or slash command of alice").await;
    assert!(told["message"].as_str().is_some_and(|text| text.contains("in ops") && text.contains("deploy")), "{told}");
    assert_eq!(house.told("alice").len(), 1, "one post for all of them");
    let alerts = house.audit().into_iter().filter(|r| r["event"] == "alert");
    assert_eq!(alerts.filter(|r| r["error"].as_str().is_some_and(|e| e.contains("webhook"))).count(), 5);
    house.works().await;
    for post in posts {
        house.ignored(post["id"].as_str().expect("an id"));
    }
    assert_eq!(house.jobs(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn row_58_props_that_a_person_sets_never_grant_anything() {
    let house = House::open().await;
    let alice = house.server.file().users["alice"].id.clone();
    let mut silent = Vec::new();
    for props in [
        json!({"from_webhook": "true"}),
        json!({"from_bot": "false"}),
        json!({"from_plugin": {"deep": [1]}}),
        json!({"from_oauth_app": 1}),
        json!({"override_username": "alice", "webhook_display_name": "alice"}),
    ] {
        silent.push(post_with(&house, "carol", json!({"message": "!hello", "props": props})));
    }
    let props = json!({"user_id": alice, "username": "alice", "bartizan_reply": "x", "approved": true});
    let post = post_with(&house, "carol", json!({"message": "!deploy", "user_id": alice, "props": props}));
    assert!(house.reply(&post).await.contains("I know no command"), "still carol's");
    house.works().await;
    for post in silent {
        house.ignored(&post);
    }
    assert_eq!(house.jobs(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn row_60_an_edit_never_becomes_a_command() {
    let house = House::open().await;
    let file = house.server.file();
    let client =
        |name: &str| Client::new(&file, name, &file.users[name].id, &file.users[name].token).expect("a client");
    let talk = house.say("alice", "ops", "good morning");
    client("alice").edit(&talk, "!deploy").await.expect("edited");
    let done = house.say("carol", "ops", "!hello Before");
    assert!(house.reply(&done).await.contains("Hello, Before!"));
    client("carol").edit(&done, "!hello After").await.expect("edited");
    // Edited at once: what was reported and what is attested differ, and neither runs.
    let quick = house.say("carol", "ops", "!hello One");
    client("carol").edit(&quick, "!hello Two").await.expect("edited");
    house.server.fault(Fault::CloseSocket);
    house.works().await;
    house.ignored(&talk);
    assert_eq!(house.said(&done).len(), 1);
    assert!(!house.said(&quick).iter().any(|reply| reply.contains("Two")), "the edited text never runs");
    house.works().await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_63_an_event_that_is_replayed_runs_once() {
    let house = House::open().await;
    let post = house.say("carol", "ops", "!hello Once");
    house.reply(&post).await;
    let whole = house.server.posts("ops").into_iter().find(|one| one["id"] == *post).expect("it is there");
    for seq in 0..3 {
        let event = json!({
            "event": "posted", "seq": seq, "data": {"post": whole.to_string(), "channel_type": "O"}, "broadcast": {},
        });
        house.server.fault(Fault::Text { text: event.to_string() });
    }
    house.works().await;
    house.service.kill(Role::Connector).await.expect("a connector runs");
    house.works().await;
    house.service.restart(Role::Launcher).await.expect("it comes back");
    house.works().await;
    assert_eq!(house.said(&post).len(), 1);
    let runs = house.audit().iter().filter(|r| r["event"] == "job-start" && r["postId"] == *post).count();
    assert_eq!(runs, 1);
}

#[tokio::test(flavor = "current_thread")]
async fn row_66_bots_are_ignored_and_so_is_the_bots_own_word() {
    let house = House::open().await;
    let robot = house.server.add_user("robot", UserOptions { bot: true, ..UserOptions::default() });
    let file = house.server.file();
    let mut posts = Vec::new();
    for (token, text) in
        [(&robot.token, "!ping"), (&robot.token, "!hello"), (&file.bot.token, "!ping"), (&file.bot.token, "!hello")]
    {
        let body = json!({"channel_id": file.channels["ops"], "message": text});
        let (status, answer) = post_json(&file.url, "/api/v4/posts", token, &body);
        assert_eq!(status, 201, "{answer}");
        let post: Value = serde_json::from_str(&answer).expect("JSON");
        posts.push(post["id"].as_str().expect("an id").to_owned());
    }
    // A server that does not mark what its bots say: the account is a bot's all the same.
    let unmarked = house.say("robot", "ops", "!hello");
    assert!(house.cause(&unmarked).await.contains("bot's"));
    posts.push(unmarked);
    house.works().await;
    for post in &posts {
        house.ignored(post);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn row_67_what_looks_like_something_else_is_refused_with_its_code_point() {
    refused(&[
        ("!hello Ada\u{200b}", &["U+200B"]),
        ("!hello \u{202e}adA", &["U+202E"]),
        ("!hello \u{2066}Ada\u{2069}", &["U+2066"]),
        ("!hello A\u{ad}da", &["U+00AD"]),
        ("!hello \u{e0041}Ada", &["U+E0041"]),
        ("!hello Ada\u{fe0f}", &["U+FE0F"]),
        ("!hello\u{a0}Ada", &["U+00A0"]),
        ("!hello\u{3000}Ada", &["U+3000"]),
        ("!hel\u{200d}lo", &["U+200D"]),
        ("!hello \u{410}da", &["U+0410", "looks like A"]),
        ("!hell\u{43e}", &["I know no command"]),
        ("!run \u{ff48}\u{ff45}\u{ff4c}\u{ff4c}\u{ff4f}", &["I know no command"]),
        ("!hello wh\u{43e}=Ada", &["no argument"]),
    ])
    .await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_68_text_that_is_not_composed_is_refused() {
    refused(&[("!argv caf\u{65}\u{301}", &["U+0301"]), ("!argv \u{1100}\u{1161}", &["U+1100"])]).await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_69_a_value_is_never_an_option_unless_it_is_said_to_be_a_value() {
    refused(&[
        ("!hello -rf", &["may not begin with -"]),
        ("!argv --help", &["no argument"]),
        ("!argv first=-x", &["may not begin with -"]),
        ("!argv --first -x", &["may not begin with -"]),
        ("!argv \"-x\"", &["may not begin with -"]),
        ("!argv \\-x", &["may not begin with -"]),
        ("!argv \u{2014}x", &["U+2014"]),
        ("!argv \u{2212}x", &["U+2212"]),
        ("!hello \u{201c}Ada\u{201d}", &["U+201C"]),
    ])
    .await;
    let house = House::open().await;
    assert!(house.ask("carol", "ops", "!argv -- -rf --x=y").await.contains("\n[-rf]\n[--x=y]\n"));
}

#[tokio::test(flavor = "current_thread")]
async fn row_70_line_breaks_nul_and_what_is_too_long_are_refused_before_any_process() {
    let long = format!("!argv {}", "x".repeat(201));
    let longer = format!("!argv {}", "x".repeat(16_000));
    let longest = format!("!argv {}", "\u{1f600}".repeat(16_000));
    let many = format!("!argv {}", "x ".repeat(8_000));
    refused(&[
        ("!hello Ada\nrm -rf /", &["a line break"]),
        ("!hello \"Ada\n!deploy\"", &["a line break"]),
        ("!hello Ada\rrm", &["a line break"]),
        ("!hello Ada\u{2028}rm", &["a line break"]),
        ("!hello Ada\0", &["U+0000"]),
        ("!hello\tAda", &["a tab"]),
        (&long, &["longer than 200"]),
        (&longer, &["longer than 200"]),
        (&longest, &["too long"]),
        (&many, &["more than"]),
        ("!hello 'Ada", &["quote"]),
        ("!hello Ada\\", &["backslash"]),
    ])
    .await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_71_an_unknown_key_is_refused() {
    refused(&[
        ("!hello nobody=Ada", &["no argument"]),
        ("!hello --nobody Ada", &["no argument"]),
        ("!hello --nobody=Ada", &["no argument"]),
        ("!hello WHO=Ada", &["no argument"]),
        ("!hello who=Ada who=Eve", &["twice"]),
        ("!hello Ada who=Eve Bob", &["too many"]),
        ("!hello --who", &["needs a value"]),
    ])
    .await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_72_a_value_made_for_an_operators_regex_takes_no_time() {
    let entry = "[scripts.arguments.a]\ntype = \"string\"\nregex = '(a+)+b|(a|aa)+c|(.*a){20}d'\nrequired = true";
    let house = House::build(Plan::default().bash("slow-regex", "echo no", entry)).await;
    let begun = std::time::Instant::now();
    let reply = house.ask("carol", "ops", &format!("!slow-regex {}", "a".repeat(15_000))).await;
    assert!(reply.contains("does not have the form"), "{reply}");
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "current_thread")]
async fn row_75_mentions_fences_and_images_in_output_are_text_in_a_fence() {
    let content = "printf '%s\\n' '@all @here @channel @alice' '```' '~~~' '![x](http://example.com/x.png)' '    ````` ' ':tada:' '# x'; printf 'a\\r```\\r@all\\n'";
    let house = House::build(Plan::default().bash("rude", content, "")).await;
    let reply = house.ask("carol", "ops", "!rude").await;
    let fence = reply.lines().nth(1).expect("a fence").trim_end_matches("text").to_owned();
    assert!(fence.len() >= 6 && fence.chars().all(|c| c == '`'), "{reply}");
    let inside = reply.split(&fence).collect::<Vec<_>>();
    assert_eq!(inside.len(), 3, "one fence, closed at its end: {reply}");
    assert!(inside[1].contains("@all @here") && inside[1].contains("![x]") && inside[2].is_empty(), "{reply}");
    assert!(!inside[0].contains('@'), "{reply}");
    // And in what the bot repeats of a command.
    let reply = house.ask("carol", "ops", "!run \"@all ![x](http://example.com) `@here`\"").await;
    assert!(
        reply.contains('`') && !reply.replace("`@all ![x](http://example.com) \u{2cb}@here\u{2cb}`", "").contains('@'),
        "{reply}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn row_76_and_77_nothing_that_acts_on_a_terminal_reaches_chat_log_or_audit_and_no_line_can_be_forged() {
    let content = "printf '\\033[31mred\\033[0m \\033]8;;http://example.com\\007link\\033]8;;\\007 \\033]52;c;eA==\\007 \\302\\233\\nover\\rwritten\\n'";
    let house = House::build(Plan::default().bash("loud", content, "")).await;
    let reply = house.ask("carol", "ops", "!loud").await;
    assert!(reply.contains("red link"), "{reply:?}");
    assert!(reply.chars().all(|c| c == '\n' || !c.is_control()), "{reply:?}");
    let forged = "{\"event\":\"alert\",\"error\":\"forged\"}";
    for text in [
        format!("!argv x\n{forged}\n"),
        format!("!run x\u{1b}[2J\u{1b}]52;c;eA==\u{7}{forged}"),
        format!("!argv \u{9b}31m\r{forged}"),
        "2026-01-01T00:00:00Z ERROR forged".to_owned(),
        "!argv \"2026-01-01T00:00:00Z ERROR forged\"".to_owned(),
    ] {
        house.say("bob", "ops", &text);
    }
    house.works().await;
    let audit = std::fs::read_to_string(house.service.state().join("audit.jsonl")).expect("the audit log");
    let log = house.service.log_tail(10_000);
    for text in [&audit, &log] {
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "control characters: {text:?}");
    }
    assert!(
        audit
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok_and(|record| record["signature"].is_string()))
    );
    assert!(house.audit().iter().all(|record| record["event"] != "alert"));
    assert!(!log.lines().any(|line| line.starts_with('{') || line.contains(" ERROR forged")), "{log}");
}

#[tokio::test(flavor = "current_thread")]
async fn row_77_gigabytes_of_output_take_no_memory_of_the_core() {
    // On a loaded machine it takes a while, and is shown while it runs.
    let flood = "head -c 2G /dev/zero | tr '\\0' x; echo end";
    let house = House::build(Plan::default().bash("flood", flood, "timeout = \"55s\"")).await;
    house.works().await;
    let core = house.pids("core").await[0];
    let before = seen::resident(core);
    assert!(before > 1000, "{before} KiB");
    let post = house.say("carol", "ops", "!flood");
    let mut most = before;
    house
        .wait("the flood to end", || {
            most = most.max(seen::resident(core));
            ["exit 0", "stopped after"].iter().any(|end| house.said(&post).concat().contains(end)).then_some(())
        })
        .await;
    most = most.max(seen::resident(core));
    let said = house.said(&post).concat();
    assert!(said.contains("exit 0") && said.contains("the file holds the beginning"), "{said}");
    assert!(most < before + 16 * 1024, "from {before} to {most} KiB");
    house.works().await;
}

#[tokio::test(flavor = "current_thread")]
async fn in_a_channel_that_is_not_configured_not_even_a_ping_is_answered() {
    let config = Plan::default();
    let config = Plan {
        config: config.config.replace("team = \"bartizan\"", "team = \"bartizan\"\nchannels = [\"ops\"]"),
        ..config
    };
    let house = House::build(config).await;
    let pings = [house.say("alice", "random", "!ping"), house.say("alice", "random", "!hello")];
    house.cause(&pings[1]).await;
    assert_eq!(house.ask("alice", "ops", "!ping").await, "Pong!");
    house.works().await;
    for post in pings {
        house.ignored(&post);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_sensitive_value_is_not_recorded_under_a_mistyped_name_either() {
    let entry = "[scripts.arguments.pin]\ntype = \"string\"\nlength = 20\nsensitive = true\n";
    let house = House::build(Plan::default().bash("set-pin", "echo set", entry)).await;
    for line in ["!set-pni Hush-1", "!run set-pn Hush-2", "!explain set-pinn Hush-3", "!set-pin a b Hush-4"] {
        let reply = house.ask("carol", "ops", line).await;
        assert!(!reply.is_empty());
    }
    house.works().await;
    let log: String = house.audit().iter().map(ToString::to_string).collect();
    assert!(log.contains("arguments withheld") && !log.contains("Hush"), "{log}");
}
