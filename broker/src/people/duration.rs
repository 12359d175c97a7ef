//! How long a ban lasts, as people write it: `30m`, `1h`, `7d`, `2w`, or `permanent`.
//!
//! Taken from strangers' hands as far as the type goes: only the form is read, and no number overflows (attack row 73).

use std::str::FromStr;
use std::time::Duration;

/// The longest ban that is not for ever: ten years.
pub const LONGEST: Duration = Duration::from_secs(3650 * 24 * 3600);

/// How long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BanTime {
    /// So long.
    For(Duration),
    /// Until somebody ends it.
    Permanent,
}

/// Why a text is no such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTime {
    /// It has another form.
    #[error("not a duration: write it like 30m, 1h, 7d, 2w or permanent")]
    Form,
    /// It is no time at all.
    #[error("a ban of no time: write it like 30m, 1h, 7d, 2w or permanent")]
    Nothing,
    /// It is longer than [`LONGEST`].
    #[error("longer than ten years: write permanent for a ban without an end")]
    TooLong,
}

impl BanTime {
    /// When a ban that begins now ends, in ms since 1970.
    pub fn until(self, now_ms: u64) -> Option<u64> {
        match self {
            BanTime::Permanent => None,
            BanTime::For(time) => Some(now_ms.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))),
        }
    }
}

impl FromStr for BanTime {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        if text == "permanent" {
            return Ok(BanTime::Permanent);
        }
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(InvalidTime::Form)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 24 * 3600,
            "w" => 7 * 24 * 3600,
            _ => return Err(InvalidTime::Form),
        };
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidTime::Form);
        }
        let number: u64 = number.parse().map_err(|_| InvalidTime::TooLong)?;
        let time = number.checked_mul(seconds).map(Duration::from_secs).ok_or(InvalidTime::TooLong)?;
        match time {
            Duration::ZERO => Err(InvalidTime::Nothing),
            time if time > LONGEST => Err(InvalidTime::TooLong),
            time => Ok(BanTime::For(time)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(text: &str) -> Result<u64, InvalidTime> {
        text.parse().map(|time| match time {
            BanTime::For(time) => time.as_secs(),
            BanTime::Permanent => u64::MAX,
        })
    }

    #[test]
    fn a_ban_lasts_as_long_as_people_write() {
        assert_eq!(seconds("45s"), Ok(45));
        assert_eq!(seconds("30m"), Ok(1800));
        assert_eq!(seconds("1h"), Ok(3600));
        assert_eq!(seconds("24h"), Ok(86_400));
        assert_eq!(seconds("7d"), Ok(604_800));
        assert_eq!(seconds("2w"), Ok(1_209_600));
        assert_eq!(seconds("permanent"), Ok(u64::MAX));
    }

    /// Attack row 73.
    #[test]
    fn row_73_no_duration_overflows_or_means_nothing() {
        for (bad, error) in [
            ("0h", InvalidTime::Nothing),
            ("000w", InvalidTime::Nothing),
            ("18446744073709551615w", InvalidTime::TooLong),
            ("18446744073709551616s", InvalidTime::TooLong),
            ("99999999999999999999999999h", InvalidTime::TooLong),
            ("3651d", InvalidTime::TooLong),
            ("-1h", InvalidTime::Form),
            ("+1h", InvalidTime::Form),
            ("1", InvalidTime::Form),
            ("h", InvalidTime::Form),
            ("", InvalidTime::Form),
            ("1.5h", InvalidTime::Form),
            ("1e3h", InvalidTime::Form),
            ("0x1h", InvalidTime::Form),
            ("1 h", InvalidTime::Form),
            ("1H", InvalidTime::Form),
            ("forever", InvalidTime::Form),
            ("Permanent", InvalidTime::Form),
            ("\u{661}h", InvalidTime::Form),
            ("1\u{448}", InvalidTime::Form),
        ] {
            assert_eq!(bad.parse::<BanTime>(), Err(error), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_positive_and_bounded(text in "\\PC{0,24}") {
            if let Ok(BanTime::For(time)) = text.parse() {
                prop_assert!(time > Duration::ZERO && time <= LONGEST);
            }
        }

        #[test]
        fn every_number_and_unit_is_taken_as_meant_or_refused(number: u64, unit in "[smhdw]") {
            let each = match unit.as_str() { "s" => 1, "m" => 60, "h" => 3600, "d" => 86_400, _ => 604_800_u128 };
            let meant = u128::from(number) * each;
            match format!("{number}{unit}").parse() {
                Ok(BanTime::For(time)) => prop_assert_eq!(u128::from(time.as_secs()), meant),
                Ok(BanTime::Permanent) => prop_assert!(false),
                Err(_) => prop_assert!(meant == 0 || meant > u128::from(LONGEST.as_secs())),
            }
        }

        #[test]
        fn an_end_is_never_before_its_beginning(now: u64, days in 1_u64..3650) {
            let until = BanTime::For(Duration::from_secs(days * 86_400)).until(now).expect("an end");
            prop_assert!(until >= now);
        }
    }
}
