//! What a job's script sends over the script API, as its worker takes it (`worker/src/api.rs`): a call that is bounded and typed,
//! or a refusal, and never more than one call of each connection.

use bartizan_proto::script::{Call, frame, knock, words};
use bartizan_worker::api::{Api, Heard, pair};
use rustix::event::PollFlags;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// # Panics
/// When something is taken for a call that is none, or a connection gives more than one.
pub fn target(data: &[u8]) {
    // By themselves: the payload's words, and the call in them.
    if let Ok(all) = words(data) {
        assert!(all.iter().map(|word| word.len() + 4).sum::<usize>() == data.len());
    }
    let is_call = Call::parse(data).is_ok();

    // Through the door, as it is and in the frame that belongs around it.
    let (ours, theirs) = pair().expect("a pair");
    let mut api = Api::new(Some(ours));
    let framed = [&u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes()[..], data].concat();
    let mut calls = 0;
    let mut open = Vec::new();
    for bytes in [data, &framed] {
        let (own, end) = UnixStream::pair().expect("a pair");
        knock(theirs.as_fd(), end.as_fd()).expect("knocks");
        own.set_nonblocking(true).expect("a socket");
        // What does not fit the socket's buffer is cut: one more thing that a script can do.
        let _cut = std::io::Write::write(&mut &own, bytes);
        open.push(own);
    }
    for _ in 0..8 {
        let places: Vec<_> = api.watched().iter().map(|(place, _, _)| (*place, PollFlags::IN)).collect();
        for heard in api.turn(&places) {
            match heard {
                Heard::Call(..) => calls += 1,
                Heard::Hangup(_) => {}
                Heard::Misused(why) => panic!("two messages are not too much: {why}"),
            }
        }
    }
    assert!(calls <= 2, "{calls}");
    assert!(calls >= 1 || !is_call || data.len() > 60_000, "a call was not heard");
}

/// One call of each verb.
pub fn corpus() -> Vec<Vec<u8>> {
    let calls: [&[&[u8]]; 12] = [
        &[b"say", b"text", b"hi", b"code", b"yes"],
        &[b"reply", b"text", b"hi"],
        &[b"progress", b"percent", b"40", b"text", b"copying"],
        &[b"param", b"name", b"service"],
        &[b"log", b"text", b"x"],
        &[b"remember", b"key", b"it", b"value", b"x", b"scope", b"shared"],
        &[b"recall", b"key", b"it", b"scope", b"lasting"],
        &[b"checkout", b"key", b"it", b"back", b"no"],
        &[b"file", b"name", b"a.txt", b"content", b"\0\xff"],
        &[b"table", b"title", b"t", b"rows", b"a\tb\n1\t2"],
        &[b"ask", b"question", b"?", b"choices", b"yes\nno", b"default", b"no", b"seconds", b"5"],
        &[b"shout"],
    ];
    calls.iter().map(|call| frame(call)[4..].to_vec()).collect()
}
