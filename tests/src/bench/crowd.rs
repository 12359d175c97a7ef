//! Eight people at once, each of whom asks again as soon as they are answered.

use super::progress::Progress;
use super::side::{Pair, Side};
use super::table::{Goal, Table};
use super::user::PEOPLE;
use super::{BenchError, Effort};
use futures_util::future::join_all;
use std::time::{Duration, Instant};

/// One side's turn.
const TURN: Duration = Duration::from_secs(1);

/// What was counted of one side.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counted {
    /// Answered.
    pub(super) answered: usize,
    /// Not answered.
    pub(super) lost: usize,
    elapsed: Duration,
}

impl Counted {
    fn per_second(self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }

    fn shown(self) -> String {
        format!("{:.0} /s", self.per_second())
    }
}

/// Throughput of both, and what became of each command.
pub(super) async fn measure(
    effort: Effort,
    pair: &Pair,
    table: &mut Table,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    let turns = usize::try_from(effort.crowd_seconds).unwrap_or(1);
    let mut lost = 0;
    let mut all = 0;
    for (command, goal) in [("!ping", Goal::AtLeast(0.85)), ("!run hello", Goal::None)] {
        let (mut bartizan, mut least) = (Counted::default(), Counted::default());
        for number in 0..turns {
            progress.say("eight people at once", number, turns);
            for side in pair.in_turns(number) {
                let counted = if side.is_bartizan() { &mut bartizan } else { &mut least };
                turn(side, command, counted).await?;
            }
        }
        let shown = |counted: Counted| (counted.shown(), counted.per_second());
        table.ratio(&format!("8 users at once, {command}"), shown(bartizan), shown(least), goal);
        lost += bartizan.lost;
        all += bartizan.answered + bartizan.lost;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    fates(table, &format!("  of these {all} commands"), lost, pair.bartizan.people.doubled());
    Ok(())
}

/// Two rows: what was lost, and what was answered twice.
pub(super) fn fates(table: &mut Table, figure: &str, lost: usize, doubled: usize) {
    for (what, count) in [("lost", lost), ("doubled", doubled)] {
        let figure = format!("{figure}, {what}");
        table.absolute(&figure, count.to_string(), String::new(), count as f64, Goal::AtMost(0.0), "");
    }
}

async fn turn(side: &Side, command: &str, into: &mut Counted) -> Result<(), BenchError> {
    let begun = Instant::now();
    let more = |_| (begun.elapsed() < TURN).then(|| command.to_owned());
    let counted = until(side, more).await?;
    into.answered += counted.answered;
    into.lost += counted.lost;
    into.elapsed += begun.elapsed();
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}

/// Everybody asks on as long as there is something to ask; `next` is told how often that person has asked.
pub(super) async fn until(side: &Side, next: impl Fn(usize) -> Option<String>) -> Result<Counted, BenchError> {
    let one = async |who: usize| {
        let mut counted = Counted::default();
        let mut asked = 0;
        while let Some(command) = next(asked) {
            asked += 1;
            match side.people.ask(who, &command).await? {
                Some(_) => counted.answered += 1,
                None => counted.lost += 1,
            }
        }
        Ok::<Counted, BenchError>(counted)
    };
    let mut sum = Counted::default();
    for counted in join_all((0..PEOPLE).map(one)).await {
        let counted = counted?;
        sum.answered += counted.answered;
        sum.lost += counted.lost;
    }
    Ok(sum)
}
