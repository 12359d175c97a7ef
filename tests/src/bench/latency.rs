//! How long one person waits, and how much CPU that takes: `!ping` and `!run hello`, the sides in turns.

use super::meter::cpu;
use super::numbers::{median, ms, percentile};
use super::progress::Progress;
use super::side::{Pair, Side};
use super::table::{Goal, Table};
use super::{BenchError, Effort};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const PING: &str = "!ping";
const RUN: &str = "!run hello";
/// Answered by the core itself like `!ping`, but only of a post that egress attested.
const ATTESTED: &str = "!about";

/// After a reply a bot still writes down that it was made.
const SETTLE: Duration = Duration::from_millis(20);

/// What was measured of one side.
#[derive(Debug, Default)]
struct Measured {
    pings: Vec<Duration>,
    runs: Vec<Duration>,
    attested: Vec<Duration>,
    cpu: BTreeMap<String, Duration>,
}

impl Measured {
    /// Adds what was spent since.
    fn spent(&mut self, since: BTreeMap<String, Duration>, side: &Side) {
        for (program, after) in cpu(side.root) {
            let spent = after.saturating_sub(since.get(&program).copied().unwrap_or_default());
            *self.cpu.entry(program).or_default() += spent;
        }
    }
}

/// Against servers that take as long as a real one.
pub(super) async fn measure(
    effort: Effort,
    pair: &Pair,
    table: &mut Table,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    let (bartizan, least) = rounds(effort, pair, "latency", progress).await?;
    let (b, l) = (&bartizan.pings, &least.pings);
    table.times("!ping p50", median(b), median(l), Goal::AtMost(1.15));
    table.times("!ping p95", percentile(b, 95), percentile(l, 95), Goal::AtMost(1.3));
    table.times("!run hello p50", median(&bartizan.runs), median(&least.runs), Goal::AtMost(1.5));
    attestation(&bartizan, table);
    table.times("!run hello p95", percentile(&bartizan.runs, 95), percentile(&least.runs, 95), Goal::None);
    let share = |side: &Measured, cpu: Duration| cpu / u32::try_from(side.pings.len().max(1)).unwrap_or(u32::MAX);
    let all = |side: &Measured| share(side, side.cpu.values().sum());
    table.times("CPU of all processes per !ping", all(&bartizan), all(&least), Goal::AtMost(2.0));
    for (program, cpu) in &bartizan.cpu {
        table.absolute(&format!("  {program}"), ms(share(&bartizan, *cpu)), String::new(), 0.0, Goal::None, "");
    }
    Ok(())
}

/// Against servers that take no time: what a bot adds, in absolute terms.
pub(super) async fn added(
    effort: Effort,
    pair: &Pair,
    table: &mut Table,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    let (bartizan, least) = rounds(effort, pair, "latency without service times", progress).await?;
    for (figure, b, l) in [(PING, &bartizan.pings, &least.pings), (RUN, &bartizan.runs, &least.runs)] {
        let figure = format!("{figure} p50, server without service times");
        table.times(&figure, median(b), median(l), Goal::None);
        let micros = median(b).as_secs_f64() - median(l).as_secs_f64();
        let shown = format!("{:+.0} µs", micros * 1e6);
        table.absolute("  added to the least bot's", shown, String::new(), micros, Goal::None, "");
    }
    attestation(&bartizan, table);
    Ok(())
}

/// What it costs that egress fetches a command's post itself: two answers of the core's own, one of them attested.
fn attestation(bartizan: &Measured, table: &mut Table) {
    let (attested, unattested) = (median(&bartizan.attested), median(&bartizan.pings));
    table.absolute("!about p50 (attested)", ms(attested), String::new(), attested.as_secs_f64(), Goal::None, "");
    let cost = attested.saturating_sub(unattested);
    table.absolute("  attestation: more than !ping", ms(cost), String::new(), cost.as_secs_f64(), Goal::None, "");
}

/// One person asks one side without a pause. Gives each latency, and each program's CPU time per command.
pub(super) async fn soak(
    side: &Side,
    time: Duration,
    command: &str,
) -> Result<(Vec<Duration>, BTreeMap<String, Duration>), BenchError> {
    let mut measured = Measured::default();
    let begun = Instant::now();
    let before = cpu(side.root);
    while begun.elapsed() < time {
        measured.pings.push(side.people.ask_surely(command).await?);
    }
    measured.spent(before, side);
    let count = u32::try_from(measured.pings.len().max(1)).unwrap_or(u32::MAX);
    let share = measured.cpu.into_iter().map(|(program, cpu)| (program, cpu / count)).collect();
    Ok((measured.pings, share))
}

async fn rounds(
    effort: Effort,
    pair: &Pair,
    what: &str,
    progress: &mut Progress,
) -> Result<(Measured, Measured), BenchError> {
    let (mut bartizan, mut least) = (Measured::default(), Measured::default());
    for side in pair.in_turns(0) {
        round(side, 10, &mut Measured::default()).await?;
    }
    for number in 0..effort.rounds {
        progress.say(what, number, effort.rounds);
        for side in pair.in_turns(number) {
            let measured = if side.is_bartizan() { &mut bartizan } else { &mut least };
            round(side, effort.per_round, measured).await?;
        }
    }
    Ok((bartizan, least))
}

async fn round(side: &Side, commands: usize, into: &mut Measured) -> Result<(), BenchError> {
    let before = cpu(side.root);
    for _ in 0..commands {
        into.pings.push(side.people.ask_surely(PING).await?);
    }
    tokio::time::sleep(SETTLE).await;
    into.spent(before, side);
    for _ in 0..commands / 2 {
        into.runs.push(side.people.ask_surely(RUN).await?);
    }
    if side.is_bartizan() {
        for _ in 0..commands / 2 {
            into.attested.push(side.people.ask_surely(ATTESTED).await?);
        }
    }
    tokio::time::sleep(SETTLE).await;
    Ok(())
}
