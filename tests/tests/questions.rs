//! Questions in chat: who may answer them, and what becomes of them when the service ends.

use bartizan_playground::service::Role;
use bartizan_proto::connector::{DeliveryId, FromConnector, Report};
use bartizan_tests::house::puppet::{Puppets, connector, report_of};
use bartizan_tests::house::{House, Plan, programs, web};
use std::time::Duration;

const ENTRY: &str = "[scripts.arguments.what]\ntype = \"string\"\nlength = 20\nrequired = true\n";

fn plan(config: &str) -> Plan {
    Plan::default().config(config).bash("give", "echo \"Got [$1]\"", ENTRY)
}

#[tokio::test(flavor = "current_thread")]
async fn in_a_direct_message_the_next_words_are_the_answer_and_a_word_of_ours_among_them_is_one_too() {
    let house = House::build(plan("")).await;
    let bot = house.server.file().bot.name;
    let channel = house.server.direct_channel("carol", &bot).expect("a direct message");
    let post = house.say("carol", &channel, "run give");
    assert!(house.reply(&post).await.contains("`what` is missing"));
    let answer = house.say("carol", &channel, "ping");
    let replies = house.replies(&post, 2).await;
    assert!(replies[1].contains("Got [ping]"), "{replies:?}");
    assert!(house.said(&answer).is_empty());
    assert_eq!(house.ask("carol", &channel, "ping").await, "Pong!", "it is over");
}

#[tokio::test(flavor = "current_thread")]
async fn who_does_not_answer_in_time_or_not_before_the_service_ends_is_told() {
    let house = House::build(plan("[limits]\nanswer-within = \"1s\"\n")).await;
    let post = house.say("carol", "ops", "!run give");
    let replies = house.replies(&post, 2).await;
    assert!(replies[1].contains("No answer came in time"), "{replies:?}");
    house.reaction(&post, "no_entry").await;
    house.server.say_in("carol", &post, "late").expect("said");
    house.works().await;
    assert_eq!(house.said(&post).len(), 2, "too late");
    assert!(house.server.reactions(&post).iter().all(|(_, emoji)| emoji != "question"), "it is no question any more");

    let house = House::build(plan("")).await;
    let post = house.say("carol", "ops", "!run give");
    house.reply(&post).await;
    house.service.kill(Role::Core).await.expect("killed");
    house.server.say_in("carol", &post, "meanwhile").expect("said");
    house.service.connected().await.expect("back");
    let replies = house.replies(&post, 2).await;
    assert!(replies[1].contains("I was started again before you answered"), "{replies:?}");
    assert!(house.cause(&post).await.contains("the service ended before its author answered"));
    house.works().await;
    assert_eq!((house.said(&post).len(), house.jobs()), (2, 1), "nothing was run with it");
}

#[tokio::test(flavor = "current_thread")]
async fn an_answer_outlives_the_connector_and_nobody_is_asked_without_end() {
    let house = House::build(plan("")).await;
    let post = house.say("carol", "ops", "!run give");
    house.reply(&post).await;
    house.service.kill(Role::Connector).await.expect("killed");
    // Said while nobody listens: it is found by catching up.
    house.server.say_in("carol", &post, "found").expect("said");
    let replies = house.replies(&post, 2).await;
    assert!(replies[1].contains("Got [found]"), "{replies:?}");
    let asked: Vec<String> = (0..5).map(|_| house.say("carol", "ops", "!run give")).collect();
    let mut questions = 0;
    for post in &asked {
        questions += usize::from(house.reply(post).await.contains("What is it?"));
    }
    assert_eq!(questions, 3, "the others are shown the usage");
}

