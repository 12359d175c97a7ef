//! From the first event of `ansible-playbook` to its end. It is told to stop by a signal to the whole group, which it gets itself; this
//! process waits for it, because what it has said until then is worth more than a few milliseconds.

use crate::account::Account;
use crate::prepare::Files;
use crate::{DriverError, Secrets, event, failed, report, system};
use bartizan_proto::List;
use bartizan_proto::driver::Play;
use bartizan_proto::limits::MAX_HOSTS_TOLD;
use bartizan_remote::agent::{Agent, AgentKey, Users};
use nix::sys::signal::{SigSet, Signal};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Between two words of progress.
const PACE: Duration = Duration::from_millis(500);

/// Where it was ended by a signal: 128 and its number, as shells say it.
const SIGNALLED: i32 = 128;

/// Plays it; gives the exit code.
pub(crate) fn play(work: &Play, secrets: &Secrets, home: &Path) -> Result<u8, DriverError> {
    // 1. The playbook is the one that was let through.
    let content = fs::read(work.playbook.as_str()).map_err(failed(work.playbook.to_string()))?;
    let sha256: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    if sha256 != work.sha256.as_str() {
        return Err(DriverError::Changed(work.playbook.to_string()));
    }

    // 2. Files, and the agent before the first client could ask it.
    let files = Files::write(work, home)?;
    serve_keys(work, secrets, &files)?;

    // 3. What it is told by descriptor: the vault's password; where it tells its events.
    let vault = work.vault.as_ref().map(|name| secrets.get(name).and_then(pipe_with)).transpose()?;
    let (events, theirs) = ends()?;
    let hand = |fd: &OwnedFd| system::hand_on(fd).map_err(failed("a descriptor"));
    let (vault_number, events_number) = (vault.as_ref().map(hand).transpose()?, hand(&theirs)?);

    // 4. It. Its signal mask is this thread's at that moment: only afterwards is the signal to stop not for this process.
    let folder = Path::new(work.playbook.as_str()).parent().unwrap_or(Path::new("/"));
    let mut child = Command::new(work.program.as_str())
        .args(files.arguments(work, vault_number))
        .envs(files.environment(events_number))
        .env_remove(crate::SECRETS_VARIABLE)
        .env_remove(bartizan_proto::script::VARIABLE)
        .env_remove(bartizan_proto::worker::PLAN_VARIABLE)
        .current_dir(folder)
        .stdin(Stdio::null())
        .spawn()
        .map_err(failed(format!(
            "{}; is ansible-core installed, and does the profile let it be executed",
            work.program
        )))?;
    drop((theirs, vault));
    leave_stopping_to_others()?;

    // 5. What it does.
    let mut account = Account::new(work.check);
    let mut from = BufReader::new(File::from(events));
    let mut said = None::<Instant>;
    let mut out = io::stdout();
    while let Some(event) = event::next(&mut from).map_err(failed("its events"))? {
        let text = account.take(event);
        // Nobody to print to is no reason to stop in the middle.
        let _unread = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        if said.is_none_or(|said| said.elapsed() >= PACE) {
            report::progress(&account.progress());
            said = Some(Instant::now());
        }
    }

    // 6. How it ended.
    let status = child.wait().map_err(failed("its end"))?;
    account.told(&work.targets).chunks(MAX_HOSTS_TOLD).for_each(|some| report::hosts(&List::cut(some.to_vec())));
    if account.is_whole() {
        conclude(&account, work.check);
    }
    let code = status.code().or_else(|| status.signal().map(|signal| SIGNALLED + signal)).unwrap_or(1);
    Ok(u8::try_from(code).unwrap_or(1))
}

/// The card, or where there can be none, the same in print.
fn conclude(account: &Account, check: bool) {
    let (table, more) = account.table();
    let mut text = account.summary();
    if more > 0 {
        text.push_str(&format!("; {more} more machines are not in the table"));
    }
    let title = if check { "What would change" } else { "How it went" };
    if let Err(why) = report::card(account.colour(), title, &text, &table) {
        println!("{text}\n{table}(no card: {why})");
    } else {
        println!("{text}");
    }
}

/// Starts the agent that signs with the keys. None without keys: then nobody is asked.
fn serve_keys(work: &Play, secrets: &Secrets, files: &Files) -> Result<(), DriverError> {
    if work.keys.is_empty() {
        return Ok(());
    }
    let key = |name: &bartizan_proto::ids::SecretName| {
        let text = secrets.get(name)?;
        AgentKey::parse(text).map_err(|error| DriverError::Secret { name: name.to_string(), why: error.to_string() })
    };
    let keys = work.keys.iter().map(key).collect::<Result<Vec<_>, _>>()?;
    let users = Users::default();
    work.targets.iter().for_each(|target| users.allow(&target.user));
    let agent = Agent::bind(&files.agent, keys, users).map_err(failed("the agent's socket"))?;
    let serve = move || {
        if let Err(error) = leave_stopping_to_others().map_err(io::Error::other).and_then(|()| agent.serve()) {
            println!("bartizan-driver: the agent ended: {error}");
        }
    };
    std::thread::Builder::new().spawn(serve).map(drop).map_err(failed("the agent's thread"))
}

/// This thread takes no signal to stop. (One that comes before every thread has said so ends the job at once.)
fn leave_stopping_to_others() -> Result<(), DriverError> {
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTERM);
    stop.thread_block().map_err(|errno| failed("signals")(errno.into()))
}

fn pipe() -> Result<(OwnedFd, OwnedFd), DriverError> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|error| failed("a pipe")(error.into()))
}

/// Two ends for its events. Sockets, because nobody can open one of those by its name below `/proc`, as one can a pipe: what the
/// play's own programs write does not come here.
fn ends() -> Result<(OwnedFd, OwnedFd), DriverError> {
    let (ours, theirs) = UnixStream::pair().map_err(failed("its events"))?;
    Ok((ours.into(), theirs.into()))
}

/// The reading end of a pipe with this in it and nothing after it.
fn pipe_with(value: &Zeroizing<Vec<u8>>) -> Result<OwnedFd, DriverError> {
    let (reader, writer) = pipe()?;
    // A secret is smaller than what a pipe holds.
    File::from(writer).write_all(value).map_err(failed("a pipe"))?;
    Ok(reader)
}
