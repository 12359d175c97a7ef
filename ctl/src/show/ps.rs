//! `bartizan ps`: the jobs that wait or run.

use super::{Look, duration, word};
use bartizan_proto::control::JobRow;

/// The table; a line where there is no job.
pub fn ps(rows: &[JobRow], look: &Look) -> String {
    if rows.is_empty() {
        return "No job waits or runs.\n".to_owned();
    }
    let mut table = vec![["JOB", "STATE", "AGE", "USER", "CHANNEL", "PID", "COMMAND"].map(str::to_owned).to_vec()];
    table.extend(rows.iter().map(|row| {
        vec![
            row.job.to_string(),
            word(row.state),
            duration(row.age_ms),
            row.user_name.to_string(),
            channel(row),
            pid(row),
            row.command.to_string(),
        ]
    }));
    look.table(&table)
}

/// Where it was asked for.
pub(super) fn channel(row: &JobRow) -> String {
    if row.channel.is_empty() { "(direct)".to_owned() } else { format!("#{}", row.channel) }
}

/// The worker's process, if there is one.
pub(super) fn pid(row: &JobRow) -> String {
    if row.pid == 0 { "-".to_owned() } else { row.pid.to_string() }
}
