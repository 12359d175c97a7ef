//! `bartizan inspect`: everything about one job, the kernel's own view of its sandbox first of all.

use super::doctor::{guarantees, layers};
use super::ps::{channel, pid};
use super::{Look, bytes, duration, word};
use bartizan_proto::control::Inspection;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::text::printable;
use bartizan_proto::worker::Ending;

/// The whole account.
pub fn inspect(job: &Inspection, look: &Look) -> String {
    let (row, limits, usage) = (&job.row, &job.limits, &job.usage);
    let pids: Vec<String> = job.pids.iter().map(u32::to_string).collect();
    let uid = job.uid.map(|uid| uid.to_string()).unwrap_or_default();
    let mut out = look.pairs(&[
        ("Job", format!("{}, {}", row.job, word(row.state))),
        ("Command", printable(&row.command)),
        (
            "Asked for by",
            format!("{} ({}) in {}, post {}", printable(&row.user_name), row.user, printable(&channel(row)), job.post),
        ),
        ("Since", duration(row.age_ms)),
        ("Script", format!("{} at {}", row.script, printable(&job.path))),
        ("SHA-256", printable(&job.sha256)),
        ("Runs by", if job.place.is_empty() { "local".to_owned() } else { printable(&job.place) }),
        ("Ending", job.ending.map_or_else(|| "not yet".to_owned(), |ending| ended(ending, look))),
        ("Runs as", format!("uid {}, worker {}, processes {}", or_dash(&uid), pid(row), or_dash(&pids.join(" ")))),
        (
            "Used",
            format!(
                "{} elapsed, {} user, {} system, {} resident, {} of output",
                duration(usage.elapsed_us / 1000),
                duration(usage.user_us / 1000),
                duration(usage.system_us / 1000),
                bytes(usage.max_rss),
                bytes(usage.output),
            ),
        ),
        (
            "Limits",
            format!(
                "{} time, {} memory, {} CPU, {} processes, {} open files, {} a file, {} scratch",
                duration(job.timeout_ms),
                bytes(limits.memory),
                duration(limits.cpu.saturating_mul(1000)),
                limits.processes,
                limits.files,
                bytes(limits.file_size),
                bytes(limits.scratch),
            ),
        ),
    ]);
    if job.layers.is_empty() {
        out.push_str("\nNothing has been read back from the kernel yet.\n");
    } else {
        out.push_str(&format!("\n{}\n", look.heading("In force, read back from the kernel")));
        out.push_str(&layers(&job.layers, look));
        out.push('\n');
        out.push_str(&guarantees(&job.given, None, look));
    }
    out.push_str(&format!("\n{}\n", look.heading("The end of its output")));
    match job.tail.is_empty() {
        true => out.push_str("(nothing)\n"),
        false => job.tail.lines().for_each(|line| out.push_str(&format!("| {}\n", printable(line)))),
    }
    out
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn ended(ending: Ending, look: &Look) -> String {
    match ending {
        Ending::Ended(ExitStatus::Code(0)) => look.good("exit 0"),
        Ending::Ended(ExitStatus::Code(code)) => look.bad(&format!("exit {code}")),
        Ending::Ended(ExitStatus::Signal(signal)) => look.bad(&format!("ended by signal {signal}")),
        Ending::TimedOut => look.bad("ran out of time"),
        Ending::Stopped => look.doubtful("stopped"),
    }
}
