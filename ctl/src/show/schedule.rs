//! `bartizan schedule`: when what is due next.

use super::Look;
use super::people::time;
use bartizan_proto::schedule::ScheduleRow;

/// The table; a line where nothing is scheduled.
pub fn schedule(rows: &[ScheduleRow], look: &Look) -> String {
    if rows.is_empty() {
        return "Nothing is scheduled.\n".to_owned();
    }
    let heads = ["NAME", "NEXT", "WHEN", "ZONE", "MISSED", "CHANNEL", "COMMAND", "PAUSED"];
    let mut table = vec![heads.map(str::to_owned).to_vec()];
    table.extend(rows.iter().map(|row| {
        vec![
            row.name.to_string(),
            row.next.to_string(),
            row.when.to_string(),
            row.time_zone.to_string(),
            row.missed.to_string(),
            row.channel.to_string(),
            row.command.to_string(),
            paused(row),
        ]
    }));
    look.table(&table)
}

fn paused(row: &ScheduleRow) -> String {
    match (&row.paused_by, row.paused_until_ms) {
        (None, _) => String::new(),
        (Some(by), None) => format!("by {by}"),
        (Some(by), Some(until)) => format!("by {by} until {}", time(until)),
    }
}
