//! `bartizan script try`: the order that the script's entry makes, carried out by a worker of the caller's own, without the service,
//! chat or any secret. What the script calls of the script API is shown, and answered as far as that goes here.

use super::observe::{self, Refusal};
use super::report::{self, Ended};
use super::{ConfigChoice, no};
use crate::commands::Out;
use crate::exit::{CtlError, Exit};
use crate::siblings;
use bartizan_proto::channel::Channel;
use bartizan_proto::ids::ScriptName;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::script::{Answer, Call, Scope};
use bartizan_proto::text::printable;
use bartizan_proto::trial::Trial;
use bartizan_proto::worker::{Ending, Endpoint, FromWorker, Order, ToWorker};
use bartizan_proto::{FrameError, List, Role, Text};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// An address that nobody has (RFC 5737): with it a script can make sockets, and so it is seen where it would connect to.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// So many answers of whoever sits here may not fit a question.
const MOST_WRONG: usize = 5;

/// Runs it.
pub(super) fn run(config: &ConfigChoice, name: &ScriptName, arguments: &[String], out: &Out) -> Result<Exit, CtlError> {
    // 1. What it would be ordered with.
    let mut words = vec!["--trial".into(), name.as_str().into()];
    words.extend(arguments.iter().map(Into::into));
    let output = config.ask_broker(&words)?;
    if !output.status.success() {
        return Err(no(String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ")));
    }
    let mut trial: Trial = serde_json::from_slice(&output.stdout)?;
    let profile = trial.order.profile.clone();
    reachable(&mut trial.order);
    let path = trial.order.path.to_string();
    let script = File::open(&path).map_err(|error| CtlError::File { path: path.into(), error })?;
    if !trial.secrets.is_empty() && !out.json {
        let names: Vec<String> = trial.secrets.iter().map(ToString::to_string).collect();
        say(&format!("It has no secrets here: {}.", names.join(", ")));
    }

    // 2. A worker, watched by this thread; another one talks to it.
    let (channel, theirs) = Channel::pair()?;
    let own = std::env::current_exe()?;
    let mut command = Command::new(&own);
    if let Some((uid, gid)) = siblings::unprivileged() {
        command.uid(uid).gid(gid);
    }
    command.args(["script", "watched"]).env_clear().stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
    let child = command.spawn().map_err(|error| CtlError::Sibling { program: own, error })?;
    drop(command);
    let granted = profile.clone();
    let profile_name = trial.profile.as_ref().map(ToString::to_string);
    let quiet = out.json;
    let talk = std::thread::spawn(move || Talk { trial, quiet, memory: BTreeMap::new() }.hold(channel, &script));
    let refusals = observe::watch(child.id());
    let talked = talk.join().map_err(|_| no("the trial broke off"))?;
    let refusals = refusals.map_err(|error| no(format!("this kernel does not let the worker be watched: {error}")))?;
    let (ended, printed) =
        talked.unwrap_or_else(|error| (Ended::NotRun(format!("the worker broke off: {error}")), String::new()));

    // 3. What came of it.
    let refusals: Vec<Refusal> =
        refusals.into_iter().filter(|one| !matches!(one, Refusal::Host(a) if a.ip() == NOWHERE)).collect();
    out.give(&report::json(&ended, &printed, &refusals, &granted), |_| {
        report::text(&ended, &refusals, &granted, profile_name.as_deref())
    })?;
    Ok(if matches!(ended, Ended::Code(0)) { Exit::Ok } else { Exit::Bad })
}

/// The addresses of what is granted, as the service would look them up; where nothing is, an address that leads nowhere.
fn reachable(order: &mut Order) {
    let mut all: Vec<Endpoint> = order.profile.network.iter().cloned().collect();
    for endpoint in &mut all {
        let found = (endpoint.host.as_str(), endpoint.port).to_socket_addrs();
        endpoint.addresses = List::cut(found.into_iter().flatten().map(|address| address.ip()));
    }
    if all.is_empty() {
        all.push(Endpoint { host: Text::cut(NOWHERE.to_string()), port: 9, addresses: List::cut([NOWHERE]) });
    }
    order.profile.network = List::cut(all);
}

/// The conversation with the worker.
struct Talk {
    trial: Trial,
    quiet: bool,
    memory: BTreeMap<String, String>,
}

impl Talk {
    fn hold(mut self, mut channel: Channel, script: &File) -> Result<(Ended, String), FrameError> {
        channel.greet(Role::Core, Role::Worker)?;
        channel.send_with(&ToWorker::Order(Box::new(self.trial.order.clone())), &[script.as_fd()])?;
        let (mut ended, mut printed) = (Ended::NotRun("the worker ended".to_owned()), Vec::new());
        let mut shown = 0;
        while let Some(message) = channel.receive::<FromWorker>()? {
            match message {
                FromWorker::Output(bytes) => {
                    printed.extend_from_slice(&bytes);
                    shown += self.show_lines(printed.get(shown..).unwrap_or_default(), false);
                }
                FromWorker::Call { call, what } => {
                    let answer = self.answer(*what);
                    channel.send(&ToWorker::Answer { call, answer })?;
                }
                FromWorker::Finished { ending, .. } => {
                    ended = match ending {
                        Ending::Ended(ExitStatus::Code(code)) => Ended::Code(code),
                        Ending::Ended(ExitStatus::Signal(signal)) => Ended::Signal(signal),
                        Ending::TimedOut | Ending::Stopped => Ended::TimedOut,
                    };
                }
                FromWorker::Refused { step, why } => ended = Ended::NotRun(format!("{step}: {why}")),
                FromWorker::Misused(why) => self.tell("misused", &why),
                FromWorker::Running { .. } | FromWorker::Hangup(_) | FromWorker::Inspected { .. } => {}
            }
        }
        self.show_lines(printed.get(shown..).unwrap_or_default(), true);
        Ok((ended, String::from_utf8_lossy(&printed).into_owned()))
    }

    /// Shows whole lines, or all; how many bytes that were.
    fn show_lines(&self, bytes: &[u8], all: bool) -> usize {
        let end = match bytes.iter().rposition(|byte| *byte == b'\n') {
            _ if all => bytes.len(),
            Some(at) => at + 1,
            None => 0,
        };
        if !self.quiet {
            for line in String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).lines() {
                say(&printable(line));
            }
        }
        end
    }

    fn tell(&self, verb: &str, what: &str) {
        if !self.quiet {
            for line in what.lines().filter(|line| !line.trim().is_empty()) {
                say(&format!("[{verb}] {}", printable(line)));
            }
        }
    }

    fn answer(&mut self, call: Call) -> Answer {
        let verb = call.verb();
        if !self.trial.granted.contains(&verb) {
            let mut all: Vec<String> = self.trial.granted.iter().map(|verb| format!("\"{verb}\"")).collect();
            all.push(format!("\"{verb}\""));
            let why =
                format!("not granted the verb {verb}; its entry in the allowlist can: api = [{}]", all.join(", "));
            self.tell(verb.as_str(), &why);
            return Answer::Refused(Text::cut(why));
        }
        let place = |key: &dyn std::fmt::Display, scope: Scope| format!("{scope:?} {key}");
        match call {
            Call::Say { text, .. } | Call::Reply { text, .. } => self.tell(verb.as_str(), &text),
            Call::Log { text } => self.tell("log", &text),
            Call::Progress { percent, text } => {
                let percent = percent.map_or("-".to_owned(), |percent| format!("{percent} %"));
                self.tell("progress", &format!("{percent} {text}"));
            }
            Call::File { name, content, .. } => self.tell("file", &format!("{name}, {} bytes", content.len())),
            Call::Table { title, rows } => self.tell("table", &format!("{title}\n{rows}")),
            Call::Attach { title, text, fields, rows, diff, .. } => {
                let diff = diff.map(Text::into_string).unwrap_or_default();
                self.tell("attach", &format!("{title}\n{text}\n{fields}\n{rows}\n{diff}"));
            }
            Call::Param { name } => {
                let found = self.trial.parameters.iter().find(|(other, _)| other.as_str() == name.as_str());
                return match found {
                    Some((_, value)) => Answer::Value(Text::cut(value.as_str())),
                    None => Answer::Refused(Text::cut(format!("there is no argument {name}"))),
                };
            }
            Call::Subscribe { .. } => self.tell("subscribe", "it hears its thread from now on"),
            Call::Unsubscribe => self.tell("subscribe", "it does not hear its thread any more"),
            Call::Add { command, .. } => self.tell(verb.as_str(), &command),
            Call::Exclusive { tag, .. } => self.tell("exclusive", tag.as_str()),
            Call::Remember { key, value, scope } => {
                self.memory.insert(place(&key, scope), value.into_string());
            }
            Call::Recall { key, scope } => return self.recalled(&place(&key, scope)),
            Call::Checkout { key, back: false } => return self.recalled(&place(&key, Scope::Lasting)),
            Call::Checkout { back: true, .. } => {}
            Call::Hosts(_) => return Answer::Refused(Text::cut("hosts is for Bartizan's own drivers")),
            Call::Ask { question, choices, default, .. } => return self.ask(&question, &choices, default.as_deref()),
        }
        Answer::Done
    }

    fn recalled(&self, place: &str) -> Answer {
        match self.memory.get(place).filter(|value| !value.is_empty()) {
            Some(value) => Answer::Value(Text::cut(value.as_str())),
            None => Answer::Nothing(Text::default()),
        }
    }

    /// Whoever sits here answers, or the end of the standard input. A pattern is only checked by the service.
    fn ask(&self, question: &str, choices: &str, default: Option<&str>) -> Answer {
        let choices: Vec<&str> = choices.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        for _ in 0..MOST_WRONG {
            self.tell("ask", &format!("{question} {}", choices.join(" / ")));
            let mut line = String::new();
            if io::stdin().read_line(&mut line).unwrap_or(0) == 0 {
                return Answer::Nothing(Text::cut("nobody answered in time"));
            }
            let line = line.trim();
            match (line, default) {
                ("-", _) => return Answer::Nothing(Text::cut("cancelled")),
                ("=", Some(default)) => return Answer::Value(Text::cut(default)),
                (line, _) if choices.is_empty() => return Answer::Value(Text::cut(line)),
                (line, _) => {
                    if let Some(choice) = choices.iter().find(|choice| choice.eq_ignore_ascii_case(line)) {
                        return Answer::Value(Text::cut(*choice));
                    }
                }
            }
        }
        Answer::Refused(Text::cut("the answers did not fit"))
    }
}

/// A line for whoever sits here.
fn say(line: &str) {
    let _nobody_reads = writeln!(io::stdout(), "{line}");
}
