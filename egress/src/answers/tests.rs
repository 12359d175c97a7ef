//! Server answers, honest and hostile.

use super::*;
use proptest::prelude::*;

const POST: &str = r#"{"id":"postpostpostpostpostpost11","user_id":"alicealicealicealicealice1",
    "channel_id":"opsopsopsopsopsopsopsops11","root_id":"","message":"!ping","type":"","props":PROPS,
    "create_at":5,"edit_at":0,"delete_at":0,"update_at":5,"hashtags":""}"#;

fn post(props: &str) -> Result<Post, AnswerError> {
    Post::parse(POST.replace("PROPS", props).as_bytes())
}

#[test]
fn a_plain_post_has_no_origin() {
    for props in ["{}", "null", r#"{"attachments":[],"disable_group_highlight":true}"#] {
        let mut post = post(props).expect("a post");
        assert_eq!(post.origin.0, Origin::default());
        assert_eq!(post.take_text().expect("short").as_str(), "!ping");
        assert_eq!(post.root, None);
    }
}

#[test]
fn from_props_count_whatever_their_value_is() {
    for value in ["\"true\"", "true", "false", "null", "0", "[]", "{\"a\":1}"] {
        let origin = |key: &str| post(&format!("{{\"{key}\":{value}}}")).expect("a post").origin.0;
        assert!(origin("from_bot").bot);
        assert!(origin("from_webhook").webhook);
        assert!(origin("from_plugin").other && origin("from_oauth_app").other && origin("from_anything").other);
        assert!(origin("override_username").disguised && origin("webhook_display_name").disguised);
        assert!(origin("override_icon_url").disguised && origin("override_icon_emoji").disguised);
    }
    let escaped = post(r#"{"fro\u006d_webhook":"true"}"#).expect("a post");
    assert!(escaped.origin.0.webhook, "an escaped key is the same key");
}

#[test]
fn a_post_without_what_decides_about_rights_is_refused() {
    for field in ["props", "type", "edit_at", "delete_at", "create_at", "root_id", "user_id", "channel_id"] {
        let mut value: serde_json::Value = serde_json::from_str(&POST.replace("PROPS", "{}")).expect("JSON");
        value.as_object_mut().expect("an object").remove(field);
        assert!(Post::parse(value.to_string().as_bytes()).is_err(), "without {field}");
    }
}

#[test]
fn a_field_that_comes_twice_is_refused() {
    let twice = POST.replace("PROPS", "{}").replacen('{', "{\"user_id\":\"malloryymalloryymalloryyma\",", 1);
    assert!(Post::parse(twice.as_bytes()).is_err());
}

#[test]
fn deep_json_is_refused_and_the_process_lives() {
    let deep = "[".repeat(200_000);
    assert!(post(&format!("{{\"a\":{deep}")).is_err());
    assert!(Post::parse(deep.as_bytes()).is_err());
}

#[test]
fn an_error_never_repeats_what_the_server_said() {
    let error = Post::parse(br#"{"id":"canary"}"#).expect_err("no id");
    assert!(!error.to_string().contains("canary"), "{error}");
}

#[test]
fn a_post_over_the_limit_is_told_apart() {
    let long = POST.replace("PROPS", "{}").replace("!ping", &"x".repeat(MAX_MESSAGE + 1));
    assert_eq!(Post::parse(long.as_bytes()).expect("a post").take_text(), Err(AnswerError::LongPost));
}

fn user_with(fields: &str) -> Result<AttestedUser, AnswerError> {
    user(format!(r#"{{"id":"alicealicealicealicealice1","username":"alice"{fields}}}"#).as_bytes())
}

#[test]
fn a_users_standing_is_read_from_roles_and_times() {
    let plain = user_with(r#","delete_at":0,"roles":"system_user""#).expect("a user");
    assert!(!plain.guest && !plain.system_admin && !plain.bot && !plain.deactivated && !plain.remote);
    let all = r#","delete_at":9,"roles":"system_guest  system_admin","is_bot":true,"remote_id":"r""#;
    let all = user_with(all).expect("a user");
    assert!(all.guest && all.system_admin && all.bot && all.deactivated && all.remote);
    let alike =
        user_with(r#","delete_at":0,"roles":"system_admin_read not_system_admin","remote_id":"""#).expect("a user");
    assert!(!alike.system_admin && !alike.remote);
    assert!(user_with(r#","delete_at":0"#).is_err(), "without roles nobody can be told from a guest");
}

#[test]
fn a_channel_has_one_of_four_types() {
    let with = |kind: &str| {
        channel(
            format!(r#"{{"id":"opsopsopsopsopsopsopsops11","type":"{kind}","name":"ops","team_id":"","delete_at":0}}"#)
                .as_bytes(),
        )
    };
    for (letter, kind) in
        [("O", ChannelKind::Open), ("P", ChannelKind::Private), ("D", ChannelKind::Direct), ("G", ChannelKind::Group)]
    {
        assert_eq!(with(letter).expect("a channel").kind, kind);
    }
    assert!(with("X").is_err() && with("").is_err() && with("OO").is_err());
}

#[test]
fn the_longest_post_is_what_the_server_says_within_our_own_limit() {
    let max = |body: &str| ClientConfig::parse(body.as_bytes()).expect("a config").max_post();
    assert_eq!(max(r#"{"Version":"5.37.0","MaxPostSize":"16383"}"#), 16_383);
    assert_eq!(max(r#"{"MaxPostSize":"4000000"}"#), 16_383);
    assert_eq!(max("{}"), 4_000);
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (Post::parse(&bytes), user(&bytes), channel(&bytes), Team::parse(&bytes), ClientConfig::parse(&bytes));
    }
}
