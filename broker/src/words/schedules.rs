//! What chat is told of schedules.

use super::code;
use bartizan_proto::text::escape;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where a schedule is due: what is begun; and for when it was due, where that is a while ago.
pub fn scheduled(name: &str, line: &str, late: Option<&str>) -> String {
    let late = late.map_or(String::new(), |due| format!(" It was due at {due}."));
    format!(":alarm\\_clock: Schedule **{}** runs {}.{late}", escape(name), code(line))
}

/// Below that, when the server took it too late.
pub fn too_late(name: &str) -> String {
    format!("**{}** was not run: this post is too late.", escape(name))
}

/// A time to the minute, by the clock of a zone; with seconds where it has some.
pub fn in_zone(ms: u64, zone: &TimeZone) -> String {
    let Some(time) = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()) else {
        return "never".to_owned();
    };
    let time = time.to_zoned(zone.clone());
    let form = if time.second() == 0 { "%Y-%m-%d %H:%M %Z" } else { "%Y-%m-%d %H:%M:%S %Z" };
    time.strftime(form).to_string()
}

/// One line of `schedule`, and of `paused`.
pub fn line(
    name: &str,
    command: &str,
    channel: &str,
    rule: &str,
    zone: &str,
    next: &str,
    paused: Option<&str>,
) -> String {
    let paused = paused.map_or(String::new(), |paused| format!("; **paused** {paused}"));
    format!(
        "- **{}**: {} in #{}, {} ({}), next {next}{paused}\n",
        escape(name),
        code(command),
        escape(channel),
        code(rule),
        escape(zone)
    )
}

/// Of a pause: by whom and until when.
pub fn paused_by(by: &str, until: Option<&str>) -> String {
    match until {
        Some(until) => format!("by {} until {until}", code(by)),
        None => format!("by {}", code(by)),
    }
}

/// To `schedule` and `paused`, where there is nothing.
pub const NONE: &str = "**Nothing is scheduled here.**\n";
/// The same for `paused`.
pub const NONE_PAUSED: &str = "**Nothing is paused here.**\n";

/// Below a list.
pub fn elsewhere(count: usize) -> String {
    format!("{count} more in other places: ask me in a direct message.\n")
}

/// To `pause`.
pub fn paused(name: &str, until: Option<&str>) -> String {
    match until {
        Some(until) => format!("Schedule **{}** is paused until {until}.", escape(name)),
        None => format!("Schedule **{}** is paused until somebody resumes it.", escape(name)),
    }
}

/// To `resume`.
pub fn resumed(name: &str, next: &str) -> String {
    format!("Schedule **{}** goes on; next {next}.", escape(name))
}
