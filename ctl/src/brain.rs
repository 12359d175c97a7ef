//! `bartizan brain`, `secret` and `token`: what they ask of the service. Nothing here opens the database or decrypts
//! anything; all of it is done by the core.

use crate::arguments::{BrainCommand, KeyChoice, SecretCommand, TokenCommand};
use crate::ask::ask;
use crate::exit::{CtlError, Exit};
use crate::prompt;
use crate::show;
use bartizan_proto::Confidential;
use bartizan_proto::bounded::Bytes;
use bartizan_proto::brain::{BrainAnswer, BrainRequest, ClearRecord, MASTER_KEY, Opening, RecordKind, RecordRow};
use bartizan_proto::control::{Answer, Request, Status};
use bartizan_proto::limits::{MAX_BACKUP, MAX_BACKUP_PART, MAX_PASSPHRASE, MAX_SECRET, MAX_TOKEN};
use bartizan_secret::Zeroizing;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// How often a backup is begun anew when the brain changes meanwhile.
const ATTEMPTS: usize = 5;

/// What to print: as JSON, and for people.
pub struct Told {
    /// `--json`.
    pub json: Value,
    /// Else.
    pub text: String,
    /// How it went.
    pub exit: Exit,
}

impl Told {
    fn line(text: String) -> Self {
        Self { json: json!({ "text": text.trim_end() }), text: text.trim_end().to_owned() + "\n", exit: Exit::Ok }
    }
}

/// `bartizan brain …`.
///
/// # Errors
/// [`CtlError`].
pub fn brain(socket: &Path, command: &BrainCommand) -> Result<Told, CtlError> {
    let done = |request| done(socket, request);
    match command {
        BrainCommand::Status => brain_status(socket),
        BrainCommand::Key { path } => make_key(path),
        BrainCommand::Init { key, discard } => {
            let opening = opening(socket, key, true)?;
            done(BrainRequest::Init { opening, discard: *discard })
        }
        BrainCommand::Unlock { key } => done(BrainRequest::Unlock(opening(socket, key, false)?)),
        BrainCommand::Rekey { key } => done(BrainRequest::Rekey(opening(socket, key, true)?)),
        BrainCommand::Accept => done(BrainRequest::Accept),
        BrainCommand::Backup { path } => backup(socket, path),
        BrainCommand::Restore { path, key } => restore(socket, path, key),
        BrainCommand::Export { in_clear: _ } => export(socket),
        BrainCommand::List => records(socket, |_| true),
        BrainCommand::Show { memory } => {
            let request = BrainRequest::Show { namespace: memory.namespace.clone(), key: memory.key.clone() };
            match asked(socket, request)? {
                BrainAnswer::Record(Some(record)) => {
                    let value = String::from_utf8_lossy(&record.value).into_owned();
                    Ok(Told { json: clear(&record), text: show::printable_lines(&value), exit: Exit::Ok })
                }
                _ => Err(CtlError::WrongAnswer),
            }
        }
    }
}

/// `bartizan unlock`.
///
/// # Errors
/// [`CtlError`].
pub fn unlock(socket: &Path, key: &KeyChoice) -> Result<Told, CtlError> {
    done(socket, BrainRequest::Unlock(opening(socket, key, false)?))
}

/// `bartizan secret …`.
///
/// # Errors
/// [`CtlError`].
pub fn secret(socket: &Path, command: &SecretCommand) -> Result<Told, CtlError> {
    match command {
        SecretCommand::Set { name } => {
            let value = prompt::new_secret(&format!("Value of {name}: "), MAX_SECRET).map_err(CtlError::Typed)?;
            done(socket, BrainRequest::SetSecret { name: name.clone(), value: confidential(value)? })
        }
        SecretCommand::List => records(socket, |row| row.kind == RecordKind::Secret),
        SecretCommand::Remove { name } => done(socket, BrainRequest::RemoveSecret { name: name.clone() }),
    }
}

/// `bartizan token …`.
///
/// # Errors
/// [`CtlError`].
pub fn token(socket: &Path, command: &TokenCommand) -> Result<Told, CtlError> {
    let mut token = prompt::secret("The bot's access token: ", MAX_TOKEN).map_err(CtlError::Typed)?;
    while token.last().is_some_and(u8::is_ascii_whitespace) {
        token.pop();
    }
    let checked = match command {
        TokenCommand::Set => false,
        TokenCommand::Rotate => true,
    };
    done(socket, BrainRequest::SetToken { token: confidential(token)?, checked })
}

