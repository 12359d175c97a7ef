//! When schedules are due: the forms that are read, time zones, and the two nights a year when clocks are set.

use super::*;
use proptest::prelude::*;

fn schedule(rule: &str, zone: &str) -> Schedule {
    Schedule {
        name: "nightly".parse().expect("a name"),
        line: "hello".to_owned(),
        script: "hello".parse().expect("a name"),
        when: when(rule).unwrap_or_else(|wrong| panic!("{rule}: {wrong:?}")),
        rule: rule.to_owned(),
        zone: TimeZone::get(zone).expect("a zone"),
        zone_name: zone.to_owned(),
        channel: "ops".to_owned(),
        missed: Missed::Skip,
    }
}

fn ms(time: &str) -> u64 {
    let time: Timestamp = time.parse().expect("a time");
    u64::try_from(time.as_millisecond()).expect("since 1970")
}

/// The next times after one, in the schedule's zone.
fn times(rule: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = schedule(rule, zone);
    let mut at = ms(after);
    let mut out = Vec::new();
    for _ in 0..count {
        at = schedule.next(0, at).expect("another one");
        let at = Timestamp::from_millisecond(at as i64).expect("a time").to_zoned(schedule.zone.clone());
        out.push(at.strftime("%m-%d %H:%M:%S %z").to_string());
    }
    out
}

#[test]
fn five_fields_six_fields_and_names_are_read_in_the_schedules_zone() {
    let after = "2026-01-01T00:00:00Z";
    assert_eq!(times("0 3 * * *", "UTC", after, 2), ["01-01 03:00:00 +0000", "01-02 03:00:00 +0000"]);
    assert_eq!(times("*/20 0 3 * * *", "UTC", after, 2), ["01-01 03:00:00 +0000", "01-01 03:00:20 +0000"]);
    assert_eq!(times("0 3 * * *", "Asia/Kolkata", after, 1), ["01-02 03:00:00 +0530"]);
    assert_eq!(times("0 9 * * MON-FRI", "UTC", "2026-01-02T10:00:00Z", 1), ["01-05 09:00:00 +0000"]);
    assert_eq!(times("@daily", "UTC", after, 1), ["01-02 00:00:00 +0000"]);
}

#[test]
fn what_is_no_time_is_refused() {
    for rule in [
        "",
        "* * * *",
        "61 * * * *",
        "* * * * * * *",
        "@every",
        "@every 0s",
        "@every 10y",
        "@never",
        "@init",
        "every day",
    ] {
        assert!(when(rule).is_err(), "{rule:?}");
    }
}

/// In Berlin the clock goes from 02:00 to 03:00 on 2026-03-29: what is due between is due when the hour is over.
#[test]
fn a_time_that_the_clock_leaves_out_is_due_right_after_it() {
    let due = times("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
    assert_eq!(due, ["03-29 03:00:00 +0200", "03-30 02:30:00 +0200"]);
    let every_hour = times("0 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", 2);
    assert_eq!(every_hour, ["03-29 03:00:00 +0200", "03-29 04:00:00 +0200"]);
}

/// And from 03:00 back to 02:00 on 2026-10-25: what is due at one time is due once, what is due every hour each hour.
#[test]
fn a_time_that_comes_twice_is_due_once_and_each_hour_counts() {
    let due = times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
    assert_eq!(due, ["10-25 02:30:00 +0200", "10-26 02:30:00 +0100"]);
    let every_hour = times("0 * * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", 2);
    assert_eq!(every_hour, ["10-25 02:00:00 +0100", "10-25 03:00:00 +0100"]);
}

#[test]
fn every_so_often_counts_from_its_beginning_and_not_from_the_clock() {
    let schedule = schedule("@every 1m 30s", "UTC");
    assert_eq!(schedule.next(1000, 1000), Some(91_000));
    assert_eq!(schedule.next(1000, 90_999), Some(91_000));
    assert_eq!(schedule.next(1000, 91_000), Some(181_000));
    assert_eq!(schedule.next(1000, 10), Some(91_000), "a clock that went back");
    assert_eq!(schedule.next(1000, u64::MAX), None, "and one that is out of its mind");
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_read_is_due_after_the_time_given(
        rule in "(@every |@)?[0-9*/,\\-LW#? a-zA-Z]{0,24}", after in 0u64..4_000_000_000_000
    ) {
        if let Ok(when) = when(&rule) {
            let schedule = Schedule { when, ..schedule("@start", "Europe/Berlin") };
            if let Some(next) = schedule.next(1000, after) {
                prop_assert!(next > after, "{rule}: {next}");
            }
        }
    }
}
