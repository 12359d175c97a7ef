//! Users, log-in, channels, reactions, files, webhooks, the rest.

use bartizan_playground::server::{ChannelKind, UserOptions, password_of};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{inner, person, start};

#[tokio::test]
async fn people_log_in_with_a_password_and_out_again() {
    let (server, file) = start();
    let nobody = person(&file, "alice").with_token("");
    let login = |name: &str| json!({ "login_id": name, "password": password_of(name) });
    let answer = nobody.post("/users/login", login("alice")).await;
    assert_eq!((answer.status, &answer.json["username"]), (200, &json!("alice")));
    let alice = nobody.with_token(answer.header("token"));
    assert_eq!(alice.get("/users/me").await.json["id"], file.users["alice"].id.as_str());
    assert_eq!(alice.post("/users/logout", json!({})).await.status, 200);
    assert_eq!(alice.get("/users/me").await.status, 401);

    let wrong = nobody.post("/users/login", json!({ "login_id": "alice", "password": "wrong" })).await;
    assert_eq!((wrong.status, &wrong.json["id"]), (401, &json!("api.user.login.invalid_credentials_email_username")));
    assert_eq!(nobody.post("/users/login", login("bartizan")).await.status, 401, "bots have no password");
    server.deactivate("bob");
    assert_eq!(nobody.post("/users/login", login("bob")).await.status, 401);
    assert_eq!(person(&file, "bob").get("/users/me").await.status, 401);
}

#[tokio::test]
async fn a_token_is_found_in_every_place_it_may_be() {
    let (_server, file) = start();
    let (bot, nobody) = (person(&file, "bartizan"), person(&file, "bartizan").with_token(""));
    for (name, value) in [
        ("authorization", format!("BEARER {}", bot.token)),
        ("authorization", format!("token {}", bot.token)),
        ("cookie", format!("a=b; MMAUTHTOKEN={}", bot.token)),
    ] {
        let request = nobody.request(Method::GET, "/api/v4/users/me").header(name, value);
        assert_eq!(nobody.send(request).await.expect("an answer").status, 200);
    }
    let refused = nobody.get("/users/me").await;
    assert_eq!((refused.status, &refused.json["id"]), (401, &json!("api.context.session_expired.app_error")));
    assert_eq!(refused.json["request_id"], refused.header("x-request-id"));
}

#[tokio::test]
async fn users_are_found_by_id_name_and_in_lots() {
    let (server, file) = start();
    let (bot, alice) = (person(&file, "bartizan"), file.users["alice"].id.as_str());
    for path in [format!("/users/{alice}"), "/users/username/alice".into(), "/users/email/alice@bartizan.test".into()] {
        let user = bot.get(&path).await.json;
        assert_eq!((&user["id"], user.get("notify_props")), (&json!(alice), None));
    }
    assert!(bot.get("/users/me").await.json["is_bot"].as_bool().unwrap_or_default());
    assert_eq!(bot.post("/users/ids", json!([alice, "x"])).await.json.as_array().map(Vec::len), Some(1));
    assert_eq!(bot.post("/users/usernames", json!(["alice", "nobody"])).await.json[0]["id"], alice);
    assert_eq!(bot.post("/users/search", json!({ "term": "ali" })).await.json[0]["id"], alice);
    assert_eq!(bot.get("/users/username/nobody").await.status, 404);
    server.add_user("visitor", UserOptions { guest: true, ..UserOptions::default() });
    server.add_user("faraway", UserOptions { remote: true, ..UserOptions::default() });
    server.add_user("former", UserOptions { deactivated: true, ..UserOptions::default() });
    assert_eq!(bot.get("/users/username/visitor").await.json["roles"], "system_guest");
    assert!(bot.get("/users/username/faraway").await.json["remote_id"].is_string());
    assert_ne!(bot.get("/users/username/former").await.json["delete_at"], 0);
}

#[tokio::test]
async fn a_freed_username_can_be_taken_by_somebody_else() {
    let (server, file) = start();
    let bot = person(&file, "bartizan");
    assert!(!server.rename_user("mallory", "alice"), "taken");
    assert!(server.rename_user("alice", "alice-before"));
    assert!(server.rename_user("mallory", "alice"));
    assert_eq!(bot.get("/users/username/alice").await.json["id"], file.users["mallory"].id.as_str());
}