#[tokio::test(flavor = "current_thread")]
async fn row_78_a_sensitive_argument_is_asked_for_in_private_and_an_answer_is_its_authors_own() {
    let sensitive = format!("{ENTRY}sensitive = true\n");
    let house = House::build(Plan::default().bash("give", "echo got it", &sensitive)).await;
    let reply = house.ask("carol", "ops", "!run give").await;
    assert!(reply.contains("what is missing") && !reply.contains("What is it?"), "{reply}");
    let bot = house.server.file().bot.name;
    let channel = house.server.direct_channel("carol", &bot).expect("a direct message");
    let post = house.say("carol", &channel, "run give");
    house.reply(&post).await;
    house.server.say_in("carol", &post, "Hush-4711").expect("said");
    let replies = house.replies(&post, 2).await;
    assert!(replies[1].contains("got it"), "{replies:?}");
    assert!(house.audit().iter().all(|record| !record.to_string().contains("Hush-4711")), "nowhere in the log");
}

/// Also where it comes too late, or too fast to be looked at.
#[tokio::test(flavor = "current_thread")]
async fn row_77_an_answer_that_is_not_taken_is_not_in_the_log_either() {
    let sensitive = format!("{ENTRY}sensitive = true\n");
    for (config, said) in
        [("[limits]\nanswer-within = \"1s\"\n", "I know no command"), ("[rate]\nuser = \"1/h\"\n", "That is too fast")]
    {
        let plan = Plan::default().config(config).bash("give", "echo got it", &sensitive);
        let house = House::build(plan).await;
        let bot = house.server.file().bot.name;
        let channel = house.server.direct_channel("bob", &bot).expect("a direct message");
        let post = house.say("bob", &channel, "run give");
        assert!(house.reply(&post).await.contains("What is it?"));
        if config.contains("limits") {
            assert!(house.replies(&post, 2).await[1].contains("No answer came in time"));
        }
        let answer = house.ask("bob", &channel, "Hush-4711").await;
        assert!(answer.contains(said), "{answer}");
        house.recorded("that it was refused", |record| record.to_string().contains("it may answer a question")).await;
        let written: Vec<_> = house.audit().into_iter().filter(|record| record.to_string().contains("Hush")).collect();
        assert!(written.is_empty(), "{written:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn row_78_a_connector_cannot_answer_for_somebody() {
    programs();
    let server = bartizan_playground::server::Server::start(Default::default()).expect("the server starts");
    let post = server.say("carol", "ops", "!run give").expect("said");
    let other = server.say_in("bob", &post, "evil").expect("said");
    let (asked, words) = (report_of(&server, "ops", &post), report_of(&server, "ops", &other));
    let author = asked.author;
    let part = connector(move |channel, _| {
        let mut say = |message| {
            let _dropped = channel.send(&message);
            std::thread::sleep(Duration::from_millis(300));
        };
        say(FromConnector::Post(asked));
        // As they are, and as if they were hers.
        say(FromConnector::Post(words.clone()));
        say(FromConnector::Post(Report { author, ..words }));
        let outcome = bartizan_proto::connector::Delivered::Done;
        say(FromConnector::Delivered { delivery: DeliveryId(9999), outcome });
    });
    let puppets = Puppets::instead_of(bartizan_proto::Role::Connector, vec![part]);
    let house = House::at(server, plan("").programs(puppets.programs())).await;
    assert!(house.reply(&post).await.contains("`what` is missing"));
    house.works().await;
    assert_eq!((house.said(&post).len(), house.jobs()), (1, 1), "{:?}", house.said(&post));
    house.server.say_in("carol", &post, "hers").expect("said");
    let replies = house.replies(&post, 2).await;
    assert!(replies[1].contains("Got [hers]"), "{replies:?}");
}

/// What people wrote before they were asked, and elsewhere, as if it were an answer: the connector lies about the time and the
/// place, which only the server knows.
#[tokio::test(flavor = "current_thread")]
async fn row_78_what_somebody_wrote_before_they_were_asked_or_elsewhere_is_no_answer() {
    programs();
    let server = bartizan_playground::server::Server::start(Default::default()).expect("the server starts");
    let mut reports = Vec::new();
    let commands = ["!run give", "!asks"].map(|command| server.say("carol", "ops", command).expect("said"));
    for command in &commands {
        let early = server.say_in("carol", command, "early").expect("said");
        reports.push((report_of(&server, "ops", command), report_of(&server, "ops", &early)));
    }
    server.clock_advance(Duration::from_secs(20));
    let (url, token) = (server.url(), server.file().users["carol"].token.clone());
    let part = connector(move |channel, _| {
        let mut say = |report| {
            let _dropped = channel.send(&FromConnector::Post(report));
            std::thread::sleep(Duration::from_millis(700));
        };
        for (asked, early) in reports {
            say(asked.clone());
            // Withheld until now, and said to be new.
            say(Report { created_ms: early.created_ms + 60_000, ..early });
            // In the channel, and said to be in a direct message.
            let body = serde_json::json!({"channel_id": asked.channel, "message": "talk"});
            let (_, post) = web::ask(&url, "POST", "/api/v4/posts", &token, &body);
            let post: serde_json::Value = serde_json::from_str(&post).expect("a post");
            let post_id = post["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
            let text = bartizan_proto::Text::cut("talk");
            let created_ms = post["create_at"].as_u64().expect("a time");
            say(Report { post: post_id, text, created_ms, direct: true, ..asked });
        }
        let outcome = bartizan_proto::connector::Delivered::Done;
        let _dropped = channel.send(&FromConnector::Delivered { delivery: DeliveryId(9999), outcome });
    });
    let puppets = Puppets::instead_of(bartizan_proto::Role::Connector, vec![part]);
    let script = "answer=$(bz ask --timeout 60 'Go on?'); echo \"Told [$answer]\"";
    let plan = plan("").bash("asks", script, "timeout = \"2m\"\napi = [\"ask\"]\n");
    let house = House::at(server, plan.programs(puppets.programs())).await;
    for command in &commands {
        house.reply(command).await;
    }
    house.service.connected().await.expect("the real one is there");
    house.works().await;
    for (command, answered) in commands.iter().zip(["Got [hers]", "Told [hers]"]) {
        assert_eq!(house.said(command).len(), 1, "only the question: {:?}", house.said(command));
        house.server.say_in("carol", command, "hers").expect("said");
        let replies = house.replies(command, 2).await;
        assert!(replies[1].contains(answered), "{replies:?}");
    }
}

/// As `bartizan approve` prints it, cut.
const SIGNED: &str = "approve a7 U1NIU0lHAAAAAQ==";

#[tokio::test(flavor = "current_thread")]
async fn row_23_what_is_confided_to_the_bot_is_no_answer_to_a_question() {
    let config = "[brain]\nsecrets-by-direct-message = true\n";
    let asks = "name=$(bz ask 'Which one?') && echo \"Asked and got [$name]\"\n";
    let plan = plan(config).bash("curious", asks, "api = [\"ask\"]\n");
    let house = House::build(plan).await;
    let bot = house.server.file().bot.name;
    let channel = house.server.direct_channel("alice", &bot).expect("a direct message");
    for (command, question) in [("run give", "`what` is missing"), ("curious", "Which one?")] {
        let post = house.say("alice", &channel, command);
        let there = |words: &str| house.said(&post).iter().any(|said| said.contains(words)).then_some(());
        house.wait("the question", || there(question)).await;
        for told in ["elevate 135790", "secret set deploy/key Hush-4711", "elevate abcd-efgh-ijkl-mnop", SIGNED] {
            let told = house.say("alice", &channel, told);
            house.reply(&told).await;
        }
        house.say("alice", &channel, "mine");
        house.wait("the answer's effect", || there("[mine]")).await;
    }
    for hidden in ["135790", "Hush-4711", "abcd-efgh"] {
        assert!(house.audit().iter().all(|record| !record.to_string().contains(hidden)), "{hidden} is in the log");
    }
}
