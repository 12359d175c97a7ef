//! The one frame format: four bytes of length (little endian), then that many bytes of bincode.
//!
//! The only file that knows bincode. A length over [`MAX_FRAME`] is refused before a byte is
//! allocated for it, decoding is limited to the frame's own size, and bytes left over after a message are an error.

use crate::limits::MAX_FRAME;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes before each payload.
pub const HEADER: usize = 4;

/// Why a frame could not be written or read. After any of them the peer is dropped.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length before the payload is over the limit.
    #[error("a frame of {0} bytes is over the limit of {MAX_FRAME}")]
    TooLarge(usize),
    /// The payload is not such a message.
    #[error("the frame does not hold such a message: {0}")]
    Malformed(String),
    /// The payload goes on after the message.
    #[error("{0} bytes follow the message in its frame")]
    Trailing(usize),
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Truncated,
    /// Descriptors came where none belong, or more than belong.
    #[error("descriptors that do not belong to this message")]
    Descriptors,
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(#[from] std::io::Error),
}

fn settings() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_FRAME>()
}

/// The whole frame of one message, header included.
///
/// # Errors
/// [`FrameError::TooLarge`] when the message does not fit a frame.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; HEADER];
    bincode::serde::encode_into_std_write(message, &mut frame, settings())
        .map_err(|error| FrameError::Malformed(error.to_string()))?;
    let length = frame.len() - HEADER;
    if length > MAX_FRAME {
        return Err(FrameError::TooLarge(length));
    }
    let header = u32::try_from(length).map_err(|_| FrameError::TooLarge(length))?;
    frame[..HEADER].copy_from_slice(&header.to_le_bytes());
    Ok(frame)
}

/// The message in one payload.
///
/// # Errors
/// [`FrameError::Malformed`] or [`FrameError::Trailing`].
pub fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, FrameError> {
    let (message, consumed) = bincode::serde::decode_from_slice(payload, settings())
        .map_err(|error| FrameError::Malformed(error.to_string()))?;
    match payload.len() - consumed {
        0 => Ok(message),
        more => Err(FrameError::Trailing(more)),
    }
}

/// The payload length that a header announces.
///
/// # Errors
/// [`FrameError::TooLarge`].
pub fn announced(header: [u8; HEADER]) -> Result<usize, FrameError> {
    let length = usize::try_from(u32::from_le_bytes(header)).unwrap_or(usize::MAX);
    if length > MAX_FRAME { Err(FrameError::TooLarge(length)) } else { Ok(length) }
}

/// Cuts a stream of bytes into frames. Holds at most one frame and what was pushed last.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Adds bytes as they were read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start >= 64 * 1024 {
            self.forget();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Lets go of what was taken; nothing of it stays in the buffer, because it may have been a secret.
    fn forget(&mut self) {
        let rest = self.buffer.len() - self.start;
        self.buffer.copy_within(self.start.., 0);
        self.buffer[rest..].fill(0);
        self.buffer.truncate(rest);
        self.start = 0;
    }

    /// The next whole message, or `None` until more bytes come.
    ///
    /// # Errors
    /// Any [`FrameError`]; the stream is of no use afterwards.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let rest = &self.buffer[self.start..];
        let Some((header, rest)) = rest.split_first_chunk::<HEADER>() else { return Ok(None) };
        let length = announced(*header)?;
        if rest.len() < length {
            return Ok(None);
        }
        let message = decode(&rest[..length])?;
        self.start += HEADER + length;
        if self.start == self.buffer.len() {
            self.forget();
            // A rare large frame must not keep its memory for ever.
            self.buffer.shrink_to(64 * 1024);
        }
        Ok(Some(message))
    }

    /// Whether the stream may end here without having lost part of a frame.
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lying_length_is_refused_before_anything_is_allocated() {
        let mut decoder = Decoder::default();
        decoder.push(&u32::MAX.to_le_bytes());
        assert!(matches!(decoder.take::<String>(), Err(FrameError::TooLarge(_))));
    }

    #[test]
    fn a_collection_that_claims_two_to_the_sixty_items_is_refused() {
        // bincode: 253 announces a u64 length. Without a limit these bytes abort the process.
        let bytes = [253, 0, 0, 0, 0, 0, 0, 0, 16];
        assert!(matches!(decode::<Vec<u64>>(&bytes), Err(FrameError::Malformed(_))));
        assert!(matches!(decode::<String>(&bytes), Err(FrameError::Malformed(_))));
    }

    #[test]
    fn nothing_of_a_message_that_was_taken_stays_in_the_decoder() {
        let mut decoder = Decoder::default();
        decoder.push(&[encode(&"canary").expect("small"), encode(&"x".repeat(70_000)).expect("small")].concat());
        for _ in 0..2 {
            decoder.take::<String>().expect("well formed").expect("whole");
        }
        decoder.push(&encode(&"y").expect("small"));
        decoder.buffer.resize(decoder.buffer.capacity().min(64), 0);
        assert!(!decoder.buffer.windows(6).any(|window| window == b"canary"));
    }

    #[test]
    fn bytes_after_the_message_are_refused() {
        let mut frame = encode(&7u32).expect("small");
        frame.push(0);
        assert!(matches!(decode::<u32>(&frame[HEADER..]), Err(FrameError::Trailing(1))));
    }

    proptest! {
        #[test]
        fn frames_come_out_whole_however_the_stream_is_cut(
            messages in prop::collection::vec(".{0,300}", 1..20),
            cut in 1usize..50,
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|m| encode(m).expect("small")).collect();
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(cut) {
                decoder.push(piece);
                while let Some(message) = decoder.take::<String>().expect("well formed") {
                    seen.push(message);
                }
            }
            prop_assert_eq!(seen, messages);
            prop_assert!(decoder.is_empty());
        }
    }
}
