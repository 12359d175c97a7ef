//! `bartizan status`: one screen.

use super::{Look, duration, word};
use bartizan_proto::brain::BrainState;
use bartizan_proto::control::{Health, LockdownState, PauseState, Status};
use bartizan_proto::text::printable;

/// One line: the state, then what is wrong with it, or how it goes.
pub fn health(status: &Status) -> String {
    let problems: Vec<String> = status.problems.iter().map(|problem| printable(problem)).collect();
    let why = match problems.as_slice() {
        [] if status.connected => format!(
            "up {}, connected, {} running, {} queued, {} not delivered",
            duration(status.uptime_s.saturating_mul(1000)),
            status.running,
            status.queued,
            status.undelivered
        ),
        [] => "not connected".to_owned(),
        problems => problems.join("; "),
    };
    match (&status.lockdown, &status.paused) {
        (Some(lockdown), _) => format!("{}: {}; {why}", word(status.health), held(lockdown)),
        (None, Some(pause)) => format!("{}: {}; {why}", word(status.health), paused(pause)),
        (None, None) => format!("{}: {why}", word(status.health)),
    }
}

/// What became of an emergency stop, or of its end.
pub fn lockdown(lockdown: Option<&LockdownState>, running: u64) -> String {
    match lockdown {
        Some(lockdown) => format!(
            "{}. Nothing is started until `bartizan end-lockdown`. Jobs that run: {running}; `bartizan ps` lists them.\n",
            held(lockdown)
        ),
        None => "Not locked down: what is asked for is started.\n".to_owned(),
    }
}

fn held(LockdownState { by, reason, since_ms }: &LockdownState) -> String {
    format!("locked down by {} since {}: {}", printable(by), minute(*since_ms), printable(reason))
}

fn minute(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or("ever".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// What became of a pause, or of its end.
pub fn pause(pause: Option<&PauseState>, running: u64, queued: u64) -> String {
    match pause {
        Some(pause) => format!(
            "{}. What is asked for waits until `bartizan resume`, also after a restart. Jobs that run: {running}, that wait: {queued}; `bartizan ps` lists them.\n",
            capital(&paused(pause))
        ),
        None => format!("Not paused: what is asked for is started. Jobs that run: {running}, that wait: {queued}.\n"),
    }
}

fn paused(PauseState { by, reason, since_ms }: &PauseState) -> String {
    let why = if reason.is_empty() { String::new() } else { format!(": {}", printable(reason)) };
    format!("paused by {} since {}{why}", printable(by), minute(*since_ms))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `2 jobs, 1 pipeline`: what has begun and is not over.
pub fn jobs_and_pipelines(status: &Status) -> String {
    let count = |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let mut words = vec![count(status.running, "job")];
    words.extend((status.pipelines > 0).then(|| count(status.pipelines, "pipeline")));
    // Otherwise whatever waits would be told of here.
    words.extend((status.paused.is_some() && status.due > 0).then(|| format!("{} about to begin", status.due)));
    words.join(", ")
}

/// The whole screen.
pub fn status(status: &Status, look: &Look) -> String {
    let health = word(status.health);
    let health = match status.health {
        Health::Ok => look.good(&health),
        Health::Starting | Health::Stopping => look.doubtful(&health),
        Health::Degraded => look.bad(&health),
    };
    let connection = if status.connected { look.good("connected") } else { look.bad("not connected") };
    let brain = match (status.brain.state, status.brain.remedy.is_empty()) {
        (BrainState::Open, true) => look.good("open"),
        (state, _) => look.bad(&word(state)),
    };
    let known = |text: &str| if text.is_empty() { "not known yet".to_owned() } else { printable(text) };
    let mut out = look.pairs(&[
        ("Bartizan", format!("{health}, up {}", duration(status.uptime_s.saturating_mul(1000)))),
        ("Version", format!("{}, {}", printable(&status.version), word(status.mode))),
        ("Server", format!("{} ({}), {connection}", printable(&status.server), known(&status.server_version))),
        ("Bot", known(&status.bot)),
        ("Jobs", format!("{} running, {} queued, {} started so far", status.running, status.queued, status.started)),
        ("Commands", format!("{} undecided, {} refused so far", status.undecided, status.refused)),
        ("Replies", format!("{} not delivered yet", status.undelivered)),
        ("Scripts", status.scripts.to_string()),
        ("Brain", brain),
    ]);
    if let Some(lockdown) = &status.lockdown {
        out.push_str(&format!("{} {}; `bartizan end-lockdown` lifts it\n", look.bad("✘"), held(lockdown)));
    }
    if let Some(pause) = &status.paused {
        out.push_str(&format!("{} {}; `bartizan resume` ends it\n", look.doubtful("!"), paused(pause)));
    }
    for problem in &status.problems {
        out.push_str(&format!("{} {}\n", look.bad("✘"), printable(problem)));
    }
    for alert in &status.alerts {
        let age = duration(alert.age_s.saturating_mul(1000));
        out.push_str(&format!("{} alert {age} ago: {}\n", look.doubtful("!"), printable(&alert.what)));
    }
    out.push('\n');
    let mut rows = vec![["PROCESS", "PID", "UP", "RESTARTS", "NOTE"].map(str::to_owned).to_vec()];
    rows.extend(status.processes.iter().map(|process| {
        let (pid, up) = match process.pid {
            0 => ("-".to_owned(), "-".to_owned()),
            pid => (pid.to_string(), duration(process.uptime_s.saturating_mul(1000))),
        };
        vec![word(process.role), pid, up, process.restarts.to_string(), process.note.to_string()]
    }));
    out.push_str(&look.table(&rows));
    out
}
