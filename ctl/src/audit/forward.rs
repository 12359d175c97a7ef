//! `bartizan audit forward`: each line to syslog or journald, at least once. A process of its own, so that the core needs
//! neither the socket nor the wait for whoever listens there.

use super::arguments::Target;
use super::entries::each;
use super::follow::Follower;
use super::place::Place;
use crate::exit::{CtlError, Exit};
use bartizan_proto::text::printable;
use serde_json::{Map, Value};
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between looks at the file, and between tries of a socket that does not take a line.
const PAUSE: Duration = Duration::from_millis(250);
const RETRY: Duration = Duration::from_secs(2);

/// A datagram of more bytes is not sure to fit a Unix socket's buffer.
const MAX_DATAGRAM: usize = 128 * 1024;

pub(super) fn run(
    place: &Place,
    to: Target,
    address: Option<&Path>,
    state: Option<&Path>,
    from_start: bool,
) -> Result<Exit, CtlError> {
    let usual = match to {
        Target::Syslog => "/dev/log",
        Target::Journald => "/run/systemd/journal/socket",
    };
    let address = address.unwrap_or(Path::new(usual)).to_owned();
    let failed = |error| CtlError::AuditFile { path: address.clone(), error };
    let socket = UnixDatagram::unbound().map_err(failed)?;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut sender = Sender { socket, address: address.clone(), to, host, state: state.map(Path::to_owned) };

    let kept = state.map(read_state).transpose()?.flatten();
    let mut follower = if kept.is_some() || from_start { Follower::at_start(place)? } else { Follower::at_end(place)? };
    if kept.is_some() || from_start {
        let after = kept.unwrap_or(0);
        follower.seen = after;
        each(place, |line| {
            let number = bartizan_audit::Entry::read(line.as_bytes()).map_or(0, |entry| entry.sequence);
            if number > follower.seen {
                sender.send(line)?;
                follower.seen = number;
            }
            Ok(())
        })?;
        sender.remember(follower.seen)?;
    }
    loop {
        let lines = follower.lines()?;
        for line in &lines {
            sender.send(line)?;
        }
        if !lines.is_empty() {
            sender.remember(follower.seen)?;
        }
        std::thread::sleep(PAUSE);
    }
}

struct Sender {
    socket: UnixDatagram,
    address: PathBuf,
    to: Target,
    host: String,
    state: Option<PathBuf>,
}

