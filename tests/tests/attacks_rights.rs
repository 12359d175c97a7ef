//! Rights, bans and rates under attack: rows 66, 73 and 74 of the attack catalogue, and who counts for how much.

use bartizan_playground::server::{ChannelKind, UserOptions};
use bartizan_playground::service::Role;
use bartizan_tests::house::{House, Plan};
use std::os::unix::fs::PermissionsExt;

/// Two bots that quote each other in one thread, or a person who makes the bot talk: after so many answers it is silent.
#[tokio::test(flavor = "current_thread")]
async fn row_66_a_thread_and_a_channel_get_so_many_answers_and_no_more() {
    let house =
        House::build(Plan::default().config("\n[rate]\nthread-replies = \"3/d\"\nchannel-replies = \"6/d\"\n")).await;
    let root = house.say("carol", "ops", "!hello One");
    house.reply(&root).await;
    let mut asked = Vec::new();
    for number in 0..5 {
        asked.push(house.server.say_in("carol", &root, &format!("!whoami {number}")).expect("a thread"));
    }
    house.cause(&asked[4]).await;
    house.wait("answers", || (house.said(&root).len() >= 3).then_some(())).await;
    // Another thread is answered, until the channel's budget is used up too; direct messages and other channels have theirs.
    let others: Vec<String> = (0..6).map(|_| house.say("bob", "ops", "!whoami")).collect();
    assert!(house.cause(&others[5]).await.contains("enough was answered"));
    assert_eq!(house.ask("bob", "random", "!whoami").await.matches("bob").count(), 1);
    assert_eq!(house.said(&root).len(), 3, "{:?}", house.said(&root));
    let answered = others.iter().filter(|post| !house.said(post).is_empty()).count();
    assert_eq!(answered, 3, "six in all for the channel");
    for silent in [&asked[4], &others[5]] {
        house.ignored(silent);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn row_73_no_ban_overflows_and_none_is_given_for_nothing() {
    let house = House::open().await;
    for (time, words) in [
        ("18446744073709551615w", "longer than ten years"),
        ("18446744073709551616s", "longer than ten years"),
        ("-1h", "not a duration"),
        ("0h", "a ban of no time"),
        ("1.5h", "not a duration"),
        ("\u{661}h", "not a duration"),
    ] {
        let reply = house.ask("alice", "ops", &format!("!ban @carol \"x\" {time}")).await;
        assert!(reply.contains(words), "{time}: {reply}");
    }
    house.works().await;
    let told = house.operator(&["bans", "add", "carol", "x", "99999999999999999999w"]).await;
    assert_ne!(told.code(), Some(0), "{told:?}");
    assert!(house.ask("alice", "ops", "!banlist").await.contains("**1 banned.**"), "only mallory");
}

/// A database whose bans cannot be read is not one without bans: the service does not go on with it.
#[tokio::test(flavor = "current_thread")]
async fn row_73_bans_that_cannot_be_read_at_the_start_let_nobody_through() {
    let house = House::open().await;
    house.ask("alice", "ops", "!ban @carol \"spam\" permanent").await;
    assert!(house.ask("carol", "ops", "!hello").await.contains("You are banned"));
    let state = house.service.state();
    // What the database is at the next start: the same, but for the one whom the ban is about.
    let spoiled = house.files.path().join("spoiled.db");
    for end in ["", "-wal"] {
        std::fs::copy(state.join(format!("state.db{end}")), format!("{}{end}", spoiled.display())).expect("copied");
    }
    let database = rusqlite::Connection::open(&spoiled).expect("a database");
    assert_eq!(database.execute("UPDATE ban SET user = 'nobody' WHERE name = 'carol'", []).expect("spoiled"), 1);
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("in the file");
    drop(database);
    house.service.kill(Role::Core).await.expect("it runs");
    std::fs::copy(&spoiled, state.join("next.db")).expect("copied");
    std::fs::rename(state.join("next.db"), state.join("state.db")).expect("in its place");
    std::fs::write(state.join("state.db-wal"), []).expect("emptied");
    let posts = [house.say("carol", "ops", "!hello"), house.say("bob", "ops", "!hello")];
    let refused = || house.service.complaints(20).contains("is not valid; restore a backup").then_some(());
    house.wait("a service that says why it does not go on", refused).await;
    posts.iter().for_each(|post| house.ignored(post));
    assert_eq!(house.jobs(), 0);
}

/// The same while the service runs: what it knows of bans stays, and what it cannot write ends it.
#[tokio::test(flavor = "current_thread")]
async fn row_73_a_database_that_breaks_under_the_service_lets_no_banned_person_through() {
    let house = House::open().await;
    house.ask("alice", "ops", "!ban @carol \"spam\" permanent").await;
    for file in ["state.db", "state.db-wal"] {
        let path = house.service.state().join(file);
        let length = std::fs::metadata(&path).expect("it is there").len();
        let garbage = vec![0xa5; usize::try_from(length).expect("a small file")];
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).expect("open");
        std::io::Write::write_all(&mut file, &garbage).expect("spoiled");
    }
    let mut posts = vec![house.say("carol", "ops", "!hello")];
    let _gone_already = house.service.kill(Role::Core).await;
    posts.push(house.say("carol", "ops", "!hello"));
    let refused = || house.service.complaints(20).contains("state.db").then_some(());
    house.wait("a service that says which file it cannot read", refused).await;
    assert_eq!(house.jobs(), 0);
    assert!(posts.iter().all(|post| house.said(post).iter().all(|said| said.contains("You are banned"))));
}

#[tokio::test(flavor = "current_thread")]
async fn row_74_the_last_admin_stays_whoever_asks_and_however_fast() {
    let house = House::open().await;
    let reply = house.ask("alice", "ops", "!adduser @bob admin").await;
    assert!(reply.contains("**admin** now"), "{reply}");
    // Both at once: the second of two is decided on what the first one left.
    let posts = [house.say("alice", "ops", "!deluser @bob"), house.say("bob", "ops", "!deluser @alice")];
    let mut replies = Vec::new();
    for post in &posts {
        replies.push(house.reply(post).await);
    }
    let removed = replies.iter().filter(|reply| reply.contains("is not listed any more")).count();
    assert_eq!(removed, 1, "{replies:?}");
    for name in ["alice", "bob"] {
        let told = house.operator(&["people", "remove", name]).await;
        assert_ne!(told.code(), Some(0), "{told:?}");
    }
    let told = house.operator(&["people", "list", "--json"]).await;
    assert_eq!(told.output.matches("\"admin\"").count(), 1, "{}", told.output);
}

/// Files that are reviewed elsewhere must not leave the team without an admin either, also not by a slip.
#[tokio::test(flavor = "current_thread")]
async fn row_74_no_file_takes_the_last_admins_rights_away() {
    let house = House::open().await;
    let home = house.service.state().parent().expect("a home").to_owned();
    let main = i32::try_from(house.pids("launcher").await[0]).expect("a pid");
    let told = || {
        let alerts = house.audit().into_iter().filter(|record| record["event"] == "alert");
        alerts.filter(|record| record["error"].to_string().contains("so alice stays one")).count()
    };
    let kept = async |file: &str, number: usize| {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(main), nix::sys::signal::Signal::SIGHUP).expect("it runs");
        house.wait(file, || (told() == number).then_some(())).await;
        assert!(house.ask("alice", "ops", "!whoami").await.contains("admin"), "{file}");
    };
    for (number, level) in ["user", "banned"].into_iter().enumerate() {
        std::fs::write(home.join("people.toml"), format!("[people]\nalice = \"{level}\"\n")).expect("written");
        std::fs::set_permissions(home.join("people.toml"), PermissionsExt::from_mode(0o600)).expect("mine alone");
        kept("people.toml", number + 1).await;
    }
    house.warned("people.toml would leave nobody as an admin, so alice stays one").await;
    std::fs::remove_file(home.join("people.toml")).expect("removed");
    let config = std::fs::read_to_string(home.join("bartizan.toml")).expect("a configuration");
    let write = |changes: &[(&str, &str)]| {
        let mut text = config.clone();
        for (from, to) in changes {
            assert!(text.contains(from), "{text}");
            text = text.replace(from, to);
        }
        std::fs::write(home.join("bartizan.toml"), text).expect("written");
    };
    write(&[("alice = \"admin\"", "alice = \"user\"")]);
    kept("another level in bartizan.toml", 3).await;
    write(&[("alice = \"admin\"\n", "")]);
    kept("no entry in bartizan.toml", 4).await;
    // In one step with a new one, whatever the order of their names.
    write(&[("alice = \"admin\"\n", ""), ("carol = \"user\"", "carol = \"admin\"")]);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(main), nix::sys::signal::Signal::SIGHUP).expect("it runs");
    house
        .recorded("alice's end", |record| {
            record["event"] == "person-change" && record["userName"] == "alice" && record["after"].is_null()
        })
        .await;
    assert!(house.ask("carol", "ops", "!whoami").await.contains("admin"));
    assert!(!house.ask("alice", "ops", "!whoami").await.contains("admin"));
}

