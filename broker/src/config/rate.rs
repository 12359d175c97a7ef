//! How often something may be asked: `"30/m"` is a bucket of thirty, filled again at thirty a minute.

use super::error::Wrong;
use std::fmt;
use std::time::Duration;

/// Most that one bucket holds.
const MOST: u32 = 1_000_000;

/// So many in such a time; all of them may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In which time: a second, a minute, an hour or a day.
    pub period: Duration,
}

impl Rate {
    /// From `"30/m"`; none for `"none"`.
    pub(super) fn read(text: &str) -> Result<Option<Rate>, Wrong> {
        if text == "none" {
            return Ok(None);
        }
        let wrong =
            || Wrong::new(format!("\"{text}\" is not a rate"), "write it like \"30/m\" (s, m, h or d), or \"none\"");
        let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        let plain = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
        let count = count.parse().ok().filter(|count| plain && (1..=MOST).contains(count)).ok_or_else(wrong)?;
        Ok(Some(Rate { count, period: Duration::from_secs(seconds) }))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.period.as_secs() {
            1 => "s",
            60 => "m",
            3600 => "h",
            _ => "d",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

/// `[rate]`: how often anything may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// By one person.
    pub user: Option<Rate>,
    /// In one channel.
    pub channel: Option<Rate>,
    /// Of one script that has no rate of its own.
    pub script: Option<Rate>,
    /// Commands that are answered in one thread. Where this one or the next is used up there is silence: it ends two
    /// bots that quote each other.
    pub thread_replies: Option<Rate>,
    /// The same in one channel.
    pub channel_replies: Option<Rate>,
}

impl Default for Rates {
    /// Far above what people type, below what a program could make the bot do.
    fn default() -> Self {
        let per = |count, seconds| Some(Rate { count, period: Duration::from_secs(seconds) });
        Self {
            user: per(1200, 60),
            channel: None,
            script: None,
            thread_replies: per(120, 3600),
            channel_replies: per(20_000, 3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        for text in ["1/s", "30/m", "1000/h", "5/d"] {
            assert_eq!(Rate::read(text).expect("a rate").expect("one").to_string(), text);
        }
        assert_eq!(Rate::read("none").expect("no rate"), None);
        for bad in ["", "30", "/m", "0/m", "-1/m", "30/x", "30/ m", "99999999999/m", "1.5/m", "+3/m"] {
            assert!(Rate::read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _whatever = Rate::read(&text);
        }
    }
}
