//! A websocket frame's text (`connector/src/mattermost/event.rs`) and whether it is meant for the bot (`intake.rs`).

use bartizan_connector::intake::Intake;
use bartizan_connector::mattermost::event::{Event, Frame, parse};
use bartizan_proto::connector::Start;
use bartizan_proto::{List, Text};

/// # Panics
/// When a report is of a post that must not be one.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(Frame::Event { event: Event::Posted { post, direct }, .. }) = parse(text) else { return };
    let Some(report) = intake().report(&post, direct, false) else { return };
    assert!(
        (post.props.webhook || post.kind.is_empty() && !post.props.from_elsewhere)
            && post.edit_at == 0
            && post.delete_at == 0
    );
    assert_eq!((report.post, report.author, report.channel), (post.id, post.user_id, post.channel_id));
    assert_eq!(*report.text, *post.message);
    assert_ne!(report.author.as_str(), "b".repeat(26));
}

fn intake() -> Intake {
    let start = Start {
        bot: "b".repeat(26).parse().expect("an id"),
        bot_name: Text::cut("bartizan"),
        prefix: Text::cut("!"),
        max_post: 16_383,
        cursors: List::default(),
        listen: List::default(),
    };
    Intake::new(&start, bartizan_connector::intake::Threads::default())
}

/// As a server sends them.
pub fn corpus() -> Vec<Vec<u8>> {
    let hello = r#"{"event":"hello","data":{"connection_id":"abc","server_version":"10.5"},"broadcast":{},"seq":0}"#;
    let reply = r#"{"status":"OK","seq_reply":1}"#;
    let typing = r#"{"event":"typing","data":{"parent_id":"","user_id":"u"},"broadcast":{},"seq":3}"#;
    let reacted = r#"{"event":"reaction_added","data":{"reaction":"{\"user_id\":\"u\",\"post_id\":\"pppppppppppppppppppppppppp\",\"emoji_name\":\"x\"}"},"broadcast":{},"seq":5}"#;
    let mut corpus: Vec<Vec<u8>> = [hello, reply, typing, reacted].map(|text| text.as_bytes().to_vec()).into();
    for message in ["!run hello", "@bartizan: ping", "hi"] {
        for props in [r#"{}"#, r#"{"from_webhook":"true"}"#, r#"{"bartizan_reply":"r1","x":[1,{"y":null}]}"#] {
            corpus.push(posted(message, props).into_bytes());
        }
    }
    corpus
}

/// A `posted` event.
pub(super) fn posted(message: &str, props: &str) -> String {
    let post = super::answers::post(message, props);
    let post = serde_json::Value::String(post);
    format!(
        r#"{{"event":"posted","data":{{"channel_type":"O","mentions":"[\"x\"]","post":{post},"sender_name":"@alice"}},"broadcast":{{"channel_id":"c"}},"seq":4}}"#
    )
}