#[tokio::test]
async fn teams_and_channels_are_found_by_name() {
    let (_server, file) = start();
    let (bot, team) = (person(&file, "bartizan"), &file.team.id);
    assert_eq!(bot.get("/teams/name/bartizan").await.id(), *team);
    assert_eq!(bot.get("/users/me/teams").await.json[0]["id"], team.as_str());
    for path in [format!("/teams/{team}/channels/name/ops"), "/teams/name/bartizan/channels/name/ops".into()] {
        assert_eq!(bot.get(&path).await.id(), file.channels["ops"]);
    }
    let missing = bot.get(&format!("/teams/{team}/channels/name/nosuch")).await;
    assert_eq!((missing.status, &missing.json["id"]), (404, &json!("app.channel.get_by_name.missing.app_error")));
    assert_eq!(bot.get(&format!("/users/me/teams/{team}/channels")).await.json.as_array().map(Vec::len), Some(4));
    assert_eq!(bot.get(&format!("/channels/{}/stats", file.channels["ops"])).await.json["member_count"], 6);
}

#[tokio::test]
async fn a_direct_channel_is_named_by_both_ids() {
    let (_server, file) = start();
    let (bot, alice, mallory) = (person(&file, "bartizan"), person(&file, "alice"), person(&file, "mallory"));
    let mut socket = bot.socket().await;
    let made = alice.post("/channels/direct", json!([alice.id, bot.id])).await;
    let (first, second) = if alice.id < bot.id { (&alice.id, &bot.id) } else { (&bot.id, &alice.id) };
    assert_eq!((made.status, &made.json["name"]), (201, &json!(format!("{first}__{second}"))));
    assert_eq!((&made.json["type"], &made.json["team_id"]), (&json!("D"), &json!("")));
    let added = socket.event("direct_added").await;
    assert_eq!(added["data"], json!({ "creator_id": alice.id, "teammate_id": bot.id }));
    alice.say(&made.id(), "status please").await;
    let posted = socket.event("posted").await;
    assert_eq!(posted["data"]["channel_display_name"], "@alice");
    assert_eq!(posted["data"]["mentions"], json!([bot.id]).to_string());
    assert_eq!(bot.post("/channels/direct", json!([bot.id, alice.id])).await.id(), made.id());
    assert_eq!(mallory.post("/channels/direct", json!([bot.id, alice.id])).await.status, 403);
    assert_eq!(bot.post("/channels/direct", json!([bot.id, "z".repeat(26)])).await.status, 400);
    let group = alice.post("/channels/group", json!([alice.id, bot.id, mallory.id])).await;
    assert_eq!((group.status, &group.json["type"]), (201, &json!("G")));
}

#[tokio::test]
async fn coming_and_going_is_told_to_both_sides() {
    let (server, file) = start();
    let (bot, alice, mallory) = (person(&file, "bartizan"), person(&file, "alice"), person(&file, "mallory"));
    let (mut seen, mut gone) = (alice.socket().await, mallory.socket().await);
    let random = &file.channels["random"];
    assert_eq!(mallory.delete(&format!("/channels/{random}/members/me")).await.status, 200);
    assert_eq!(seen.event("user_removed").await["data"]["user_id"], mallory.id.as_str());
    assert_eq!(gone.event("user_removed").await["data"]["channel_id"], random.as_str());
    let left = seen.event("posted").await;
    assert_eq!(left["data"]["sender_name"], "System");
    assert_eq!(inner(&left["data"]["post"])["type"], "system_leave_channel");
    assert_eq!(mallory.say(random, "x").await.status, 403);
    assert_eq!(mallory.get(&format!("/channels/{random}/posts")).await.status, 403);
    let join = json!({ "user_id": mallory.id });
    assert_eq!(mallory.post(&format!("/channels/{random}/members"), join).await.status, 201);
    assert_eq!(inner(&seen.event("posted").await["data"]["post"])["type"], "system_join_channel");

    let mut socket = bot.socket().await;
    server.remove_member("bartizan", "random");
    assert_eq!(socket.event("user_removed").await["data"]["channel_id"], random.as_str());
    alice.say(random, "@bartizan are you there").await;
    server.add_member("bartizan", "random");
    let next = socket.event("posted").await;
    assert_eq!(inner(&next["data"]["post"])["type"], "system_add_to_channel", "it heard nothing in between");
    assert_eq!(next["data"]["mentions"], json!([bot.id]).to_string());
}

