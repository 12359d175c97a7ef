//! Time-based one-time passwords: RFC 6238 with what every authenticator has: HMAC-SHA-1, 30 seconds, 6 digits.

use bartizan_secret::on_clean_stack;
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac as _};
use sha1::Sha1;

/// Bytes of a secret: as many as HMAC-SHA-1 uses whole (RFC 4226, 4).
pub const SECRET: usize = 20;

/// Seconds of one step.
const STEP_S: u64 = 30;

/// Digits of a code.
pub const DIGITS: usize = 6;

/// How many steps a clock may be ahead or behind.
const WINDOW: u64 = 1;

/// The step that a time is in, in ms since 1970.
pub fn step(now_ms: u64) -> u64 {
    now_ms / 1000 / STEP_S
}

/// The code of one step.
pub fn code(secret: &[u8], step: u64) -> String {
    let number = on_clean_stack(|| truncated(secret, step)) % 10_u32.pow(6);
    format!("{number:0DIGITS$}")
}

/// The step whose code this is, among those that may be meant now; the newest of them.
pub fn find(secret: &[u8], given: &str, now_ms: u64) -> Option<u64> {
    let now = step(now_ms);
    (now.saturating_sub(WINDOW)..=now + WINDOW).rev().find(|step| code(secret, *step) == given)
}

/// RFC 4226, 5.3.
fn truncated(secret: &[u8], step: u64) -> u32 {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[19] & 15);
    u32::from_be_bytes([hash[at] & 0x7f, hash[at + 1], hash[at + 2], hash[at + 3]])
}

/// What an authenticator is given, as text or as a picture. `name` is a user's name: letters, digits, `.`, `-`, `_`.
pub fn uri(secret: &[u8], name: &str) -> String {
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')).collect();
    format!(
        "otpauth://totp/Bartizan:{name}?secret={}&issuer=Bartizan&algorithm=SHA1&digits={DIGITS}&period={STEP_S}",
        BASE32_NOPAD.encode(secret)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    /// RFC 6238, appendix B, for SHA-1: the table has eight digits, of which these are the last six.
    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        for (time_s, eight) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(code(SECRET, step(time_s * 1000)), eight[2..], "{time_s}");
        }
    }

    /// RFC 4226, appendix D: the same with a counter.
    #[test]
    fn the_codes_are_those_of_rfc_4226() {
        let table =
            ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
        for (counter, expected) in (0..).zip(table) {
            assert_eq!(code(SECRET, counter), expected);
        }
    }

    #[test]
    fn a_clock_may_be_one_step_off_and_no_more() {
        let now_ms = 1_111_111_111_000;
        let now = step(now_ms);
        for off in [now - 1, now, now + 1] {
            assert_eq!(find(SECRET, &code(SECRET, off), now_ms), Some(off));
        }
        for off in [now - 2, now + 2] {
            assert_eq!(find(SECRET, &code(SECRET, off), now_ms), None);
        }
        assert_eq!(find(SECRET, "", now_ms), None);
        assert_eq!(find(SECRET, "14050471", now_ms), None, "six digits and no more");
    }

    #[test]
    fn an_authenticator_is_told_everything_that_is_not_usual() {
        assert_eq!(
            uri(SECRET, "ali&ce"),
            "otpauth://totp/Bartizan:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Bartizan&algorithm=SHA1&digits=6&period=30"
        );
    }
}
