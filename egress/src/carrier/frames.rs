//! Which bytes of the connector may go to the server: whole websocket control frames, and nothing else.
//!
//! RFC 6455 §5.2 and §5.5: FIN set, no reserved bit, opcode close (8), ping (9) or pong (10), masked, at most 125 bytes
//! of payload. A text or binary frame could say something to the server's own websocket API, so none passes.

/// Why bytes do not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameRefused {
    /// There was nothing.
    #[error("no frame at all")]
    Empty,
    /// FIN is not set, or a reserved bit is.
    #[error("a fragment or a reserved bit")]
    Bits,
    /// Text, binary, continuation or an opcode that nobody knows.
    #[error("opcode {0}, which is no control frame")]
    Opcode(u8),
    /// A client must mask.
    #[error("an unmasked frame")]
    Unmasked,
    /// Over 125 bytes of payload.
    #[error("a control frame over 125 bytes")]
    TooLong,
    /// A close frame's payload is empty or begins with two bytes of code.
    #[error("a close frame with half a code")]
    CloseCode,
    /// The bytes end inside a frame.
    #[error("a frame that is not whole")]
    Cut,
}

/// Checks that the bytes are one or more whole control frames. Gives how many.
///
/// # Errors
/// [`FrameRefused`]; nothing of it is to be sent.
pub fn check(mut bytes: &[u8]) -> Result<usize, FrameRefused> {
    let mut frames = 0;
    while !bytes.is_empty() {
        bytes = after_one(bytes)?;
        frames += 1;
    }
    if frames == 0 { Err(FrameRefused::Empty) } else { Ok(frames) }
}

/// Checks the first frame, gives what follows it.
fn after_one(bytes: &[u8]) -> Result<&[u8], FrameRefused> {
    const MASK: usize = 4;
    let ([first, second], rest) = bytes.split_first_chunk().ok_or(FrameRefused::Cut)?;
    if first & 0b1111_0000 != 0b1000_0000 {
        return Err(FrameRefused::Bits);
    }
    let opcode = first & 0b0000_1111;
    if !matches!(opcode, 8..=10) {
        return Err(FrameRefused::Opcode(opcode));
    }
    if second & 0b1000_0000 == 0 {
        return Err(FrameRefused::Unmasked);
    }
    // 126 and 127 announce longer lengths, which control frames must not have.
    let length = usize::from(second & 0b0111_1111);
    if length > 125 {
        return Err(FrameRefused::TooLong);
    }
    if opcode == 8 && length == 1 {
        return Err(FrameRefused::CloseCode);
    }
    rest.get(MASK + length..).ok_or(FrameRefused::Cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).expect("short");
        [&[first, 0x80 | length, 1, 2, 3, 4], payload].concat()
    }

    #[test]
    fn whole_control_frames_pass_one_or_several() {
        for first in [0x88, 0x89, 0x8a] {
            assert_eq!(check(&frame(first, b"")), Ok(1));
            assert_eq!(check(&frame(first, &[0; 125])), Ok(1));
        }
        assert_eq!(check(&[frame(0x89, b"a"), frame(0x8a, b"b"), frame(0x88, b"cc")].concat()), Ok(3));
    }

    #[test]
    fn everything_else_is_refused() {
        assert_eq!(check(b""), Err(FrameRefused::Empty));
        assert_eq!(check(&frame(0x81, b"{}")), Err(FrameRefused::Opcode(1)), "text");
        assert_eq!(check(&frame(0x82, b"{}")), Err(FrameRefused::Opcode(2)), "binary");
        assert_eq!(check(&frame(0x80, b"{}")), Err(FrameRefused::Opcode(0)), "continuation");
        assert_eq!(check(&frame(0x8b, b"")), Err(FrameRefused::Opcode(11)), "reserved opcode");
        assert_eq!(check(&frame(0x09, b"")), Err(FrameRefused::Bits), "no FIN");
        assert_eq!(check(&frame(0xc9, b"")), Err(FrameRefused::Bits), "RSV1, as a compressed frame has it");
        assert_eq!(check(&[0x89, 0x00]), Err(FrameRefused::Unmasked));
        assert_eq!(check(&[0x89, 0xfe, 0, 126, 1, 2, 3, 4]), Err(FrameRefused::TooLong));
        assert_eq!(check(&[0x89, 0xff, 0, 0, 0, 0, 0, 0, 0, 1]), Err(FrameRefused::TooLong));
        assert_eq!(check(&frame(0x88, b"x")), Err(FrameRefused::CloseCode));
        assert_eq!(check(&[0x89]), Err(FrameRefused::Cut));
        assert_eq!(check(&[0x89, 0x83, 1, 2, 3, 4, 5]), Err(FrameRefused::Cut));
        let second_is_text = [frame(0x89, b""), frame(0x81, b"x")].concat();
        assert_eq!(check(&second_is_text), Err(FrameRefused::Opcode(1)));
        assert_eq!(check(b"GET / HTTP/1.1\r\n\r\n"), Err(FrameRefused::Bits));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = check(&bytes);
        }

        #[test]
        fn any_row_of_control_frames_passes_whole_and_never_cut(
            frames in prop::collection::vec((0usize..3, prop::collection::vec(any::<u8>(), 2..=125)), 1..6),
            cut in 1usize..8,
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(kind, payload)| frame([0x88, 0x89, 0x8a][*kind], payload)).collect();
            prop_assert_eq!(check(&bytes), Ok(frames.len()));
            // Every frame has 8 bytes or more, so that fewer than 8 off the end always cut the last one.
            prop_assert!(check(&bytes[..bytes.len() - cut]).is_err());
        }
    }
}
