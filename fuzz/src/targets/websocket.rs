//! The websocket's bytes as egress carries them (`connector/src/mattermost/conversation.rs`): protocol, events, the end.
//! Whatever a server sends, nothing but control frames goes back.

use bartizan_connector::broker_link::Link;
use bartizan_connector::mattermost::carried::{Piece, pair};
use bartizan_connector::mattermost::conversation::{Conversation, Memory};
use bartizan_connector::mattermost::socket::Timing;
use bartizan_egress::carrier::frames;
use std::cell::RefCell;
use tokio::sync::mpsc;

/// The first byte says how the stream is cut.
///
/// # Panics
/// When something goes back that egress would refuse.
pub fn target(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else { return };
    thread_local! {
        static RUNTIME: RefCell<tokio::runtime::Runtime> = RefCell::new(
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"));
    }
    RUNTIME.with_borrow(|runtime| runtime.block_on(converse(stream, usize::from(*cut) * 16 + 1)));
}

async fn converse(stream: &[u8], cut: usize) {
    let (carried, mut ends) = pair();
    let (link, mut said) = Link::new();
    let (sender, mut heard) = mpsc::channel(4);
    let mut memory = Memory::default();
    let conversation = Conversation { link: &link, heard: &sender, timing: Timing::default(), memory: &mut memory };
    let talk = async {
        let ended = conversation.hold(carried).await;
        assert!(ended.is_ok(), "somebody listens all the time");
    };
    let feed = async {
        for piece in stream.chunks(cut) {
            let piece = Piece::new(piece).expect("a small piece");
            if ends.incoming.send(piece).await.is_err() {
                break;
            }
        }
        drop(ends.incoming);
    };
    let listen = async {
        tokio::select! {
            () = async { while heard.recv().await.is_some() {} } => {}
            () = async { while said.recv().await.is_some() {} } => {}
            () = async {
                while let Some(piece) = ends.outgoing.recv().await {
                    assert!(frames::check(&piece).is_ok(), "to the server: {:?}", &piece[..]);
                }
                std::future::pending::<()>().await;
            } => {}
        }
    };
    tokio::select! {
        () = async { tokio::join!(talk, feed); } => {}
        () = listen => {}
    }
}

/// Frames as a server sends them: unmasked.
pub fn corpus() -> Vec<Vec<u8>> {
    let mut stream = Vec::new();
    let mut corpus = Vec::new();
    for text in super::event::corpus() {
        stream.extend(frame(0x81, &text));
        corpus.push([&[9], frame(0x81, &text).as_slice()].concat());
    }
    for (first, payload) in [(0x89, &b"ping"[..]), (0x8a, b""), (0x82, b"binary"), (0x88, b"\x03\xe8bye")] {
        stream.extend(frame(first, payload));
    }
    corpus.push([&[0], stream.as_slice()].concat());
    corpus.push([&[200], stream.as_slice()].concat());
    // A message in two fragments with a ping between them.
    let hello = &super::event::corpus()[0];
    let (one, two) = hello.split_at(hello.len() / 2);
    corpus.push([&[9], frame(0x01, one).as_slice(), &frame(0x89, b""), &frame(0x80, two)].concat());
    corpus
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => frame.push(u8::try_from(length).unwrap_or(0)),
        Ok(length) => frame.extend([&[126][..], &length.to_be_bytes()].concat()),
        Err(_) => frame.extend([&[127][..], &(payload.len() as u64).to_be_bytes()].concat()),
    }
    frame.extend_from_slice(payload);
    frame
}
