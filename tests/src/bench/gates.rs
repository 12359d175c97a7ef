//! What the gates add to a command, with many people and scripts: `broker/examples/gates.rs` measures inside one process.

use super::progress::Progress;
use super::table::{Goal, Table};
use super::{BenchError, io};
use std::process::Command;

/// One row; where the example cannot be run, it says so and has no verdict.
pub(super) fn measure(table: &mut Table, progress: &mut Progress) -> Result<(), BenchError> {
    progress.say("gates", 0, 1);
    let own = std::env::current_exe().map_err(io("my own program"))?;
    let example = own.with_file_name("examples").join("gates");
    let figure = "gates, 10,000 people, 1,000 scripts: p99";
    let done = match Command::new(&example).output() {
        Ok(done) if done.status.success() => done,
        Ok(done) => return Err(BenchError::Missing(String::from_utf8_lossy(&done.stderr).into_owned())),
        Err(error) => {
            let shown = format!("not measured: {}: {error}", example.display());
            table.absolute(figure, shown, String::new(), 0.0, Goal::None, "");
            return Ok(());
        }
    };
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let [p50, p99] = numbers(&said).ok_or_else(|| BenchError::Missing(format!("figures in {said:?}")))?;
    table.absolute(
        "gates, 10,000 people, 1,000 scripts: p50",
        format!("{p50:.1} µs"),
        String::new(),
        p50,
        Goal::None,
        "",
    );
    table.absolute(figure, format!("{p99:.1} µs"), String::new(), p99, Goal::AtMost(100.0), " µs");
    Ok(())
}

/// `p50 NANOSECONDS p99 NANOSECONDS`, in microseconds.
fn numbers(said: &str) -> Option<[f64; 2]> {
    let words: Vec<&str> = said.split_whitespace().collect();
    let ["p50", p50, "p99", p99] = words.as_slice() else { return None };
    Some([p50.parse::<f64>().ok()? / 1000.0, p99.parse::<f64>().ok()? / 1000.0])
}