#[tokio::test]
async fn a_private_channel_is_seen_by_its_members_only() {
    let (server, file) = start();
    let id = server.add_channel("vault", ChannelKind::Private, &["alice"]);
    assert_eq!(person(&file, "alice").get(&format!("/channels/{id}")).await.json["type"], "P");
    assert_eq!(person(&file, "bob").get(&format!("/channels/{id}")).await.status, 403);
    let join = json!({ "user_id": file.users["bob"].id });
    assert_eq!(person(&file, "bob").post(&format!("/channels/{id}/members"), join).await.status, 403);
}

#[tokio::test]
async fn reactions_are_names_and_belong_to_their_author() {
    let (server, file) = start();
    let (bot, alice, ops) = (person(&file, "bartizan"), person(&file, "alice"), &file.channels["ops"]);
    let mut socket = bot.socket().await;
    let post = alice.say(ops, "!ping").await.id();
    let reaction = |user: &str, name: &str| json!({ "user_id": user, "post_id": post, "emoji_name": name });
    assert_eq!(bot.post("/reactions", reaction(&bot.id, "white_check_mark")).await.status, 200);
    assert_eq!(bot.post("/reactions", reaction(&bot.id, "white_check_mark")).await.status, 200);
    assert_eq!(alice.post("/reactions", reaction(&alice.id, "+1")).await.status, 200);
    let heard = inner(&socket.event("reaction_added").await["data"]["reaction"]);
    assert_eq!((&heard["emoji_name"], &heard["post_id"]), (&json!("white_check_mark"), &json!(post)));
    assert_eq!(bot.post("/reactions", reaction(&bot.id, "no:such")).await.status, 400);
    assert_eq!(bot.post("/reactions", reaction(&alice.id, "tada")).await.status, 403);
    let all = bot.get(&format!("/posts/{post}/reactions")).await.json;
    assert_eq!(all.as_array().map(Vec::len), Some(2), "the same one twice is one");
    let with = bot.get(&format!("/posts/{post}")).await.json;
    assert_eq!((&with["has_reactions"], &with["metadata"]["reactions"]), (&json!(true), &all));
    assert_eq!(bot.delete(&format!("/users/{}/posts/{post}/reactions/%2B1", alice.id)).await.status, 403);
    assert_eq!(alice.delete(&format!("/users/me/posts/{post}/reactions/%2B1")).await.status, 200);
    assert_eq!(inner(&socket.event("reaction_removed").await["data"]["reaction"])["create_at"], 0);
    assert_eq!(server.reactions(&post), [("bartizan".to_owned(), "white_check_mark".to_owned())]);
}

