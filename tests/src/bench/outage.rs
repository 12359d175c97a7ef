//! The chat server restarts: when the first answer comes after it is back, and what becomes of what was asked meanwhile.
//!
//! The least bot has no part in it: it does not come back by itself. (Of the bots that others use the best took 1.3 s, and
//! none was seen to answer what was asked meanwhile.)

use super::numbers::median;
use super::progress::Progress;
use super::side::{Programs, serve};
use super::table::{Goal, Table};
use super::{BenchError, Effort};
use bartizan_playground::server::{Server, ServiceTimes};
use bartizan_playground::service::Service;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Commands that are asked while the server is away.
const MEANWHILE: usize = 8;

/// An answer that has not come by then is not coming.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the server was up before: one that goes down at once each time is tried less often.
const LIVED: Duration = Duration::from_secs(3);

pub(super) async fn measure(
    effort: Effort,
    programs: &Programs,
    table: &mut Table,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    let server = serve(Some(ServiceTimes::real()))?;
    let service = Service::start(&programs.settings(server.file())).await?;
    let (mut took, mut answered, mut asked) = (Vec::new(), 0, 0);
    let rounds = effort.starts;
    for number in 0..rounds {
        progress.say("restarts of the server", number, rounds);
        // What it said of an earlier connection is over.
        service.connected().await?;
        tokio::time::sleep(LIVED).await;
        until_answered(&server, &say(&server, "!ping")?).await?;
        server.restart();
        let meanwhile = (0..MEANWHILE).map(|_| say(&server, "!run hello")).collect::<Result<Vec<_>, _>>()?;
        until_back(&server).await?;
        let back = Instant::now();
        until_answered(&server, &say(&server, "!ping")?).await?;
        took.push(back.elapsed());
        for post in &meanwhile {
            asked += 1;
            answered += usize::from(until_answered(&server, post).await.is_ok() && answers(&server, post) == 1);
        }
    }
    service.stop().await;
    let seconds = median(&took).as_secs_f64();
    let shown = format!("{seconds:.2} s");
    table.absolute("server restarts: first answer after", shown, String::new(), seconds, Goal::AtMost(1.3), " s");
    let lost = f64::from(u32::try_from(asked - answered).unwrap_or(u32::MAX));
    let shown = format!("{answered} of {asked} answered once");
    table.absolute("server restarts: asked meanwhile", shown, String::new(), lost, Goal::AtMost(0.0), " lost");
    Ok(())
}

fn say(server: &Server, text: &str) -> Result<String, BenchError> {
    server.say("carol", "ops", text).ok_or_else(|| BenchError::Missing("carol, or #ops".to_owned()))
}

fn answers(server: &Server, post: &str) -> usize {
    let bot = server.file().bot.id;
    server.replies(post).iter().filter(|reply| reply["user_id"] == *bot).count()
}

async fn until_answered(server: &Server, post: &str) -> Result<(), BenchError> {
    let begun = Instant::now();
    while answers(server, post) == 0 {
        if begun.elapsed() > PATIENCE {
            return Err(BenchError::Missing("an answer after the server's restart".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

async fn until_back(server: &Server) -> Result<(), BenchError> {
    let url = server.url();
    let address = url.trim_start_matches("http://").to_owned();
    let begun = Instant::now();
    while TcpStream::connect(&address).is_err() {
        if begun.elapsed() > PATIENCE {
            return Err(BenchError::Missing(format!("the server at {url}")));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
