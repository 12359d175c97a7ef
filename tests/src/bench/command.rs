//! The command line, and the order in which things are measured.

use super::meter::{Meter, serve_root};
use super::numbers::{median, ms};
use super::progress::Progress;
use super::side::{Pair, Programs};
use super::table::Table;
use super::{BenchError, Effort, audit, bot, crowd, gates, io, jobs, latency, memory, outage, remote, sandbox, start};
use bartizan_playground::server::ServiceTimes;
use bartizan_playground::service::{demo_files, janitor, stage_and_drop};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs what the command line says: the bench, or one of the processes that it starts itself as.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        [] => bench(Effort::FULL),
        ["--quick"] => bench(Effort::QUICK),
        ["--soak", seconds] => seconds.parse().map_err(|_| BenchError::Usage).and_then(|time| soak(time, "!ping")),
        ["--soak", seconds, command] => {
            seconds.parse().map_err(|_| BenchError::Usage).and_then(|time| soak(time, command))
        }
        ["bot"] => bot::run(),
        ["meter"] => serve_root(),
        [which] if which.starts_with("--") => only(which, Effort::FULL),
        [which, "--quick"] => only(which, Effort::QUICK),
        ["janitor", stage] => {
            janitor(Path::new(stage));
            Ok(())
        }
        _ => Err(BenchError::Usage),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bartizan-bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn bench(effort: Effort) -> Result<(), BenchError> {
    let begun = Instant::now();
    // 1. What only root can read is read by a helper; then nobody here is root any more.
    let meter = Meter::start()?;
    let programs = prepare()?;
    // 2. The figures.
    let mut table = Table::default();
    let mut progress = Progress::default();
    let measured = runtime()?
        .block_on(figures(effort, &programs, &meter, &mut table, &mut progress))
        .and_then(|()| sandbox::measure(effort, &programs, &mut table, &mut progress))
        .and_then(|()| remote::measure(effort, &programs, &mut table, &mut progress))
        .and_then(|()| gates::measure(&mut table, &mut progress))
        .and_then(|()| audit::measure(effort, &programs, &mut table, &mut progress));
    progress.done();
    // 3. The table, as far as it got.
    println!("{table}");
    println!("{} goals missed; {} s", table.missed(), begun.elapsed().as_secs());
    measured
}

/// Some of the rows alone.
fn only(which: &str, effort: Effort) -> Result<(), BenchError> {
    let meter = Meter::start()?;
    let programs = prepare()?;
    let (mut table, mut progress) = (Table::default(), Progress::default());
    let (rows, shown) = (&mut table, &mut progress);
    let measured = match which {
        "--audit" => gates::measure(rows, shown).and_then(|()| audit::measure(effort, &programs, rows, shown)),
        "--jobs" => runtime()?.block_on(jobs::measure(effort, &programs, rows, shown)),
        "--memory" => runtime()?.block_on(async {
            let pair = Pair::start(&programs, None).await?;
            let idle = memory::idle(&pair, &meter).await?;
            memory::measure(effort, &pair, &meter, idle, rows, shown).await?;
            pair.stop().await;
            Ok(())
        }),
        "--outage" => runtime()?.block_on(outage::measure(effort, &programs, rows, shown)),
        "--remote" => remote::measure(effort, &programs, rows, shown),
        "--sandbox" => sandbox::measure(effort, &programs, rows, shown),
        "--start" => runtime()?.block_on(start::measure(effort, &programs, rows, shown)),
        _ => Err(BenchError::Usage),
    };
    progress.done();
    println!("{table}");
    measured
}

/// One person asks for the same (`!ping`) all the time, at a server that takes no time: something to look at with perf or strace.
fn soak(seconds: u64, command: &str) -> Result<(), BenchError> {
    let programs = prepare()?;
    runtime()?.block_on(async {
        let pair = Pair::start(&programs, None).await?;
        let (measured, share) = latency::soak(&pair.bartizan, Duration::from_secs(seconds), command).await?;
        println!("{} commands, p50 {}", measured.len(), ms(median(&measured)));
        for (program, cpu) in share {
            println!("  CPU of {program} per command: {}", ms(cpu));
        }
        pair.stop().await;
        Ok(())
    })
}

fn prepare() -> Result<Programs, BenchError> {
    let own = std::env::current_exe().map_err(io("my own program"))?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    // The demo's allowlist; its configuration without the limits on how often somebody may ask.
    let (_demo, allowlist) = demo_files();
    let tests = allowlist.ancestors().nth(2).unwrap_or(Path::new("/")).join("tests");
    let jobs = tests.join("bench-jobs-allowlist.toml");
    let pairs = [
        (tests.join("bench.toml"), allowlist),
        (tests.join("bench-jobs.toml"), jobs.clone()),
        (tests.join("bench-many.toml"), jobs),
    ];
    let staged = stage_and_drop(folder, &pairs)?;
    let source = |pair| {
        staged.sources.get(pair).cloned().ok_or_else(|| BenchError::Missing("the bench's configuration".to_owned()))
    };
    let sources = [source(&pairs[0])?, source(&pairs[1])?, source(&pairs[2])?];
    if let Some(note) = &staged.note {
        println!("{note}");
    }
    Programs::new(staged.programs.clone(), sources)
}

fn runtime() -> Result<tokio::runtime::Runtime, BenchError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io("the load's runtime"))
}

async fn figures(
    effort: Effort,
    programs: &Programs,
    meter: &Meter,
    table: &mut Table,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    let pair = Pair::start(programs, Some(ServiceTimes::real())).await?;
    latency::measure(effort, &pair, table, progress).await?;
    crowd::measure(effort, &pair, table, progress).await?;
    start::measure(effort, programs, table, progress).await?;
    pair.stop().await;
    outage::measure(effort, programs, table, progress).await?;
    jobs::measure(effort, programs, table, progress).await?;

    let pair = Pair::start(programs, None).await?;
    let idle = memory::idle(&pair, meter).await?;
    latency::added(effort, &pair, table, progress).await?;
    memory::measure(effort, &pair, meter, idle, table, progress).await?;
    pair.stop().await;
    Ok(())
}
