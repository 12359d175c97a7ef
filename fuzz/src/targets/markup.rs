//! Output on its way to chat (`connector/src/mattermost/markup.rs`): it never gets out of its fence.

use bartizan_broker::output::strip::strip;
use bartizan_connector::mattermost::markup::render;
use bartizan_proto::Text;
use bartizan_proto::connector::Body;

const HEAD: &str = "**exit 0**";

/// The first two bytes say how long a post may be.
///
/// # Panics
/// When a line of the output stands outside the fence, or the post is too long.
pub fn target(data: &[u8]) {
    let Some(([a, b], output)) = data.split_first_chunk() else { return };
    let limit = 200 + u32::from(u16::from_le_bytes([*a, *b])) / 4;
    // As the core hands it on, and as it would be if the core had not stripped it.
    for output in [strip(output), String::from_utf8_lossy(output).into_owned()] {
        let body = Body::Output { head: Text::cut(HEAD), output: Text::cut(output) };
        if let Ok(post) = render(&body, limit) {
            assert!(post.chars().count() <= usize::try_from(limit).unwrap_or(usize::MAX));
            inside(&post);
        }
    }
}

/// Head, fence, output, the same fence, and at most a note of ours.
fn inside(post: &str) {
    let mut lines = post.split('\n');
    assert_eq!(lines.next(), Some(HEAD));
    let Some(opening) = lines.next() else { return };
    let fence = opening.strip_suffix("text").expect("a fence under the head");
    assert!(fence.len() >= 3 && fence.bytes().all(|byte| byte == b'`'), "{opening:?}");
    let mut closed = false;
    for line in lines {
        if closed {
            assert!(line.starts_with("*(") && line.ends_with("fit here.)*"), "outside the fence: {line:?}");
        } else if line == fence {
            closed = true;
        } else {
            // The web app's parser closes a fence anywhere in a line.
            assert!(!line.contains(fence), "{line:?}");
            assert!(!line.chars().any(|c| c.is_control() && c != '\t'), "{line:?}");
        }
    }
    assert!(closed, "the fence stays open");
}

/// What wants to get out.
pub fn corpus() -> Vec<Vec<u8>> {
    let outputs = [
        "hello\nworld",
        "```\n@all\n```",
        "    ```\n\t```\n ~~~\n`````` @here",
        "a ``` b ```` c\r```\u{2028}```\u{85}```",
        "![x](http://h/i.png) [y](z) :smile: <b>",
        "日本語 😀\n\n\n",
    ];
    outputs.map(|output| [&[0xff, 0x03], output.as_bytes()].concat()).into()
}
