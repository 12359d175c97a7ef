//! Lists of posts: pages, `after`, `before`, `since`, threads.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{person, start};

fn order(list: &Value) -> Vec<&str> {
    list["order"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn pages_come_newest_first_and_name_their_neighbours() {
    let (server, file) = start();
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let ids: Vec<String> = (0..5).filter_map(|n| server.say("alice", "ops", &n.to_string())).collect();
    let first = bot.get(&format!("/channels/{ops}/posts?page=0&per_page=2")).await.json;
    assert_eq!(order(&first), [&ids[4], &ids[3]]);
    assert_eq!((&first["next_post_id"], &first["prev_post_id"]), (&json!(""), &json!(ids[2])));
    let past = bot.get(&format!("/channels/{ops}/posts?page=9&per_page=2")).await.json;
    assert_eq!(past, json!({ "order": [], "posts": {}, "next_post_id": "", "prev_post_id": "" }));
}

#[tokio::test]
async fn after_and_before_give_the_page_next_to_the_anchor() {
    let (server, file) = start();
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let ids: Vec<String> = (0..6).filter_map(|n| server.say("alice", "ops", &n.to_string())).collect();
    let after = bot.get(&format!("/channels/{ops}/posts?after={}&per_page=2", ids[1])).await.json;
    assert_eq!(order(&after), [&ids[3], &ids[2]]);
    assert_eq!((&after["next_post_id"], &after["prev_post_id"]), (&json!(ids[4]), &json!(ids[1])));
    let next = bot.get(&format!("/channels/{ops}/posts?after={}&per_page=2&page=1", ids[1])).await.json;
    assert_eq!(order(&next), [&ids[5], &ids[4]]);
    let before = bot.get(&format!("/channels/{ops}/posts?before={}&per_page=2", ids[4])).await.json;
    assert_eq!(order(&before), [&ids[3], &ids[2]]);
    assert_eq!((&before["next_post_id"], &before["prev_post_id"]), (&json!(ids[4]), &json!(ids[1])));
    let unknown = "y".repeat(26);
    let none = bot.get(&format!("/channels/{ops}/posts?after={unknown}")).await.json;
    assert_eq!((order(&none).len(), &none["prev_post_id"]), (0, &json!(unknown)));
}

#[tokio::test]
async fn since_goes_by_update_time_and_shows_what_was_deleted() {
    let (server, file) = start();
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let old = bot.say(ops, "old").await;
    let gone = bot.say(ops, "gone").await.id();
    let root = bot.say(ops, "root").await.id();
    server.clock_advance(Duration::from_secs(1));
    let reply = bot.reply(ops, &root, "reply").await;
    let since = reply.json["create_at"].as_u64().unwrap_or_default();
    server.clock_advance(Duration::from_secs(1));
    bot.put(&format!("/posts/{}/patch", reply.id()), json!({ "message": "edited" })).await;
    bot.delete(&format!("/posts/{gone}")).await;
    let list = bot.get(&format!("/channels/{ops}/posts?since={since}")).await.json;
    let order = order(&list);
    assert!(order.contains(&gone.as_str()) && order.contains(&reply.id().as_str()));
    assert!(!order.contains(&old.id().as_str()), "nothing happened to it");
    assert!(!order.contains(&root.as_str()), "its update time is not after, it is");
    assert_eq!(list["posts"][&root]["message"], "root", "but it is there for its reply");
    assert_eq!(list["posts"][&gone]["message"], "", "a deleted post says nothing any more");
    let copy = order.iter().find(|id| list["posts"][**id]["original_id"] == reply.id().as_str());
    assert_ne!(list["posts"][*copy.expect("the old wording")]["delete_at"], 0);
    assert_eq!(bot.get(&format!("/channels/{ops}/posts?since=abc")).await.status, 400);
}

#[tokio::test]
async fn since_ends_at_a_thousand() {
    let (server, file) = start();
    for n in 0..1_005 {
        server.say("alice", "random", &n.to_string());
    }
    let bot = person(&file, "bartizan");
    let list = bot.get(&format!("/channels/{}/posts?since=1", file.channels["random"])).await.json;
    assert_eq!(order(&list).len(), 1_000);
}

#[tokio::test]
async fn a_thread_has_its_root_and_counts_its_replies() {
    let (_server, file) = start();
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let root = bot.say(ops, "root").await.id();
    let one = bot.reply(ops, &root, "one").await.id();
    let two = bot.reply(ops, &root, "two").await.id();
    let thread = bot.get(&format!("/posts/{one}/thread")).await.json;
    assert_eq!(order(&thread)[0], one);
    assert_eq!(thread["posts"].as_object().map(|posts| posts.len()), Some(3));
    assert_eq!(thread["posts"][&root]["reply_count"], 2);
    assert_eq!(thread["posts"][&two]["root_id"], root.as_str());
}

#[tokio::test]
async fn what_one_may_not_see_and_what_is_not_there() {
    let (server, file) = start();
    let (bot, mallory) = (person(&file, "bartizan"), person(&file, "mallory"));
    let direct = server.direct_channel("alice", "bartizan").unwrap_or_default();
    let secret = bot.say(&direct, "hello in private").await.id();
    for path in [format!("/channels/{direct}/posts"), format!("/posts/{secret}"), format!("/channels/{direct}")] {
        assert_eq!(mallory.get(&path).await.status, 403);
    }
    assert_eq!(mallory.say(&direct, "x").await.status, 403);
    assert_eq!(bot.get(&format!("/posts/{}", "z".repeat(26))).await.status, 404);
    assert_eq!(bot.get("/posts/xyz").await.status, 400);
    assert_eq!(bot.get(&format!("/channels/{}", "c".repeat(26))).await.status, 404);
    assert_eq!(bot.get(&format!("/channels/{}/posts", "c".repeat(26))).await.status, 403);
    let nosuch = bot.get("/nosuch").await;
    assert_eq!((nosuch.status, nosuch.header("content-type")), (404, "text/plain; charset=utf-8"));
    assert_eq!(bot.delete("/users/me/teams").await.status, 404);
}
