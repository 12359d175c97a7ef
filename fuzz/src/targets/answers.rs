//! REST answers as the connector reads them (`connector/src/mattermost/answer.rs`).

use bartizan_connector::mattermost::answer::{channels, created, page, refusal, uploaded};

/// # Panics
/// When posts are out of order, twice there, or more than listed.
pub fn target(data: &[u8]) {
    if let Ok(page) = page(data) {
        assert!(page.posts.len() <= page.listed);
        assert!(page.posts.windows(2).all(|two| (two[0].create_at, two[0].id) < (two[1].create_at, two[1].id)));
    }
    let _id = created(data);
    let _file = uploaded(data);
    let _channels = channels(data);
    let why = refusal(data);
    assert!(why.len() <= 16 * 1024, "a refusal of {} bytes", why.len());
}

/// As a server sends them.
pub fn corpus() -> Vec<Vec<u8>> {
    let one = post("!run hello", "{}");
    let id = "p".repeat(26);
    let list = format!(r#"{{"order":["{id}"],"posts":{{"{id}":{one}}},"next_post_id":"","prev_post_id":"x"}}"#);
    let file = format!(r#"{{"file_infos":[{{"id":"{}"}}],"client_ids":[]}}"#, "f".repeat(26));
    let channel = format!(r#"[{{"id":"{}","type":"O","name":"ops","team_id":"t","delete_at":0}}]"#, "c".repeat(26));
    let error =
        r#"{"id":"api.x","message":"You do not have the appropriate permissions.","status_code":403}"#.to_owned();
    [one, list, file, channel, error, "limit exceeded".to_owned()].map(String::into_bytes).into()
}

/// A post as the API shows it.
pub(super) fn post(message: &str, props: &str) -> String {
    let message = serde_json::Value::from(message);
    let id = |letter: &str| letter.repeat(26);
    format!(
        r#"{{"id":"{}","create_at":1700000000000,"update_at":1700000000000,"edit_at":0,"delete_at":0,"is_pinned":false,"user_id":"{}","channel_id":"{}","root_id":"","original_id":"","message":{message},"type":"","props":{props},"hashtags":"","pending_post_id":"","reply_count":0,"metadata":{{}}}}"#,
        id("p"),
        id("u"),
        id("c")
    )
}
