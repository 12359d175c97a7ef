//! Many jobs that run at once and are shown while they do, at a server that lets the bot ask only so often.

use super::{House, PEOPLE};
use crate::bench::progress::Progress;
use crate::bench::side::Programs;
use crate::bench::table::{Goal, Table};
use crate::bench::{BenchError, Effort, crowd};
use bartizan_playground::server::{Options, RateLimit, ServiceTimes};
use std::time::{Duration, Instant};

/// What the server allows. Its own default, where it limits at all, is 10 a second; this is five times that, so that the
/// figure is there within a minute.
const ALLOWED: RateLimit = RateLimit { per_second: 50, burst: 100 };

/// How long each job takes.
const SECONDS: usize = 15;

/// How a result begins.
const RESULT: &str = "**count**: exit 0";

pub(super) async fn measure(
    effort: Effort,
    programs: &Programs,
    table: &mut Table,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    let options =
        Options { service_times: Some(ServiceTimes::real()), rate_limit: Some(ALLOWED), ..Options::default() };
    let house = House::start(programs, &programs.many, options).await?;
    let refused = house.server.counts().refused;
    let begun = Instant::now();
    let command = format!("!count {SECONDS}");
    let posts: Vec<String> =
        (0..effort.at_once).map(|number| house.say(number % PEOPLE.len(), &command)).collect::<Result<_, _>>()?;
    let mut most = 0;
    let mut edits = 0;
    // Everything is under way while jobs run; how many do is what the operator is told.
    while begun.elapsed() < Duration::from_secs(SECONDS as u64) {
        let running = house.service.status().await.and_then(|status| status["running"].as_u64()).unwrap_or(0);
        most = most.max(running);
        progress.say("jobs that run at once", usize::try_from(running).unwrap_or(0), effort.at_once);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let lost = house.until_all(&posts, RESULT, |done| progress.say("results", done, effort.at_once)).await;
    let took = begun.elapsed();
    let mut wrong = 0;
    for post in &posts {
        let replies = house.server.replies(post);
        let text = |reply: &serde_json::Value| reply["message"].as_str().unwrap_or_default().to_owned();
        let whole = |text: &String| (1..=SECONDS).all(|n| text.contains(&format!("{n} of {SECONDS}\n")));
        let result = replies.iter().map(text).find(|text| text.contains(RESULT));
        wrong += usize::from(result.is_some_and(|text| !whole(&text)));
        edits += replies.iter().filter(|reply| reply["edit_at"].as_u64().is_some_and(|at| at > 0)).count();
    }
    let refused = house.server.counts().refused - refused;

    let figure = format!("{} jobs at once, {} requests/s allowed", effort.at_once, ALLOWED.per_second);
    let shown = format!("{} ended well in {:.0} s", effort.at_once - lost - wrong, took.as_secs_f64());
    let bad = (lost + wrong) as f64;
    table.absolute(&figure, shown, String::new(), bad, Goal::AtMost(0.0), " lost or wrong");
    let most = usize::try_from(most).unwrap_or(0);
    let missing = effort.at_once.saturating_sub(most) as f64;
    table.absolute("  most of them running", most.to_string(), String::new(), missing, Goal::AtMost(0.0), " less");
    table.absolute(
        "  live posts that were edited",
        edits.to_string(),
        String::new(),
        edits as f64,
        Goal::AtLeast(1.0),
        "",
    );
    table.absolute("  requests that the server refused", refused.to_string(), String::new(), 0.0, Goal::None, "");
    crowd::fates(table, "  of these jobs", lost, house.doubled(&posts, RESULT));
    house.service.stop().await;
    Ok(())
}