#[tokio::test]
async fn a_file_belongs_to_the_first_post_that_names_it() {
    let (_server, file) = start();
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let upload = bot
        .request(Method::POST, &format!("/api/v4/files?channel_id={ops}&filename=log.txt"))
        .header("content-type", "text/plain")
        .body("line one\n");
    let upload = bot.send(upload).await.expect("an answer");
    let info = &upload.json["file_infos"][0];
    assert_eq!((upload.status, &info["name"], &info["size"]), (201, &json!("log.txt"), &json!(9)));
    let id = info["id"].as_str().unwrap_or_default();
    let post = |text: &str| json!({ "channel_id": ops, "message": text, "file_ids": [id] });
    let first = bot.post("/posts", post("see file")).await.json;
    assert_eq!((&first["file_ids"], &first["metadata"]["files"][0]["post_id"]), (&json!([id]), &first["id"]));
    assert_eq!(bot.post("/posts", post("again")).await.json.get("file_ids"), None);
    assert_eq!(person(&file, "alice").get(&format!("/files/{id}")).await.text, "line one\n");
    assert_eq!(bot.get(&format!("/files/{id}/info")).await.json["extension"], "txt");

    let boundary = "XX";
    let form = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"channel_id\"\r\n\r\n{ops}\r\n--XX\r\nContent-Disposition: \
         form-data; name=\"client_ids\"\r\n\r\nc1\r\n--XX\r\nContent-Disposition: form-data; name=\"files\"; \
         filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\nabc\r\n--XX--\r\n"
    );
    let request = bot
        .request(Method::POST, "/api/v4/files")
        .header("content-type", format!("multipart/form-data; boundary={boundary}"))
        .body(form);
    let upload = bot.send(request).await.expect("an answer");
    assert_eq!((upload.status, &upload.json["client_ids"]), (201, &json!(["c1"])));
    let six: Vec<String> = (0..6).map(|_| "f".repeat(26)).collect();
    let many = json!({ "channel_id": ops, "message": "x", "file_ids": six });
    assert_eq!(bot.post("/posts", many).await.status, 400);
}

#[tokio::test]
async fn a_webhooks_post_carries_its_owners_id() {
    let (server, file) = start();
    let bot = person(&file, "bartizan");
    let mut socket = bot.socket().await;
    let path = server.create_webhook("alice", "deployments").expect("a hook");
    let nobody = bot.with_token("");
    let hook = |body: Value| nobody.request(Method::POST, &path).body(body.to_string());
    let payload =
        json!({ "text": "@bartizan build 42 failed", "username": "jenkins", "props": { "from_webhook": "no" } });
    let sent = nobody.send(hook(payload)).await.expect("an answer");
    assert_eq!((sent.status, sent.text.as_str(), sent.header("content-type")), (200, "ok", "text/plain"));
    let posted = socket.event("posted").await;
    assert_eq!(posted["data"]["sender_name"], "jenkins");
    let post = inner(&posted["data"]["post"]);
    assert_eq!(post["user_id"], file.users["alice"].id.as_str());
    assert_eq!(
        (&post["props"]["from_webhook"], &post["props"]["override_username"]),
        (&json!("true"), &json!("jenkins"))
    );
    assert_eq!(nobody.send(hook(json!({ "text": "" }))).await.expect("an answer").status, 400);
    let form = nobody
        .request(Method::POST, &path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("payload=%7B%22text%22%3A%22from+a+form%22%7D");
    assert_eq!(nobody.send(form).await.expect("an answer").status, 200);
    assert_eq!(server.posts("deployments")[1]["message"], "from a form");
    let unknown = nobody.request(Method::POST, &format!("/hooks/{}", "z".repeat(26))).body("{\"text\":\"x\"}");
    assert_eq!(nobody.send(unknown).await.expect("an answer").status, 400);
}

#[tokio::test]
async fn clients_find_what_they_ask_for_at_their_start() {
    let (_server, file) = start();
    let bot = person(&file, "bartizan");
    assert_eq!(bot.get("/system/ping").await.json["status"], "OK");
    assert_eq!(bot.get("/config/client?format=old").await.json["MaxPostSize"], "16383");
    assert_eq!(bot.with_token("").get("/config/client?format=old").await.json.get("MaxPostSize"), None);
    assert_eq!(bot.get("/config/client").await.status, 501);
    assert_eq!(bot.get("/license/client?format=old").await.json["IsLicensed"], "false");
    assert_eq!(bot.post("/roles/names", json!(["system_user"])).await.json[0]["name"], "system_user");
    assert_eq!(bot.get(&format!("/users/{}/status", file.users["alice"].id)).await.json["status"], "offline");
    let one = json!([{ "user_id": bot.id, "category": "c", "name": "n", "value": "v" }]);
    assert_eq!(bot.put("/users/me/preferences", one.clone()).await.status, 200);
    assert_eq!(bot.get("/users/me/preferences").await.json, one);
    assert_eq!(bot.get("/bots/me").await.json["username"], "bartizan");
}