/// Hands a token to the service; what became of it, in words.
///
/// # Errors
/// [`CtlError`].
pub fn store_token(socket: &Path, token: Zeroizing<Vec<u8>>, checked: bool) -> Result<String, CtlError> {
    done(socket, BrainRequest::SetToken { token: confidential(token)?, checked })
        .map(|told| told.text.trim_end().to_owned())
}

fn asked(socket: &Path, request: BrainRequest) -> Result<BrainAnswer, CtlError> {
    match ask(socket, &Request::Brain(Box::new(request)))? {
        Answer::Brain(answer) => Ok(answer),
        _ => Err(CtlError::WrongAnswer),
    }
}

fn done(socket: &Path, request: BrainRequest) -> Result<Told, CtlError> {
    match asked(socket, request)? {
        BrainAnswer::Done { text } => Ok(Told::line(bartizan_proto::text::printable(&text))),
        _ => Err(CtlError::WrongAnswer),
    }
}

fn confidential<const MAX: usize>(value: Zeroizing<Vec<u8>>) -> Result<Confidential<MAX>, CtlError> {
    Confidential::new(value).map_err(|error| CtlError::Typed(io::Error::other(error.to_string())))
}

fn status(socket: &Path) -> Result<Box<Status>, CtlError> {
    match ask(socket, &Request::Status)? {
        Answer::Status(status) => Ok(status),
        _ => Err(CtlError::WrongAnswer),
    }
}

/// What is to open the brain: what the caller says, else what the service's configuration says.
fn opening(socket: &Path, key: &KeyChoice, new: bool) -> Result<Opening, CtlError> {
    if let Some(path) = &key.key_file {
        return Ok(Opening::Key(read_key(path)?));
    }
    if !key.passphrase && status(socket)?.brain.key.as_str() != "passphrase" {
        return Ok(Opening::Configured);
    }
    let passphrase = match new {
        true => prompt::new_secret("New passphrase of the brain: ", MAX_PASSPHRASE),
        false => prompt::secret("Passphrase of the brain: ", MAX_PASSPHRASE),
    };
    Ok(Opening::Passphrase(confidential(passphrase.map_err(CtlError::Typed)?)?))
}

fn read_key(path: &Path) -> Result<Confidential<MASTER_KEY>, CtlError> {
    let failed = |error| CtlError::File { path: path.to_owned(), error };
    let mut text = Zeroizing::new(Vec::with_capacity(2 * MASTER_KEY + 2));
    File::open(path).and_then(|file| file.take(2 * MASTER_KEY as u64 + 2).read_to_end(&mut text)).map_err(failed)?;
    let digits = text.strip_suffix(b"\n").unwrap_or(&text);
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(value(*high)? << 4 | value(*low)?),
            _ => None,
        })
        .collect();
    let bytes = Zeroizing::new(bytes.unwrap_or_default());
    if bytes.len() != MASTER_KEY {
        return Err(failed(io::Error::other("not a key: 64 hex digits and nothing else")));
    }
    confidential(bytes)
}

