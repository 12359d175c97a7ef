//! `[[schedules]]` of the allowlist: a command that is begun at certain times, by nobody.
//!
//! Everything that can be known when the file is read is checked then: the script is there, its arguments fit, it may run in
//! that channel, and nothing of it asks a person.

use super::error::{Wrong, not_one_of};
use super::{Allowlist, nearest, raw_schedules as raw, settings};
use crate::command::parse::{self, Command};
use crate::command::without_run;
use crate::gate::{Verdict, approval, arguments};
use bartizan_proto::ids::{ChannelId, ScriptName};
use bartizan_proto::limits::MAX_MESSAGE;
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use std::time::Duration;

/// Most schedules of one allowlist.
pub(super) const MOST: usize = 200;

/// Between two times of `@every`, at least and at most.
const EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(366 * 24 * 3600));

/// A command that is begun at certain times.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// `name`.
    pub name: ScriptName,
    /// `command`: as it would be written in chat, without the prefix.
    pub line: String,
    /// The script in it.
    pub script: ScriptName,
    /// `when`.
    pub when: When,
    /// `when`, as it was written.
    pub rule: String,
    /// `time-zone`: whose clock `when` is read by; UTC unless the file says otherwise.
    pub zone: TimeZone,
    /// Its name.
    pub zone_name: String,
    /// `channel`: where it is announced and its result posted, by name or id.
    pub channel: String,
    /// `missed`.
    pub missed: Missed,
}

/// When it is due.
#[derive(Debug, Clone)]
pub enum When {
    /// By the clock on the wall.
    Cron(Box<Cron>),
    /// `@every`: so long after each other, whatever the clock says.
    Every(Duration),
    /// `@start`: once, each time the service starts.
    Start,
}

/// What becomes of times that were missed, because the service did not run or the last run had not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// Nothing.
    Skip,
    /// It is begun once for all of them.
    Once,
    /// It is begun for each, one after the other.
    All,
}

impl Missed {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Missed::Skip => "skip",
            Missed::Once => "once",
            Missed::All => "all",
        }
    }
}

impl Schedule {
    /// The first time after `after` at which it is due, both in ms since 1970. `begun` is where `@every` counts from.
    pub fn next(&self, begun: u64, after: u64) -> Option<u64> {
        match &self.when {
            When::Start => None,
            When::Every(every) => {
                let every = u64::try_from(every.as_millis()).ok().filter(|every| *every > 0)?;
                let passed = after.saturating_sub(begun) / every;
                begun.checked_add(every.checked_mul(passed + 1)?)
            }
            When::Cron(cron) => {
                let after = Timestamp::from_millisecond(i64::try_from(after).ok()?).ok()?;
                let next: Zoned = cron.find_next_occurrence(&after.to_zoned(self.zone.clone()), false).ok()?;
                u64::try_from(next.timestamp().as_millisecond()).ok()
            }
        }
    }

    /// The command in it.
    pub fn command(&self) -> Option<Command> {
        parse::command(&self.line).ok().flatten().map(without_run)
    }

    /// What the times depend on.
    pub fn key(&self) -> String {
        format!("{} {}", self.zone_name, self.rule)
    }
}

/// Checks one.
pub(super) fn check(raw: &raw::Schedule, allowlist: &Allowlist) -> Result<Schedule, Wrong> {
    let name = raw.name.parse().map_err(|_| {
        let what = format!("\"{}\" is not a schedule's name", raw.name);
        Wrong::new(what, "use 1 to 64 letters, digits, - and _").within("name")
    })?;
    rest(raw, name, allowlist).map_err(|wrong| wrong.about(&format!("schedule \"{}\"", raw.name)))
}

fn rest(raw: &raw::Schedule, name: ScriptName, allowlist: &Allowlist) -> Result<Schedule, Wrong> {
    let script = runs_alone(&raw.command, &raw.channel, allowlist)?;
    let zone_name = raw.time_zone.clone().unwrap_or_else(|| "UTC".to_owned());
    let zone = TimeZone::get(&zone_name).map_err(|_| {
        let what = format!("there is no time zone \"{zone_name}\"");
        Wrong::new(what, "write it like \"Europe/Berlin\", \"America/New_York\" or \"UTC\"").within("time-zone")
    })?;
    let known = [Missed::Skip, Missed::Once, Missed::All];
    let missed = match &raw.missed {
        None => Missed::Skip,
        Some(word) => known
            .into_iter()
            .find(|missed| missed.as_str() == word)
            .ok_or_else(|| not_one_of("missed cannot be", word, &known.map(Missed::as_str)).within("missed"))?,
    };
    let when = when(&raw.when).map_err(|wrong| wrong.within("when"))?;
    let schedule = Schedule {
        name,
        line: raw.command.trim().to_owned(),
        script,
        when,
        rule: raw.when.trim().to_owned(),
        zone,
        zone_name,
        channel: raw.channel.clone(),
        missed,
    };
    let now = crate::store::now_ms();
    if !matches!(schedule.when, When::Start) && schedule.next(now, now).is_none() {
        return Err(Wrong::new(format!("\"{}\" is never due", raw.when), "correct it").within("when"));
    }
    Ok(schedule)
}