#[tokio::test(flavor = "current_thread")]
async fn row_74_who_is_demoted_or_banned_while_a_job_waits_does_not_get_it() {
    let plan = Plan::default().bash("hold", "echo held; read -r -t 60 < /dev/zero || sleep 60", "timeout = \"60s\"");
    let plan = plan.config("\n[limits]\njobs = 1\n");
    let house = House::build(plan).await;
    let holding = house.say("alice", "ops", "!hold");
    house.recorded("the first job", |record| record["event"] == "job-running").await;
    let deploy = house.say("bob", "ops", "!deploy");
    let hello = house.say("carol", "ops", "!hello");
    house.reaction(&deploy, "hourglass_flowing_sand").await;
    house.reaction(&hello, "hourglass_flowing_sand").await;
    let reply = house.ask("alice", "ops", "!adduser @bob user").await;
    assert!(reply.contains("**user** now"), "{reply}");
    let reply = house.ask("alice", "ops", "!ban @carol \"spam\" 1h").await;
    assert!(reply.contains("is banned until"), "{reply}");
    let told = house.operator(&["kill", "1"]).await;
    assert_eq!(told.code(), Some(0), "{told:?}");
    house.reply(&holding).await;
    assert!(house.reply(&deploy).await.contains("I know no command"), "rights are asked for again at the start");
    house.reaction(&deploy, "no_entry").await;
    house.reaction(&hello, "no_entry").await;
    assert_eq!(house.jobs(), 1, "nothing but the first job was started");
}

