//! `schedule`, `pause`, `resume`, `paused`: what their words mean, and who may see and pause a schedule. Pure.

use super::parse::Word;
use crate::config::{Level, Schedule};
use crate::gate::permission;
use crate::policy::{Place, Policy, Requester};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use std::time::Duration;

/// The longest pause: a year.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Whether a person may see a schedule: who may run its script; and of a private channel's only there, but for admins.
pub fn may_see(schedule: &Schedule, is_private: bool, is_here: bool, requester: &Requester, policy: &Policy) -> bool {
    let level = policy.level(requester);
    let script = policy.config.allowlist.get(&schedule.script);
    match level {
        Level::Banned => false,
        Level::Admin => true,
        Level::Operator | Level::User => {
            (!is_private || is_here)
                && script.is_some_and(|script| permission::may_at(level, script, requester, policy))
        }
    }
}

/// Whether it may be shown in this place.
pub fn is_here(channel: Option<bartizan_proto::ids::ChannelId>, place: &Place) -> bool {
    place.direct || channel == Some(place.channel)
}

/// The name of a schedule, and until when it is paused, in ms since 1970: `2h`, `18:00`, `2026-12-24`, `2026-12-24 18:00`, by
/// the schedule's clock.
///
/// # Errors
/// In words.
pub fn read_pause(words: &[Word], now_ms: u64, zone: &TimeZone) -> Result<Option<u64>, String> {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).filter(|word| *word != "until").collect();
    let wrong = || "the end of the pause is to be like 2h, 18:00, 2026-12-24 or 2026-12-24 18:00".to_owned();
    let now = i64::try_from(now_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).ok_or_else(wrong)?;
    let until = match texts.as_slice() {
        [] => return Ok(None),
        [one] => match (one.parse::<jiff::SignedDuration>(), one.parse::<Time>(), one.parse::<DateTime>()) {
            (Ok(after), _, _) if after.is_positive() => now.checked_add(after).map_err(|_| wrong())?,
            (_, Ok(time), _) if one.contains(':') && !one.contains('-') => {
                next_at(now, time, zone).ok_or_else(wrong)?
            }
            (_, _, Ok(at)) if one.contains('-') => zone.to_timestamp(at).map_err(|_| wrong())?,
            _ => return Err(wrong()),
        },
        [date, time] => {
            let date: Date = date.parse().map_err(|_| wrong())?;
            let time: Time = time.parse().map_err(|_| wrong())?;
            zone.to_timestamp(date.to_datetime(time)).map_err(|_| wrong())?
        }
        _ => return Err(wrong()),
    };
    if until <= now {
        return Err("that time is over already".to_owned());
    }
    let until = u64::try_from(until.as_millisecond()).map_err(|_| wrong())?;
    if Duration::from_millis(until.saturating_sub(now_ms)) > LONGEST {
        return Err("a pause of more than a year is written without an end".to_owned());
    }
    Ok(Some(until))
}

/// The next time that the clock shows this.
fn next_at(now: Timestamp, time: Time, zone: &TimeZone) -> Option<Timestamp> {
    let today = now.to_zoned(zone.clone()).date();
    [Some(today), today.tomorrow().ok()]
        .into_iter()
        .flatten()
        .filter_map(|day| zone.to_timestamp(day.to_datetime(time)).ok())
        .find(|at| *at > now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parse;

    fn until(text: &str) -> Result<Option<String>, String> {
        let words = parse::command(&format!("pause {text}")).expect("readable").map(|c| c.words).unwrap_or_default();
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let now: Timestamp = "2026-11-26T20:00:00Z".parse().expect("a time");
        let read = read_pause(&words, u64::try_from(now.as_millisecond()).expect("since 1970"), &zone)?;
        Ok(read.map(|ms| crate::words::in_zone(ms, &zone)))
    }

    #[test]
    fn the_end_of_a_pause_is_read_by_the_schedules_clock() {
        let good = |text: &str| until(text).expect(text).unwrap_or_default();
        assert_eq!(good(""), "");
        assert_eq!(good("2h"), "2026-11-26 23:00 CET");
        assert_eq!(good("22:30"), "2026-11-26 22:30 CET");
        assert_eq!(good("until 20:30"), "2026-11-27 20:30 CET");
        assert_eq!(good("2026-12-24"), "2026-12-24 00:00 CET");
        assert_eq!(good("2026-12-24 18:00"), "2026-12-24 18:00 CET");
        for bad in ["tomorrow", "-2h", "2026-01-01", "2026-13-01", "25:00", "1 2 3", "400d", "2999-01-01"] {
            assert!(until(bad).is_err(), "{bad}");
        }
    }
}
