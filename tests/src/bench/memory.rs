//! Memory of all processes together: idle after the start, and after many commands.

use super::crowd::{fates, until};
use super::meter::{Memory, Meter};
use super::progress::Progress;
use super::side::Pair;
use super::table::{Goal, Table};
use super::user::PEOPLE;
use super::{BenchError, Effort};
use std::time::Duration;

/// Until nothing moves any more: kept connections end after some seconds, and memory is given back after ten.
const SETTLE: Duration = Duration::from_secs(12);

/// Both sides' memory when nothing is to be done: Bartizan's, the least bot's.
pub(super) async fn idle(pair: &Pair, meter: &Meter) -> Result<[Memory; 2], BenchError> {
    tokio::time::sleep(SETTLE).await;
    Ok([meter.memory(pair.bartizan.root)?, meter.memory(pair.least.root)?])
}

/// The same after many commands by eight people, every tenth of which runs a script.
pub(super) async fn measure(
    effort: Effort,
    pair: &Pair,
    meter: &Meter,
    before: [Memory; 2],
    table: &mut Table,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    let each = effort.commands / PEOPLE;
    let next = |asked: usize| (asked < each).then(|| if asked % 10 == 9 { "!run hello" } else { "!ping" }.to_owned());
    progress.say("many commands, Bartizan", 0, effort.commands);
    let counted = until(&pair.bartizan, next).await?;
    progress.say("many commands, the least bot", 0, effort.commands);
    until(&pair.least, next).await?;
    let after = idle(pair, meter).await?;

    let count = counted.answered + counted.lost;
    let exact = before.iter().chain(&after).all(|memory| memory.exact);
    let what = if exact { "PSS" } else { "RSS (PSS needs root)" };
    let [b, l] = &before;
    let figure = format!("{what} of all processes, idle");
    table.absolute(&figure, b.shown(), l.shown(), b.mib(), Goal::AtMost(30.0), " MiB");
    let [b, l] = &after;
    let growth = b.mib() / before[0].mib();
    let figure = format!("  after {count} commands ({:+.1} %)", (growth - 1.0) * 100.0);
    table.absolute(&figure, b.shown(), l.shown(), growth, Goal::AtMost(1.1), " × idle");
    for (program, kib) in &before[0].kib {
        let now = after[0].kib.get(program).copied().unwrap_or(0);
        let shown = format!("{kib} → {now} KiB");
        table.absolute(&format!("  {program}"), shown, String::new(), 0.0, Goal::None, "");
    }
    fates(table, "  of these commands", counted.lost, pair.bartizan.people.doubled());
    Ok(())
}
