//! What each command asks, where the answer goes, and how it is judged.

mod approve;
mod pause;
mod people;
mod receipt;
mod remote;

use crate::arguments::{Arguments, Command, DEFAULT_CONFIG, ReceiptCommand};
use crate::ask::{ask, nobody_listens};
use crate::brain;
use crate::exit::{CtlError, Exit};
use crate::show::{self, Look};
use crate::{bundle, installation, metrics, restart, selinux, setup, siblings, top};
use bartizan_proto::bounded::{List, Text};
use bartizan_proto::control::{Answer, ConfigReport, Health, Request};
use clap::CommandFactory;
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// Runs one command.
///
/// # Errors
/// [`CtlError`]: there is no answer.
pub fn run(arguments: &Arguments) -> Result<Exit, CtlError> {
    let out = Out { json: arguments.json, look: Look::of_stdout() };
    let socket = arguments.socket();
    let ask = |request: Request| ask(&socket, &request);
    match &arguments.command {
        Command::Setup(asked) => setup::run(asked, &socket, &out),
        Command::Status => {
            let Answer::Status(status) = ask(Request::Status)? else { return Err(CtlError::WrongAnswer) };
            out.give(&status, |look| show::status(&status, look))?;
            Ok(judged(status.health))
        }
        Command::Top { every } => top::run(&socket, Duration::from_secs((*every).into()), &out),
        Command::Health => {
            let Answer::Status(status) = ask(Request::Status)? else { return Err(CtlError::WrongAnswer) };
            let line = show::health(&status);
            out.give(&serde_json::json!({ "health": status.health, "line": line }), |_| format!("{line}\n"))?;
            Ok(judged(status.health))
        }
        Command::Restart { now, no_wait } => {
            let restarted = restart::restart(&socket, *now, !*no_wait)?;
            out.give(&restarted, |_| restarted.shown())?;
            Ok(restarted.exit())
        }
        Command::Lockdown { reason, kill } => {
            let reason = Text::new(reason.as_str()).map_err(|_| CtlError::Refused {
                refusal: bartizan_proto::control::Refusal::Usage,
                why: "the reason is too long".to_owned(),
            })?;
            lockdown(ask(Request::Lockdown { reason, kill: *kill })?, &out)
        }
        Command::Metrics { listen: Some(address) } => metrics::serve(address, &arguments.reading_socket()),
        Command::Metrics { listen: None } => {
            let text = metrics::fetch(&socket)?;
            out.give(&serde_json::json!({ "metrics": text }), |_| text.clone())
        }
        Command::Pause { reason } => pause::pause(reason, &ask, &out),
        Command::Drain { reason, timeout } => pause::drain(reason, timeout.as_ref(), &ask, &out),
        Command::Resume => pause::resume(&ask, &out),
        Command::EndLockdown => lockdown(ask(Request::EndLockdown)?, &out),
        Command::Reload => match ask(Request::Reload)? {
            Answer::Config(report) => judge(&report, &out),
            _ => Err(CtlError::WrongAnswer),
        },
        Command::Unlock { key } => out.tell(brain::unlock(&socket, key)?),
        Command::Tail { job, follow } => crate::tail::tail(*job, *follow, &ask, &out),
        Command::Ps => {
            let Answer::Ps(rows) = ask(Request::Ps)? else { return Err(CtlError::WrongAnswer) };
            out.give(&rows, |look| show::ps(&rows, look))
        }
        Command::Inspect { job } => {
            let Answer::Inspect(job) = ask(Request::Inspect { job: *job })? else { return Err(CtlError::WrongAnswer) };
            out.give(&job, |look| show::inspect(&job, look))
        }
        Command::Kill { job } => {
            let Answer::Killing { job } = ask(Request::Kill { job: *job })? else { return Err(CtlError::WrongAnswer) };
            out.give(&serde_json::json!({ "job": job, "state": "stopping" }), |_| format!("Stopping job {job}.\n"))
        }
        Command::History { script } => {
            let asked = Request::History { script: script.clone() };
            let Answer::History(rows) = ask(asked)? else { return Err(CtlError::WrongAnswer) };
            out.give(&rows, |look| show::history(&rows, look))
        }
        Command::Schedule => {
            let Answer::Schedule(rows) = ask(Request::Schedule)? else { return Err(CtlError::WrongAnswer) };
            out.give(&rows, |look| show::schedule(&rows, look))
        }
        Command::Log { job } => {
            let Answer::Log(past) = ask(Request::Log { job: *job })? else { return Err(CtlError::WrongAnswer) };
            out.give(&past, |look| show::log(&past, look))
        }
        Command::Receipt { what: Some(ReceiptCommand::Verify { file, key }), .. } => {
            receipt::verify(file, key.as_deref(), &out)
        }
        Command::Receipt { job, what: None } => receipt::print(*job, &ask),
        Command::Approve { number, key } => approve::approve(number, key, &out),
        Command::SupportBundle { path } => bundle::write(path.as_deref(), &socket),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "bartizan", &mut text);
            raw(&text)
        }
        Command::Manual { directory: Some(directory) } => {
            let failed = |error| CtlError::File { path: directory.clone(), error };
            clap_mangen::generate_to(Arguments::command(), directory).map_err(failed)?;
            Ok(Exit::Ok)
        }
        Command::Manual { directory: None } => {
            let mut text = Vec::new();
            clap_mangen::Man::new(Arguments::command()).render(&mut text)?;
            raw(&text)
        }
        Command::CheckConfig { path: Some(path), .. } => check_file(Some(path), &out),
        Command::CheckConfig { path: None, diff } => match ask(Request::CheckConfig) {
            Ok(Answer::Config(report)) => judge(&report, &out),
            Ok(_) => Err(CtlError::WrongAnswer),
            Err(error) if nobody_listens(&error) && !diff => check_file(None, &out),
            Err(error) => Err(error),
        },
        Command::Script { what } => crate::script::run(what, &out),
        Command::Audit(command) => crate::audit::run(command, (&socket, &arguments.reading_socket()), &out),
        Command::Doctor => doctor(&socket, &out),
        Command::People { what } => people::people(what, &ask, &out),
        Command::Bans { what } => people::bans(what, &ask, &out),
        Command::Admin { what } => people::admin(what, &ask, &out),
        Command::Totp { what } => people::totp(what, &ask, &out),
        Command::Explain { who, channel, command } => people::explain((who, channel.as_deref(), command), &ask, &out),
        Command::Brain { command } => out.tell(brain::brain(&socket, command)?),
        Command::Remote { what } => remote::remote(what, &ask, &out),
        Command::Secret { command } => out.tell(brain::secret(&socket, command)?),
        Command::Token { command } => out.tell(brain::token(&socket, command)?),
    }
}

