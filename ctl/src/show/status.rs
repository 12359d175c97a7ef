//! `bartizan status`: one screen.

use super::{Look, duration, word};
use bartizan_proto::brain::BrainState;
use bartizan_proto::control::{Health, LockdownState, Status};
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
    match &status.lockdown {
        Some(lockdown) => format!("{}: {}; {why}", word(status.health), held(lockdown)),
        None => format!("{}: {why}", word(status.health)),
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
    let since = i64::try_from(*since_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let since = since.map_or("ever".to_owned(), |since| since.strftime("%Y-%m-%d %H:%M UTC").to_string());
    format!("locked down by {} since {since}: {}", printable(by), printable(reason))
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
