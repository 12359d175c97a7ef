//! Many jobs of `true` that wait until all of them are there, and are let go together.

use super::{House, PEOPLE};
use crate::bench::progress::Progress;
use crate::bench::side::Programs;
use crate::bench::table::{Goal, Table};
use crate::bench::{BenchError, Effort, crowd};
use bartizan_playground::server::{Options, ServiceTimes};
use std::time::Instant;

/// `[limits] jobs`, where nothing is said.
const PLACES: usize = 16;

/// Jobs a second.
const WANTED: f64 = 100.0;

/// How a result begins.
const RESULT: &str = "**true**: exit 0";

pub(super) async fn measure(
    effort: Effort,
    programs: &Programs,
    table: &mut Table,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    let options = Options { service_times: Some(ServiceTimes::real()), ..Options::default() };
    let house = House::start(programs, &programs.jobs, options).await?;
    // 1. Jobs that take every place, so that all others wait.
    for _ in 0..PLACES {
        house.say(0, "!hold")?;
    }
    house.until("running", PLACES).await?;
    let mut posts = Vec::with_capacity(effort.jobs);
    for number in 0..effort.jobs {
        progress.say("jobs that are asked for", number, effort.jobs);
        posts.push(house.say(number % PEOPLE.len(), "!true")?);
        // As fast as the server could take them from people.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    house.until("queued", effort.jobs).await?;
    house.until("undelivered", 0).await?;

    // 2. Let go; until the last result is in its thread.
    let before = house.cpu();
    let begun = Instant::now();
    for job in 1..=PLACES {
        house.say(0, &format!("!kill {job}"))?;
    }
    let lost = house.until_all(&posts, RESULT, |done| progress.say("jobs of `true`", done, effort.jobs)).await;
    let took = begun.elapsed();
    let after = house.cpu();

    let done = posts.len() - lost;
    let rate = done as f64 / took.as_secs_f64();
    let figure = format!("{} queued jobs of true, to the last result", effort.jobs);
    table.absolute(&figure, format!("{rate:.0} /s"), String::new(), rate, Goal::AtLeast(WANTED), " /s");
    let [core, all] = [0, 1].map(|which| after[which].saturating_sub(before[which]).as_secs_f64());
    let each = |cpu: f64| format!("{:.2} ms a job", 1000.0 * cpu / done.max(1) as f64);
    // The goal is meant for the wanted pace: who does more has more to do.
    let share = 100.0 * WANTED * core / done.max(1) as f64;
    let shown = format!("{share:.1} %, {} ({:.1} % at this pace)", each(core), 100.0 * core / took.as_secs_f64());
    table.absolute("  the core at 100 jobs/s, of one core", shown, String::new(), share, Goal::AtMost(10.0), " %");
    table.absolute("  CPU of all processes", each(all), String::new(), 0.0, Goal::None, "");
    crowd::fates(table, "  of these jobs", lost, house.doubled(&posts, RESULT));
    house.service.stop().await;
    Ok(())
}