/// DESIGN.md section 8.
#[tokio::test(flavor = "current_thread")]
async fn guests_and_remote_accounts_count_as_users_and_deactivated_ones_for_nothing() {
    bartizan_tests::house::stand();
    let server = bartizan_playground::server::Server::start(Default::default()).expect("a server");
    let none = UserOptions::default();
    server.add_user("gina", UserOptions { guest: true, ..none });
    server.add_user("remo", UserOptions { remote: true, ..none });
    server.add_user("dora", none);
    for name in ["gina", "remo", "dora"] {
        server.add_member(name, "ops");
    }
    let plan = Plan::default();
    let people =
        plan.config.replace("[people]", "[people]\ngina = \"operator\"\nremo = \"admin\"\ndora = \"operator\"");
    let house = House::at(server, Plan { config: people, ..plan }).await;
    for name in ["gina", "remo"] {
        let reply = house.ask(name, "ops", "!deploy").await;
        assert!(reply.contains("I know no command"), "{name}: {reply}");
        assert!(house.ask(name, "ops", "!hello").await.contains("exit 0"), "{name} counts as user");
        let reply = house.ask("alice", "ops", &format!("!adduser @{name} operator")).await;
        assert!(reply.contains("counts as user at most") || reply.contains("Nothing to change"), "{name}: {reply}");
        let reply = house.ask("alice", "ops", &format!("!chattr @{name} +x")).await;
        assert!(reply.contains("counts as user at most"), "{name}: {reply}");
    }
    assert!(house.ask("dora", "ops", "!deploy").await.contains("exit 0"));
    house.server.deactivate("dora");
    let reply = house.ask("alice", "ops", "!chattr @dora +x").await;
    assert!(reply.contains("deactivated"), "{reply}");
    let reply = house.ask("alice", "ops", "!whois @dora").await;
    assert!(reply.contains("deactivated account"), "{reply}");
}

/// Groups of the server: read again while the service runs, and empty where it has none.
#[tokio::test(flavor = "current_thread")]
async fn a_group_of_the_servers_is_who_is_in_it_there_and_nobody_without_a_licence() {
    let entry = "allowed-groups = [\"on-call\"]";
    let plan =
        Plan::default().config("\n[groups]\non-call = { mattermost = \"on-call\" }\n").bash("page", "echo ok", entry);
    let house = House::build(plan).await;
    assert!(house.ask("dave", "ops", "!page").await.contains("exit 0"));
    assert!(house.ask("carol", "ops", "!page").await.contains("I know no command"));
    house.server.set_group("on-call", &["carol"]);
    house.service.kill(Role::Egress).await.expect("egress runs");
    house.works().await;
    assert!(house.ask("carol", "ops", "!page").await.contains("exit 0"), "asked again with a new egress");
    assert!(house.ask("dave", "ops", "!page").await.contains("I know no command"));
    house.server.without_groups();
    house.service.kill(Role::Egress).await.expect("egress runs");
    house.works().await;
    assert!(house.ask("carol", "ops", "!page").await.contains("I know no command"));
    let status = house.service.status().await.expect("a status").to_string();
    assert!(status.contains("no group"), "{status}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_script_for_a_channel_by_id_and_one_for_private_channels_run_there_and_nowhere_else() {
    bartizan_tests::house::stand();
    let server = bartizan_playground::server::Server::start(Default::default()).expect("a server");
    let closed = server.add_channel("war-room", ChannelKind::Private, &["bob", "carol", "bartizan"]);
    let ops = server.file().channels["ops"].clone();
    let plan = Plan::default().bash("by-id", "echo ok", &format!("allowed-channels = [\"{ops}\"]")).bash(
        "closed",
        "echo ok",
        "private-only = true",
    );
    let house = House::at(server, plan).await;
    assert!(house.ask("carol", "ops", "!by-id").await.contains("exit 0"));
    assert!(house.ask("carol", "random", "!by-id").await.contains("not here"));
    assert!(house.ask("carol", "ops", "!closed").await.contains("private channels"));
    assert!(house.ask("carol", &closed, "!closed").await.contains("exit 0"));
    let told = house.operator(&["explain", "--as", "carol", "--channel", "war-room", "closed"]).await;
    assert!(told.output.contains("It would be let through"), "{told:?}");
    let told = house.operator(&["explain", "--as", "carol", "--channel", "no-such-channel", "closed"]).await;
    assert!(told.code() != Some(0) && told.output.contains("would be ignored"), "{told:?}");
}
