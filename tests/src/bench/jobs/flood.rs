//! One job prints a gigabyte: what that costs the core, and how long others wait meanwhile.

use super::{CORE, House};
use crate::bench::meter::{peak, process};
use crate::bench::numbers::{median, ms};
use crate::bench::progress::Progress;
use crate::bench::side::Programs;
use crate::bench::table::{Goal, Table};
use crate::bench::{BenchError, io};
use bartizan_playground::server::{Options, ServiceTimes};
use std::time::{Duration, Instant};

/// How the results begin.
const FLOODED: &str = "**flood**: exit 0";
const RESULT: &str = "**true**: exit 0";

/// One of the others may wait so long.
const LONGEST: Duration = Duration::from_secs(30);

pub(super) async fn measure(programs: &Programs, table: &mut Table, progress: &mut Progress) -> Result<(), BenchError> {
    let options = Options { service_times: Some(ServiceTimes::real()), ..Options::default() };
    let house = House::start(programs, &programs.jobs, options).await?;
    // What a core has anyway once it has run some jobs.
    for _ in 0..20 {
        one(&house).await?;
    }
    let core = process(house.root, CORE).ok_or_else(|| BenchError::Missing("the core".to_owned()))?;
    let quiet = peak(core).ok_or_else(|| BenchError::Missing("the core's memory".to_owned()))?;

    progress.say("a gigabyte of output", 0, 1);
    let begun = Instant::now();
    let flood = house.say(0, "!flood")?;
    let mut others = Vec::new();
    while house.results(&flood, FLOODED) == 0 {
        if begun.elapsed() > super::PATIENCE {
            return Err(BenchError::Missing("the end of a job that prints a gigabyte".to_owned()));
        }
        others.push(one(&house).await?);
    }
    let took = begun.elapsed();
    let after = peak(core).ok_or_else(|| BenchError::Missing("the core's memory".to_owned()))?;

    // The most that it ever had, against what it had before: never too little.
    let growth = after.most.saturating_sub(quiet.now) as f64 / 1024.0;
    let figure = format!("a job prints 1 GB ({:.1} s): the core's memory", took.as_secs_f64());
    table.absolute(&figure, format!("{growth:+.1} MiB"), String::new(), growth, Goal::AtMost(8.0), " MiB");
    let longest = others.iter().max().copied().unwrap_or_default();
    let figure = format!("  {} other jobs meanwhile, p50 {}, longest", others.len(), ms(median(&others)));
    table.absolute(&figure, ms(longest), String::new(), longest.as_secs_f64(), Goal::AtMost(1.0), " s");
    house.service.stop().await;
    Ok(())
}

/// A job of another person: from its post to its result.
async fn one(house: &House) -> Result<Duration, BenchError> {
    let begun = Instant::now();
    let post = house.say(1, "!true")?;
    while house.results(&post, RESULT) == 0 {
        if begun.elapsed() > LONGEST {
            let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
            return Err(io("a job beside one that prints a gigabyte")(error));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(begun.elapsed())
}