/// The script of a command that nobody asks for: it is there, its arguments fit, it may run in that channel, and it asks
/// nobody. Asked again before each run.
pub(super) fn runs_alone(line: &str, channel: &str, allowlist: &Allowlist) -> Result<ScriptName, Wrong> {
    settings::channels(std::slice::from_ref(&channel.to_owned())).map_err(|wrong| wrong.within("channel"))?;
    if line.len() > MAX_MESSAGE {
        return Err(Wrong::new("the command is too long", "shorten it").within("command"));
    }
    let command = match parse::command(line) {
        Ok(Some(command)) => without_run(command),
        Ok(None) => return Err(Wrong::new("the command is empty", "name a script").within("command")),
        Err(error) => return Err(Wrong::new(format!("the command: {error}"), "correct it").within("command")),
    };
    let script = command.name.parse().ok().and_then(|name| allowlist.get(&name)).ok_or_else(|| {
        let remedy = match nearest(&command.name, allowlist.iter().map(|script| script.name.as_str())) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "define it as [[scripts]] in this file".to_owned(),
        };
        Wrong::new(format!("there is no script \"{}\"", command.name), remedy).within("command")
    })?;
    let refused =
        |what: &str, remedy: &str| Err(Wrong::new(format!("{} {what}", script.name), remedy).within("command"));
    let values = match arguments::check(script, &command) {
        Verdict::Pass(values) => values,
        Verdict::Refuse(_, cause) => return Err(Wrong::new(cause.0, "correct the command").within("command")),
    };
    if command.dry && !script.backend.checks() {
        return refused("has no dry run", "remove dry-run, or use a script of the backend ansible");
    }
    if script.authorizer.is_some() {
        return refused("has an authorizer, which is told who asks, and here nobody does", "use a script without one");
    }
    if script.elevator.is_some() {
        return refused("has an elevator, and nobody is there to show that it is them", "use a script without one");
    }
    if approval::wanted(script, &values).is_some() {
        return refused("is to be approved, and nobody asks for it here", "use a script without approvals");
    }
    if script.elevate.is_some() {
        return refused("needs a second factor, and nobody is there to give it", "use a script without elevate");
    }
    if script.direct_only {
        return refused("is for direct messages only", "use another script");
    }
    let is_id = channel.parse::<ChannelId>().is_ok();
    if !script.channels.is_empty() && !is_id && !script.channels.iter().any(|name| name == channel) {
        let what = format!("{} does not run in {channel}", script.name);
        return Err(Wrong::new(what, "use a channel of its allowed-channels").within("channel"));
    }
    Ok(script.name.clone())
}

fn when(text: &str) -> Result<When, Wrong> {
    let text = text.trim();
    if text == "@start" {
        return Ok(When::Start);
    }
    if let Some(every) = text.strip_prefix("@every ") {
        let every: Result<jiff::SignedDuration, _> = every.trim().parse();
        let every = every.ok().and_then(|every| Duration::try_from(every).ok());
        return match every.filter(|every| (EVERY.0..=EVERY.1).contains(every)) {
            Some(every) => Ok(When::Every(every)),
            None => {
                let what = format!("\"{text}\" has no time from a second to a year");
                Err(Wrong::new(what, "write it like \"@every 10m\" or \"@every 1h 30m\""))
            }
        };
    }
    let wrong = |why: &dyn std::fmt::Display| {
        let remedy = "write it like \"0 3 * * *\" (minute, hour, day, month, weekday; seconds may stand before them), \"@daily\", \"@every 10m\" or \"@start\"";
        Wrong::new(format!("\"{text}\" is no time: {why}"), remedy)
    };
    let fields = text.split_whitespace().count();
    if !text.starts_with('@') && !(5..=6).contains(&fields) {
        return Err(wrong(&format!("it has {fields} fields")));
    }
    let parser = CronParser::builder().seconds(Seconds::Optional).build();
    parser.parse(text).map(|cron| When::Cron(Box::new(cron))).map_err(|error| wrong(&error))
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
