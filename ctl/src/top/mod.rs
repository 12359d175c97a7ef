//! `bartizan top`: the service on one screen that keeps itself up to date. Asks again every second, draws, and takes keys; what it
//! shows and what it may stop is what the control socket grants. A service that is away is waited for.

mod screen;

use crate::ask::ask;
use crate::commands::Out;
use crate::exit::{CtlError, Exit};
use bartizan_proto::control::{Answer, JobRow, Request, Status};
use bartizan_proto::history::PastRow;
use bartizan_proto::ids::JobId;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use serde::Serialize;
use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the ended jobs are asked for, in rounds: they change less, and are more.
const PAST_EVERY: u64 = 5;

/// Everything on the screen.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct View {
    status: Option<Box<Status>>,
    jobs: Vec<JobRow>,
    /// Jobs that ended badly, the newest first.
    failed: Vec<PastRow>,
    /// Why there is nothing newer.
    away: Option<String>,
}

/// What a person is doing.
#[derive(Debug, Default)]
struct Hand {
    /// The job under the bar, by its number: the list moves, the bar stays with it.
    chosen: Option<JobId>,
    /// The job that is to be stopped, if the next key is `y`.
    asked: Option<JobId>,
    /// What became of the last deed.
    told: String,
}

/// What a key comes to.
#[derive(Debug, PartialEq, Eq)]
enum Deed {
    Nothing,
    Leave,
    Kill(JobId),
}

/// Shows until `q`; with `--json` one picture of it.
///
/// # Errors
/// [`CtlError`]: no service answered at the beginning, or there is no terminal.
pub fn run(socket: &Path, every: Duration, out: &Out) -> Result<Exit, CtlError> {
    let mut view = View::default();
    view.ask(socket, true)?;
    if out.json {
        return out.give(&view, |_| String::new());
    }
    if !std::io::stdout().is_terminal() || !rustix::termios::isatty(rustix::stdio::stdin()) {
        return Err(CtlError::Typed(std::io::Error::other("needs a terminal; `bartizan top --json` shows it once")));
    }
    let colour = out.look.colour;
    let mut terminal = ratatui::try_init().map_err(CtlError::Typed)?;
    let ended = (|| {
        let mut hand = Hand::default();
        let mut round: u64 = 0;
        loop {
            hand.follow(&view.jobs);
            terminal.draw(|frame| screen::draw(frame, &view, &hand, colour)).map_err(CtlError::Typed)?;
            let until = Instant::now() + every;
            // Keys are answered at once; what the service says is asked for when it is time.
            while event::poll(until.saturating_duration_since(Instant::now())).map_err(CtlError::Typed)? {
                let Event::Key(key) = event::read().map_err(CtlError::Typed)? else { break };
                if key.kind == KeyEventKind::Release {
                    continue;
                }
                let given_up = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
                match if given_up { Deed::Leave } else { hand.key(key.code, &view.jobs) } {
                    Deed::Nothing => {}
                    Deed::Leave => return Ok(Exit::Ok),
                    Deed::Kill(job) => hand.told = kill(socket, job),
                }
                terminal.draw(|frame| screen::draw(frame, &view, &hand, colour)).map_err(CtlError::Typed)?;
            }
            round += 1;
            view.away = view.ask(socket, round.is_multiple_of(PAST_EVERY)).err().map(|error| error.to_string());
        }
    })();
    ratatui::restore();
    ended
}

impl View {
    fn ask(&mut self, socket: &Path, past: bool) -> Result<(), CtlError> {
        let Answer::Status(status) = ask(socket, &Request::Status)? else { return Err(CtlError::WrongAnswer) };
        let Answer::Ps(jobs) = ask(socket, &Request::Ps)? else { return Err(CtlError::WrongAnswer) };
        if past {
            let Answer::History(rows) = ask(socket, &Request::History { script: None })? else {
                return Err(CtlError::WrongAnswer);
            };
            let mut failed: Vec<PastRow> = rows.into_iter().filter(|row| !row.ending.contains("exit 0 ")).collect();
            failed.sort_by_key(|row| std::cmp::Reverse(row.ended_ms));
            self.failed = failed;
        }
        self.status = Some(status);
        self.jobs = jobs.into_iter().collect();
        Ok(())
    }
}

impl Hand {
    /// The bar is on a job that is there, if any is.
    fn follow(&mut self, jobs: &[JobRow]) {
        let there = |job: &JobId| jobs.iter().any(|row| row.job == *job);
        self.chosen = self.chosen.filter(there).or_else(|| jobs.first().map(|row| row.job));
        self.asked = self.asked.filter(there);
    }

    fn key(&mut self, key: KeyCode, jobs: &[JobRow]) -> Deed {
        if let Some(job) = self.asked.take() {
            self.told = String::new();
            return if matches!(key, KeyCode::Char('y' | 'Y')) { Deed::Kill(job) } else { Deed::Nothing };
        }
        let at = jobs.iter().position(|row| Some(row.job) == self.chosen).unwrap_or(0);
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Deed::Leave,
            KeyCode::Char('k') => self.asked = self.chosen,
            KeyCode::Up => self.chosen = jobs.get(at.saturating_sub(1)).map(|row| row.job),
            KeyCode::Down => self.chosen = jobs.get(at + 1).or(jobs.last()).map(|row| row.job),
            KeyCode::Home => self.chosen = jobs.first().map(|row| row.job),
            KeyCode::End => self.chosen = jobs.last().map(|row| row.job),
            _ => {}
        }
        Deed::Nothing
    }
}

fn kill(socket: &Path, job: JobId) -> String {
    match ask(socket, &Request::Kill { job }) {
        Ok(_) => format!("stopping job {job}"),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use screen::tests::{row, view};

    #[test]
    fn a_job_is_stopped_only_after_a_second_key_and_the_bar_stays_with_its_job() {
        let (mut hand, mut view) = (Hand::default(), view());
        hand.follow(&view.jobs);
        assert_eq!(hand.key(KeyCode::Down, &view.jobs), Deed::Nothing);
        assert_eq!(hand.chosen, Some(view.jobs[1].job));
        // Another job comes in before it: the bar moves with the job.
        view.jobs.insert(0, row(9));
        hand.follow(&view.jobs);
        assert_eq!(hand.key(KeyCode::Char('k'), &view.jobs), Deed::Nothing);
        assert_eq!(hand.key(KeyCode::Char('n'), &view.jobs), Deed::Nothing, "anything but y is no");
        assert_eq!(hand.key(KeyCode::Char('k'), &view.jobs), Deed::Nothing);
        assert_eq!(hand.key(KeyCode::Char('y'), &view.jobs), Deed::Kill(view.jobs[2].job));
        // It has ended: the bar is on one that is there, and no key stops anything that was not asked about.
        view.jobs.truncate(1);
        hand.follow(&view.jobs);
        assert_eq!(hand.chosen, Some(view.jobs[0].job));
        assert_eq!(hand.key(KeyCode::Char('y'), &view.jobs), Deed::Nothing);
        assert_eq!(hand.key(KeyCode::Char('q'), &view.jobs), Deed::Leave);
    }
}