impl Sender {
    /// Sends a line; one that nobody takes now is tried again until somebody does.
    fn send(&mut self, line: &str) -> Result<(), CtlError> {
        let fields: Map<String, Value> = serde_json::from_str(line).unwrap_or_default();
        let whole = match self.to {
            Target::Syslog => syslog(&fields, line, &self.host),
            Target::Journald => journald(&fields, line),
        };
        let mut datagram = &whole[..whole.len().min(MAX_DATAGRAM)];
        let mut told = false;
        loop {
            match self.socket.send_to(datagram, &self.address) {
                Ok(_) => return Ok(()),
                // EMSGSIZE: a smaller buffer than usual. What is cut off is in the log.
                Err(error) if error.raw_os_error() == Some(90) && datagram.len() > 1024 => {
                    datagram = &datagram[..datagram.len() / 2];
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        let _nobody_reads = writeln!(
                            io::stderr(),
                            "bartizan: {}: {error}; it is tried again every {} seconds",
                            self.address.display(),
                            RETRY.as_secs()
                        );
                    }
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    /// Writes down what was handed on.
    fn remember(&self, last: u64) -> Result<(), CtlError> {
        let Some(path) = &self.state else { return Ok(()) };
        let failed = |error| CtlError::AuditFile { path: path.clone(), error };
        let new = path.with_extension("new");
        std::fs::write(&new, format!("{last}\n")).map_err(failed)?;
        std::fs::rename(&new, path).map_err(failed)
    }
}

fn read_state(path: &Path) -> Result<Option<u64>, CtlError> {
    let failed = |error| CtlError::AuditFile { path: path.to_owned(), error };
    match std::fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| failed(io::ErrorKind::InvalidData.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Fields that become parameters, by which a SIEM looks for lines.
const PARAMETERS: [&str; 11] = [
    "sequence",
    "event",
    "userId",
    "userName",
    "channelId",
    "scriptName",
    "executionId",
    "host",
    "outcome",
    "success",
    "exitCode",
];

fn word(fields: &Map<String, Value>, name: &str) -> Option<String> {
    match fields.get(name)? {
        Value::Null => None,
        Value::String(text) => Some(printable(text)),
        other => Some(other.to_string()),
    }
}

/// RFC 5424's severities: what a person should look at is a warning, what was refused or failed a notice.
fn severity(fields: &Map<String, Value>) -> u8 {
    match fields.get("event").and_then(Value::as_str) {
        Some("alert" | "child-lost") | None => 4,
        Some(_) if fields.get("success") == Some(&Value::Bool(false)) => 5,
        Some(_) => 6,
    }
}

/// An RFC 5424 message: facility 10 (authpriv), the line itself as the message. 32473 is the number that RFC 5612 keeps for
/// documents, since Bartizan has none of its own.
fn syslog(fields: &Map<String, Value>, line: &str, host: &str) -> Vec<u8> {
    let time = word(fields, "timestamp").unwrap_or_else(|| "-".to_owned());
    let event = word(fields, "event").unwrap_or_else(|| "malformed".to_owned());
    let header = |text: &str, most: usize| -> String {
        let plain: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
        if plain.is_empty() { "-".to_owned() } else { plain }
    };
    let mut data = String::from("[bartizan@32473");
    for name in PARAMETERS {
        if let Some(value) = word(fields, name) {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
            data.push_str(&format!(" {name}=\"{value}\""));
        }
    }
    data.push(']');
    let priority = 10 * 8 + severity(fields);
    let (time, host, event) = (header(&time, 64), header(host, 255), header(&event, 32));
    format!("<{priority}>1 {time} {host} bartizan - {event} {data} {}", crate::show::inert(line)).into_bytes()
}

/// journald's native protocol: `NAME=value` a line. Values have no line break: they are made printable.
fn journald(fields: &Map<String, Value>, line: &str) -> Vec<u8> {
    let event = word(fields, "event").unwrap_or_else(|| "malformed".to_owned());
    let subject = ["scriptName", "command", "change", "error"].iter().find_map(|name| word(fields, name));
    let message = format!("audit: {event} {}", subject.unwrap_or_default());
    let mut out =
        format!("MESSAGE={}\nPRIORITY={}\nSYSLOG_IDENTIFIER=bartizan\n", message.trim_end(), severity(fields));
    for name in PARAMETERS {
        if let Some(value) = word(fields, name) {
            out.push_str(&format!("BARTIZAN_{}={value}\n", field_name(name)));
        }
    }
    out.push_str(&format!("BARTIZAN_LINE={}\n", crate::show::inert(line)));
    out.into_bytes()
}

/// `scriptName` → `SCRIPT_NAME`.
fn field_name(name: &str) -> String {
    name.chars()
        .flat_map(|c| c.is_ascii_uppercase().then_some('_').into_iter().chain([c.to_ascii_uppercase()]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"sequence":7,"timestamp":"2026-01-01T00:00:00.000Z","event":"decision","userId":"u\"]\\","command":"a\nb","success":false,"signature":"s"}"#;

    fn fields() -> Map<String, Value> {
        serde_json::from_str(LINE).expect("json")
    }

    #[test]
    fn a_syslog_message_has_the_form_of_rfc_5424_and_its_values_cannot_leave_their_quotes() {
        let text = String::from_utf8(syslog(&fields(), LINE, "host 1")).expect("text");
        let begin = "<85>1 2026-01-01T00:00:00.000Z host1 bartizan - decision [bartizan@32473 sequence=\"7\" \
                     event=\"decision\" userId=\"u\\\"\\]\\\\\" success=\"false\"] {";
        assert!(text.starts_with(begin), "{text}");
        assert!(text.ends_with(LINE) && !text.contains('\n'), "{text}");
    }

    #[test]
    fn journald_gets_its_native_fields_and_no_value_begins_another() {
        let mut forged = fields();
        forged.insert("scriptName".into(), "x\nPRIORITY=0".into());
        let text = String::from_utf8(journald(&forged, LINE)).expect("text");
        assert!(text.starts_with("MESSAGE=audit: decision x<U+000A>PRIORITY=0\nPRIORITY=5\n"), "{text}");
        assert!(text.contains("\nBARTIZAN_USER_ID=") && text.contains("\nBARTIZAN_SEQUENCE=7\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("PRIORITY=")).count(), 1);
        assert!(text.lines().all(|line| line.contains('=')));
    }

    #[test]
    fn lines_reach_a_listening_socket() {
        let folder = tempfile::tempdir().expect("temp dir");
        let address = folder.path().join("log");
        let listener = UnixDatagram::bind(&address).expect("bind");
        let socket = UnixDatagram::unbound().expect("socket");
        let state = Some(folder.path().join("state"));
        let mut sender = Sender { socket, address, to: Target::Syslog, host: "h".to_owned(), state };
        sender.send(LINE).expect("send");
        let mut buffer = [0; 4096];
        let length = listener.recv(&mut buffer).expect("receive");
        assert!(buffer[..length].starts_with(b"<85>1 "));
        sender.remember(7).expect("remember");
        assert_eq!(read_state(&folder.path().join("state")).expect("state"), Some(7));
    }
}