/// Makes a key file. Needs no service: the key is only random.
fn make_key(path: &Path) -> Result<Told, CtlError> {
    let failed = |error| CtlError::File { path: path.to_owned(), error };
    let mut key = Zeroizing::new([0u8; MASTER_KEY]);
    let mut filled = 0;
    while filled < MASTER_KEY {
        filled += rustix::rand::getrandom(&mut key[filled..], rustix::rand::GetRandomFlags::empty())
            .map_err(|error| failed(error.into()))?;
    }
    let mut text = Zeroizing::new(String::with_capacity(2 * MASTER_KEY + 1));
    for byte in *key {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
    text.push('\n');
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    let path = path.display();
    Ok(Told::line(format!(
        "{path} is made. Give it to the service's user (chown), and keep a copy apart: without it the brain is lost."
    )))
}

fn brain_status(socket: &Path) -> Result<Told, CtlError> {
    let brain = status(socket)?.brain;
    let mut text =
        format!("The brain is {}, key: {}.\n", show::word(brain.state), bartizan_proto::text::printable(&brain.key));
    if brain.epoch > 0 {
        text.push_str(&format!(
            "Epoch {}, {} records, {} token.\n",
            brain.epoch,
            brain.records,
            if brain.token { "with the bot's" } else { "no" }
        ));
    }
    if !brain.remedy.is_empty() {
        text.push_str(&format!("{}\n", bartizan_proto::text::printable(&brain.remedy)));
    }
    let exit = if brain.remedy.is_empty() { Exit::Ok } else { Exit::Bad };
    Ok(Told { json: serde_json::to_value(&brain)?, text, exit })
}

fn records(socket: &Path, wanted: impl Fn(&RecordRow) -> bool) -> Result<Told, CtlError> {
    let BrainAnswer::Records(rows) = asked(socket, BrainRequest::List)? else { return Err(CtlError::WrongAnswer) };
    let rows: Vec<RecordRow> = rows.into_iter().filter(wanted).collect();
    let bad = rows.iter().any(|row| !row.problem.is_empty());
    let json = serde_json::to_value(&rows)?;
    let exit = if bad { Exit::Bad } else { Exit::Ok };
    Ok(Told { json, text: show::records(&rows), exit })
}

fn backup(socket: &Path, path: &Path) -> Result<Told, CtlError> {
    let failed = |error| CtlError::File { path: path.to_owned(), error };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    for _ in 0..ATTEMPTS {
        if let Some(whole) = whole_backup(socket)? {
            file.write_all(&whole).and_then(|()| file.sync_all()).map_err(failed)?;
            let (path, size) = (path.display(), whole.len());
            return Ok(Told::line(format!(
                "{path}: {size} bytes. It opens with the brain's key or passphrase, which is not in it."
            )));
        }
    }
    let _empty = std::fs::remove_file(path);
    Err(failed(io::Error::other("the brain changes all the time; try again")))
}

/// `None` when the brain changed between two parts.
fn whole_backup(socket: &Path) -> Result<Option<Vec<u8>>, CtlError> {
    let mut whole: Vec<u8> = Vec::new();
    let mut first = None;
    loop {
        let request = BrainRequest::Backup { from: u64::try_from(whole.len()).unwrap_or(u64::MAX) };
        let BrainAnswer::Part { part, epoch, .. } = asked(socket, request)? else { return Err(CtlError::WrongAnswer) };
        if *first.get_or_insert(epoch) != epoch {
            return Ok(None);
        }
        if part.is_empty() {
            return Ok(Some(whole));
        }
        whole.extend_from_slice(&part);
    }
}

fn restore(socket: &Path, path: &Path, key: &KeyChoice) -> Result<Told, CtlError> {
    let failed = |error| CtlError::File { path: path.to_owned(), error };
    let mut whole = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BACKUP as u64 + 1).read_to_end(&mut whole)).map_err(failed)?;
    if whole.is_empty() {
        return Err(failed(io::Error::other("it is empty")));
    }
    let opening = opening(socket, key, false)?;
    let last = whole.len().div_ceil(MAX_BACKUP_PART) - 1;
    let mut told = Err(CtlError::WrongAnswer);
    for (i, part) in whole.chunks(MAX_BACKUP_PART).enumerate() {
        let from = u64::try_from(i * MAX_BACKUP_PART).unwrap_or(u64::MAX);
        let part = Bytes::new(part).map_err(|_| CtlError::WrongAnswer)?;
        told = Ok(done(socket, BrainRequest::Restore { from, part, last: (i == last).then(|| opening.clone()) })?);
    }
    told
}

fn export(socket: &Path) -> Result<Told, CtlError> {
    let mut all = Vec::new();
    loop {
        let request = BrainRequest::Export { after: u64::try_from(all.len()).unwrap_or(u64::MAX) };
        match asked(socket, request)? {
            BrainAnswer::Record(Some(record)) => all.push(clear(&record)),
            BrainAnswer::Record(None) => break,
            _ => return Err(CtlError::WrongAnswer),
        }
    }
    let text = all.iter().map(|record| format!("{record}\n")).collect();
    Ok(Told { json: Value::Array(all), text, exit: Exit::Ok })
}

/// A record in clear; what is no text as hexadecimal digits.
fn clear(record: &ClearRecord) -> Value {
    let mut value = json!(record.row);
    match std::str::from_utf8(&record.value) {
        Ok(text) => value["value"] = json!(text),
        Err(_) => value["value-hex"] = json!(record.value.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
    value
}
