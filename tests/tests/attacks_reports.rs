//! A connector that reports, truthfully, what nobody may be obeyed for: the core asks the server itself about each post, and
//! judges by that (row 78).

use bartizan_playground::server::{ChannelKind, Options, Server, UserOptions};
use bartizan_proto::connector::{DeliveryId, FromConnector, Reaction, Report};
use bartizan_tests::house::puppet::{Puppets, connector, report_of};
use bartizan_tests::house::{House, Plan, programs, web};
use serde_json::{Value, json};
use std::time::Duration;

/// As a person would over the server's own interface.
fn over_rest(server: &Server, who: &str, method: &str, path: &str, body: &Value) -> Value {
    let (status, body) = web::ask(&server.url(), method, path, &server.file().users[who].token, body);
    assert!(status < 300, "{method} {path}: {status} {body}");
    serde_json::from_str(&body).unwrap_or_default()
}

#[tokio::test(flavor = "current_thread")]
async fn row_78_old_foreign_edited_deleted_and_system_posts_and_those_for_others_run_nothing() {
    programs();
    let server = Server::start(Options::default()).expect("the server starts");
    let file = server.file();
    let said = |who: &str, channel: &str, text: &str| {
        let post = server.say(who, channel, text).expect("said");
        report_of(&server, channel, &post)
    };
    let old = said("carol", "ops", "!hello Old");
    server.clock_advance(Duration::from_secs(600));
    // As if it were new: its age is the server's word, not the connector's.
    let old = Report { created_ms: old.created_ms + 600_000, ..old };
    let mut cases: Vec<(Report, &str)> = vec![
        (old, "s old"),
        (said("carol", "random", "!hello Elsewhere"), "channel"),
        (Report { direct: true, ..said("carol", "random", "hello Elsewhere") }, "channel"),
    ];
    // A channel of the team in which the bot is not, and a group message that is said to be a direct one.
    let unseen = server.add_channel("unseen", ChannelKind::Private, &["carol"]);
    cases.push((said("carol", &unseen, "!hello Unseen"), ""));
    let group: Vec<&str> = [&file.users["bob"].id, &file.users["carol"].id, &file.bot.id].map(|id| id.as_str()).into();
    let group = over_rest(&server, "carol", "POST", "/api/v4/channels/group", &json!(group));
    let group = group["id"].as_str().expect("an id").to_owned();
    let post =
        over_rest(&server, "carol", "POST", "/api/v4/posts", &json!({"channel_id": group, "message": "hello Group"}));
    let post = post["id"].as_str().expect("an id").to_owned();
    cases.push((Report { direct: true, ..report_of(&server, &group, &post) }, "group message"));
    // Edited: reported as it was, and as it is.
    for reported_first in [true, false] {
        let before = said("carol", "ops", "nothing yet");
        let path = format!("/api/v4/posts/{}/patch", before.post);
        over_rest(&server, "carol", "PUT", &path, &json!({"message": "!hello Edited"}));
        let after = report_of(&server, "ops", before.post.as_str());
        cases.push((
            if reported_first { Report { text: bartizan_proto::Text::cut("!hello Before"), ..before } } else { after },
            "edited",
        ));
    }
    let deleted = said("carol", "ops", "!hello Deleted");
    over_rest(&server, "carol", "DELETE", &format!("/api/v4/posts/{}", deleted.post), &json!({}));
    cases.push((deleted, ""));
    // A post of a kind of its own, as plugins and the server make them, and another bot's.
    let body = json!({"channel_id": file.channels["ops"], "message": "!hello Custom", "type": "custom_note"});
    let custom = over_rest(&server, "carol", "POST", "/api/v4/posts", &body);
    cases.push((report_of(&server, "ops", custom["id"].as_str().expect("an id")), "system post"));
    server.add_user("robot", UserOptions { bot: true, ..UserOptions::default() });
    cases.push((said("robot", "ops", "!hello Robot"), "bot"));
    // For somebody else, or for nobody: looked at, and left alone.
    let others: Vec<Report> =
        ["@robot deploy", "@bartizan-two: hello", "hello", "! hello"].map(|text| said("carol", "ops", text)).into();

    let reports: Vec<Report> = cases.iter().map(|(report, _)| report.clone()).chain(others.iter().cloned()).collect();
    let part = connector(move |channel, _| {
        for report in reports {
            // The core may have hung up on a lie; the next connector is the real one.
            let _dropped = channel.send(&FromConnector::Post(report));
            std::thread::sleep(Duration::from_millis(30));
        }
        // Ends by what no connector may say.
        let _gone = channel.send(&FromConnector::Delivered {
            delivery: DeliveryId(9999),
            outcome: bartizan_proto::connector::Delivered::Done,
        });
    });
    let puppets = Puppets::instead_of(bartizan_proto::Role::Connector, vec![part]);
    let plan = Plan::default().programs(puppets.programs());
    let plan = Plan {
        config: plan.config.replace("team = \"bartizan\"", "team = \"bartizan\"\nchannels = [\"ops\"]"),
        ..plan
    };
    let house = House::at(server, plan).await;
    for (report, why) in &cases {
        let cause = house.cause(report.post.as_str()).await;
        assert!(cause.contains(why), "{:?} ({why}): {cause}", report.text);
    }
    house.service.connected().await.expect("the real one is back");
    house.works().await;
    for report in &others {
        assert!(house.said(report.post.as_str()).is_empty(), "{:?}", report.text);
        assert!(house.server.reactions(report.post.as_str()).is_empty(), "{:?}", report.text);
    }
    assert_eq!(house.jobs(), 1, "only the one of the test's own");
}

#[tokio::test(flavor = "current_thread")]
async fn row_78_a_reaction_that_nobody_made_says_nothing_for_them() {
    programs();
    let server = Server::start(Options::default()).expect("the server starts");
    let post = server.say("carol", "ops", "!hello Late").expect("said");
    let carol = server.file().users["carol"].id.parse().expect("an id");
    let report = report_of(&server, "ops", &post);
    server.clock_advance(Duration::from_secs(600));
    let (late, emoji) = (report.post, "white_check_mark");
    let part = connector(move |channel, _| {
        let say = |channel: &mut bartizan_proto::channel::Channel, message| {
            let _dropped = channel.send(&message);
            std::thread::sleep(Duration::from_millis(300));
        };
        // It is too old, so that its author is asked; then she is said to have answered.
        say(channel, FromConnector::Post(report));
        let reaction = Reaction { post: late, user: carol, emoji: emoji.parse().expect("an emoji") };
        say(channel, FromConnector::Reaction(reaction));
        say(channel, FromConnector::ReactionsMissed);
        let nothing = bartizan_proto::connector::Delivered::Done;
        say(channel, FromConnector::Delivered { delivery: DeliveryId(9999), outcome: nothing });
    });
    let puppets = Puppets::instead_of(bartizan_proto::Role::Connector, vec![part]);
    let house = House::at(server, Plan::default().programs(puppets.programs())).await;
    let asked = house.reply(&post).await;
    assert!(asked.contains("still wanted"), "{asked}");
    house.works().await;
    assert_eq!((house.said(&post).len(), house.jobs()), (1, 1), "only the test's own: {:?}", house.said(&post));
    // It was hers to say, and still is.
    assert!(house.server.react("carol", &post, emoji));
    let answers = house.replies(&post, 2).await;
    assert!(answers[1].contains("Hello, Late!"), "{answers:?}");
}
