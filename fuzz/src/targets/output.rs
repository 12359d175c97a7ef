//! What a script printed (`broker/src/output/`): no control character is left, and no more than the limit.

use bartizan_broker::output::collect::Collected;
use bartizan_broker::output::limit::limit;
use bartizan_broker::output::strip::strip;
use bartizan_proto::text::is_hidden;

/// Most characters of a post in this target.
const LIMIT: usize = 100;

/// # Panics
/// When something of it could move a cursor, hide or reorder text, or when there is too much.
pub fn target(data: &[u8]) {
    let text = strip(data);
    for c in text.chars() {
        assert!(matches!(c, '\n' | '\t') || !c.is_control(), "{c:?} is left");
        assert!(!matches!(u32::from(c), 0x202A..=0x202E | 0x2066..=0x2069 | 0x200E | 0x200F | 0x61C), "{c:?} is left");
        assert!(matches!(c, '\n' | '\t') || !matches!(u32::from(c), 0x2028 | 0x2029) || !is_hidden(c), "{c:?} is left");
    }
    assert_eq!(strip(text.as_bytes()), text, "stripping twice changes something");
    let shown = limit(text.clone(), LIMIT);
    assert!(shown.post.chars().count() <= LIMIT);
    assert!(text.starts_with(&shown.post));
    assert!(shown.file.is_some() || shown.post.len() == text.trim_end().len());

    let mut collected = Collected::new(LIMIT);
    for piece in data.chunks(7) {
        collected.push(piece);
    }
    assert_eq!(collected.head(), &data[..data.len().min(LIMIT)]);
    assert!(data.ends_with(collected.tail()));
    assert_eq!(collected.is_cut(0), data.len() > LIMIT);
}

/// Ordinary and hostile output.
pub fn corpus() -> Vec<Vec<u8>> {
    let outputs: [&[u8]; 7] = [
        b"hello\nworld\n",
        b"10%\r20%\r100%\ndone",
        b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
        b"\x1bPq#0;2;0;0;0\x1b\\ \x9b31m \xc2\x9b31m \x1b(B \x18 \x1a",
        b"@all ```\n@channel ~~~ \xe2\x80\xae\xe2\x80\xa8",
        b"\xff\xfe\xc0\x80 not UTF-8 \xed\xa0\x80",
        b"a\x08b\x7f\x00\x07\x0b\x0c",
    ];
    outputs.map(<[u8]>::to_vec).into()
}