/// A text for another program.
fn raw(text: &[u8]) -> Result<Exit, CtlError> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(Exit::Ok),
    }
}

fn lockdown(answer: Answer, out: &Out) -> Result<Exit, CtlError> {
    let Answer::Lockdown { lockdown, running } = answer else { return Err(CtlError::WrongAnswer) };
    let json = serde_json::json!({ "lockdown": lockdown, "running": running });
    out.give(&json, |_| show::lockdown(lockdown.as_ref(), running))
}

fn judged(health: Health) -> Exit {
    match health {
        Health::Ok => Exit::Ok,
        Health::Starting | Health::Degraded | Health::Stopping => Exit::Bad,
    }
}

/// Where answers go.
pub(crate) struct Out {
    pub(crate) json: bool,
    pub(crate) look: Look,
}

impl Out {
    fn tell(&self, told: brain::Told) -> Result<Exit, CtlError> {
        self.give(&told.json, |_| told.text.clone())?;
        Ok(told.exit)
    }

    /// Writes an answer in the form that was asked for.
    pub(crate) fn give<T: Serialize>(&self, answer: &T, show: impl FnOnce(&Look) -> String) -> Result<Exit, CtlError> {
        let text = if self.json { show::json(answer)? } else { show(&self.look) };
        match io::stdout().write_all(text.as_bytes()) {
            // `bartizan ps | head` has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            other => other?,
        }
        Ok(Exit::Ok)
    }
}

/// A file, or the installation's own configuration.
fn check_file(path: Option<&Path>, out: &Out) -> Result<Exit, CtlError> {
    let installed = installation::own().map(|found| found.config);
    let (path, output) = match (path, installed) {
        // A setuid broker reads this one and takes no other.
        (None, Some(own)) => (own, siblings::check_own_config()?),
        (named, None | Some(_)) => {
            let path = std::path::absolute(named.unwrap_or(Path::new(DEFAULT_CONFIG)))?;
            let output = siblings::check_config(&path)?;
            (path, output)
        }
    };
    let lines = |bytes: &[u8]| -> Vec<String> { String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect() };
    let report = ConfigReport {
        path: Text::cut(path.to_string_lossy()),
        error: (!output.status.success()).then(|| Text::cut(lines(&output.stderr).join(" "))),
        differences: List::default(),
        warnings: List::cut(
            lines(&output.stdout).iter().filter_map(|line| line.strip_prefix("warning: ")).map(Text::cut),
        ),
    };
    judge(&report, out)
}

fn judge(report: &ConfigReport, out: &Out) -> Result<Exit, CtlError> {
    out.give(report, |look| show::config(report, look))?;
    Ok(if report.error.is_some() { Exit::Usage } else { Exit::Ok })
}

/// The installation by a look at it, this kernel by the worker's own probe, and the service by its word, each as far as it can be had.
fn doctor(socket: &Path, out: &Out) -> Result<Exit, CtlError> {
    let (probe, probe_error) = match siblings::probe() {
        Ok(probe) => (Some(probe), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let (service, service_error) = match ask(socket, &Request::Doctor) {
        Ok(Answer::Doctor(doctor)) => (Some(*doctor), None),
        Ok(_) => return Err(CtlError::WrongAnswer),
        Err(error) => (None, Some(error.to_string())),
    };
    let installation = installation::own().map(|found| installation::check(&found));
    let selinux = installation.as_ref().map(|_| selinux::check()).unwrap_or_default();
    let report = show::Report { kernel: kernel(), installation, selinux, probe, probe_error, service, service_error };
    out.give(&report, |look| show::doctor(&report, look))?;
    Ok(if report.is_good() { Exit::Ok } else { Exit::Bad })
}

pub(crate) fn kernel() -> String {
    let name = rustix::system::uname();
    let word = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    format!("{} {} {}", word(name.sysname()), word(name.release()), word(name.machine()))
}
