//! The server's bytes on their way to the connector (`egress/src/scrub.rs`): never with the token in them.

use bartizan_egress::scrub::overwrite;
use bartizan_egress::token::Token;
use zeroize::Zeroizing;

const TOKEN: &[u8] = b"abcabcabdabcabcabdabcabcab";

/// The first byte says how the stream is cut. In the rest, `@` stands for the token.
///
/// # Panics
/// When the token leaves, or anything else is lost.
pub fn target(data: &[u8]) {
    thread_local! {
        // Secret memory is scarce, and made once.
        static KEPT: Token = Token::keep(Zeroizing::new(TOKEN.to_vec())).expect("a token");
    }
    let Some((cut, rest)) = data.split_first() else { return };
    let stream: Vec<u8> =
        rest.iter().flat_map(|byte| if *byte == b'@' { TOKEN } else { std::slice::from_ref(byte) }).copied().collect();
    let mut scrubber = KEPT.with(Token::stream_scrubber);
    let mut out: Vec<u8> = stream.chunks(usize::from(*cut) + 1).flat_map(|piece| scrubber.push(piece)).collect();
    out.extend(scrubber.push(b"}"));
    let mut whole = [stream.as_slice(), b"}"].concat();
    overwrite(&mut whole, TOKEN);
    assert!(!out.windows(TOKEN.len()).any(|window| window == TOKEN), "the token leaves");
    assert_eq!(out, whole, "something else is lost");
}

/// Streams with the token, parts of it, and nearly it.
pub fn corpus() -> Vec<Vec<u8>> {
    let streams = [
        "\x03{\"message\":\"@\"}",
        "\x00@@@",
        "\x05abcabcabd@abcabc",
        "\x08abcabcabdabcabcabdabcabcaX@",
        "\x02nothing",
    ];
    streams.map(|stream| stream.as_bytes().to_vec()).into()
}
