//! The stream of frames (`proto/src/frame.rs`): however it is cut into reads, the same messages come out.

use bartizan_proto::connector::FromConnector;
use bartizan_proto::frame::{Decoder, FrameError, HEADER, announced};
use bartizan_proto::limits::MAX_FRAME;

/// The first byte says how the stream is cut.
///
/// # Panics
/// When the messages depend on where the stream was cut.
pub fn target(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else { return };
    let whole = read(stream, stream.len().max(1));
    let pieces = read(stream, usize::from(*cut).max(1));
    assert_eq!(whole, pieces, "the messages depend on where the stream was cut");
    if let Some((header, _)) = stream.split_first_chunk::<HEADER>() {
        assert!(announced(*header).map_or(true, |length| length <= MAX_FRAME));
    }
}

fn read(stream: &[u8], cut: usize) -> (Vec<FromConnector>, Option<String>, bool) {
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    for piece in stream.chunks(cut) {
        decoder.push(piece);
        loop {
            match decoder.take() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(kind(&error)), false),
            }
        }
    }
    (messages, None, decoder.is_empty())
}

fn kind(error: &FrameError) -> String {
    error.to_string()
}

/// Some frames in a row.
pub fn corpus() -> Vec<Vec<u8>> {
    let messages = super::messages::from_connector();
    let frames: Vec<Vec<u8>> =
        messages.iter().filter_map(|message| bartizan_proto::frame::encode(message).ok()).collect();
    let mut corpus: Vec<Vec<u8>> = frames.iter().map(|frame| [&[3], frame.as_slice()].concat()).collect();
    corpus.push([&[7], frames.concat().as_slice()].concat());
    corpus
}
