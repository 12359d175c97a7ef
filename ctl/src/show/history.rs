//! `bartizan history` and `bartizan log`: jobs that have ended, and what they printed.

use super::people::time;
use super::{Look, printable_lines};
use bartizan_proto::history::{PastJob, PastRow};

/// The table; a line where there is no job.
pub fn history(rows: &[PastRow], look: &Look) -> String {
    if rows.is_empty() {
        return "No job that has ended is kept.\n".to_owned();
    }
    let mut table = vec![["JOB", "ENDED", "USER", "CHANNEL", "SCRIPT", "HOW"].map(str::to_owned).to_vec()];
    table.extend(rows.iter().map(|row| {
        vec![
            row.job.to_string(),
            time(row.ended_ms),
            row.user_name.to_string(),
            channel(row),
            row.script.to_string(),
            row.ending.to_string(),
        ]
    }));
    look.table(&table)
}

/// One job: who, where, how; then its output as it was.
pub fn log(past: &PastJob, _look: &Look) -> String {
    let PastJob { row, output, is_cut } = past;
    let mut out = format!(
        "Job {}: {}, asked by {} in {}, {}, {}.\n",
        row.job,
        row.command,
        row.user_name,
        channel(row),
        row.ending,
        time(row.ended_ms)
    );
    out.push_str(&printable_lines(output));
    if !out.ends_with('\n') {
        out.push('\n');
    }
    if *is_cut {
        out.push_str("(More was printed and is not kept.)\n");
    }
    out
}

fn channel(row: &PastRow) -> String {
    if row.channel.is_empty() { "(direct)".to_owned() } else { format!("#{}", row.channel) }
}
