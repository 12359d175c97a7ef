//! What the connector may send to the server (`egress/src/carrier/frames.rs`): control frames, whole and masked.

use bartizan_egress::carrier::frames::check;

/// # Panics
/// When anything else passes.
pub fn target(data: &[u8]) {
    let Ok(count) = check(data) else { return };
    // Another reading of RFC 6455 §5.2, from the front, that believes nothing.
    let mut rest = data;
    for _ in 0..count {
        let &[first, second, ..] = rest else { panic!("a frame without a head") };
        assert!(matches!(first, 0x88..=0x8a), "{first:#x}");
        assert!(second & 0x80 != 0, "not masked");
        let length = 6 + usize::from(second & 0x7f);
        assert!(length <= 131 && length <= rest.len());
        rest = &rest[length..];
    }
    assert!(rest.is_empty() && count > 0);
}

/// One of each kind, several in a row, and what must not pass.
pub fn corpus() -> Vec<Vec<u8>> {
    let ping = b"\x89\x84\x01\x02\x03\x04abcd".to_vec();
    let pong = b"\x8a\x80\x01\x02\x03\x04".to_vec();
    let close = b"\x88\x82\x01\x02\x03\x04\x02\xea".to_vec();
    let text = b"\x81\x82\x01\x02\x03\x04{}".to_vec();
    let row = [ping.clone(), pong.clone(), close.clone()].concat();
    vec![ping, pong, close, text, row]
}
