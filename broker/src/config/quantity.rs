//! Amounts of bytes and time as people write them: `"1 MiB"`, `"30s"`, or a plain number where a key has a unit.

use super::error::Wrong;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::time::Duration;

/// A number, or a text with a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Amount {
    Number(u64),
    Text(String),
}

impl Amount {
    /// Bytes: `1048576`, `"1 MiB"`, `"512k"`.
    pub(super) fn bytes(&self) -> Result<u64, Wrong> {
        let text = match self {
            Self::Number(number) => return Ok(*number),
            Self::Text(text) => text,
        };
        match text.parse::<bytesize::ByteSize>() {
            Ok(size) => Ok(size.as_u64()),
            Err(_) => Err(Wrong::new(format!("\"{text}\" is not a size"), "write it like \"512 MiB\" or \"2 GiB\"")),
        }
    }

    /// Time. A plain number counts `unit`s, and is an error where there is no unit.
    pub(super) fn time(&self, unit: Option<Duration>) -> Result<Duration, Wrong> {
        let remedy = "write it like \"30s\", \"5m\" or \"1h 30m\"";
        match (self, unit) {
            (Self::Number(number), Some(unit)) => u32::try_from(*number)
                .ok()
                .and_then(|number| unit.checked_mul(number))
                .ok_or_else(|| Wrong::new(format!("{number} is too long a time"), remedy)),
            (Self::Number(number), None) => Err(Wrong::new(format!("{number} is a time without a unit"), remedy)),
            (Self::Text(text), _) => text
                .parse::<jiff::SignedDuration>()
                .ok()
                .and_then(|time| Duration::try_from(time).ok())
                .ok_or_else(|| Wrong::new(format!("\"{text}\" is not a duration"), remedy)),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taker;
        impl Visitor<'_> for Taker {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of at least 0, or a text with a unit")
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Amount, E> {
                Ok(Amount::Number(number))
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Amount, E> {
                u64::try_from(number)
                    .map(Amount::Number)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Amount, E> {
                Ok(Amount::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Taker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Amount {
        Amount::Text(text.to_owned())
    }

    #[test]
    fn sizes_have_units_or_are_bytes() {
        assert_eq!(text("1 MiB").bytes().unwrap(), 1 << 20);
        assert_eq!(text("1 GB").bytes().unwrap(), 1_000_000_000);
        assert_eq!(Amount::Number(5).bytes().unwrap(), 5);
        for bad in ["", "much", "-1 MiB", "1 XB", "MiB"] {
            assert!(text(bad).bytes().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_have_units_or_count_the_unit_of_their_key() {
        assert_eq!(text("5m").time(None).unwrap(), Duration::from_secs(300));
        assert_eq!(text("1h 30m").time(None).unwrap(), Duration::from_secs(5400));
        assert_eq!(text("250ms").time(None).unwrap(), Duration::from_millis(250));
        let millisecond = Some(Duration::from_millis(1));
        assert_eq!(Amount::Number(1_800_000).time(millisecond).unwrap(), Duration::from_secs(1800));
        assert!(Amount::Number(5).time(None).is_err());
        assert!(Amount::Number(u64::MAX).time(millisecond).is_err());
        for bad in ["", "5", "-5m", "5x", "soon", "99999999999999999999h"] {
            assert!(text(bad).time(None).is_err(), "{bad}");
        }
    }
}
