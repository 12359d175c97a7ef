//! What a trial came to, in words: how the script ended, what it was refused, and the lines of a profile that would grant it.

use super::calls::Access;
use super::observe::Refusal;
use bartizan_proto::text::printable;
use bartizan_proto::worker::Profile;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How the script ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Its time was over.
    TimedOut,
    /// It was not run.
    NotRun(String),
}

impl Ended {
    /// In words.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Code(code) => format!("exit {code}"),
            Self::Signal(signal) => format!("ended by signal {signal}"),
            Self::TimedOut => "its time was over".to_owned(),
            Self::NotRun(why) => format!("not run: {}", printable(why)),
        }
    }
}

/// One refusal in words, and the key and value of a profile that grants it.
fn told(refusal: &Refusal) -> (String, Option<(&'static str, String)>) {
    match refusal {
        Refusal::File { path, wanted } => {
            let what = match wanted {
                Access::Read => "read",
                Access::Write => "write",
                Access::Run => "run",
            };
            // What is to be made does not exist yet: its folder can be granted.
            let granted = match wanted {
                Access::Write if path.symlink_metadata().is_err() => path.parent().map(PathBuf::from),
                Access::Read | Access::Write | Access::Run => Some(path.clone()),
            };
            let granted = granted.filter(|path| !path.starts_with("/proc")).map(|path| path.display().to_string());
            (format!("file  {what} {}", path.display()), granted.map(|path| (wanted.key(), path)))
        }
        Refusal::Host(address) => (format!("host  {address}"), Some(("network", address.to_string()))),
        Refusal::Socket(path) => (format!("file  connect to the socket {}", path.display()), None),
        Refusal::Call(name) => (format!("call  {name}"), None),
        Refusal::Ended => ("call  one of another ABI (a process was ended)".to_owned(), None),
    }
}

/// The lines of the profile as they would be, what it grants already included.
fn lines(refusals: &[Refusal], profile: &Profile) -> Vec<String> {
    let mut keys: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (key, value) in refusals.iter().filter_map(|refusal| told(refusal).1) {
        let has = |paths: &[bartizan_proto::Text<{ bartizan_proto::limits::MAX_PATH }>]| {
            paths.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let values = keys.entry(key).or_insert_with(|| match key {
            "read" => has(&profile.read),
            "write" => has(&profile.write),
            "exec" => has(&profile.exec),
            _ => profile.network.iter().map(|endpoint| format!("{}:{}", endpoint.host, endpoint.port)).collect(),
        });
        if !values.contains(&value) {
            values.push(value);
        }
    }
    let quoted = |value: &String| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    let line = |(key, values): (&str, Vec<String>)| {
        format!("{key} = [{}]", values.iter().map(quoted).collect::<Vec<_>>().join(", "))
    };
    keys.into_iter().map(line).collect()
}

/// As JSON.
pub(super) fn json(ended: &Ended, output: &str, refusals: &[Refusal], profile: &Profile) -> Value {
    let refused: Vec<Value> = refusals
        .iter()
        .map(|refusal| {
            let (what, grant) = told(refusal);
            let (kind, what) = what.split_once("  ").unwrap_or(("call", &what));
            json!({ "kind": kind, "what": what, "grant": grant.map(|(key, value)| json!({ key: value })) })
        })
        .collect();
    json!({ "ended": ended.shown(), "output": output, "refused": refused, "lines": lines(refusals, profile) })
}

/// For people.
pub(super) fn text(ended: &Ended, refusals: &[Refusal], profile: &Profile, name: Option<&str>) -> String {
    let mut out = format!("\n{}\n", ended.shown());
    if refusals.is_empty() {
        out.push_str("The sandbox refused nothing.\n");
        return out;
    }
    out.push_str("The sandbox refused:\n");
    let mut more = false;
    for refusal in refusals {
        let (what, grant) = told(refusal);
        more |= grant.is_none();
        let mark = if grant.is_none() { "  (*)" } else { "" };
        out.push_str(&format!("  {}{mark}\n", printable(&what)));
    }
    let lines = lines(refusals, profile);
    if !lines.is_empty() {
        match name {
            Some(name) => out.push_str(&format!("Where it needs that, in bartizan.toml:\n  [profiles.{name}]\n")),
            None => out.push_str(
                "Where it needs that, in bartizan.toml, with profile = \"…\" in its entry:\n  [profiles.…]\n",
            ),
        }
        for line in lines {
            out.push_str(&format!("  {}\n", printable(&line)));
        }
    }
    if more {
        out.push_str("(*) No profile grants that.\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_proto::List;
    use bartizan_proto::worker::Limits;

    #[test]
    fn the_lines_have_what_the_profile_grants_already_and_what_it_would_grant() {
        let profile = Profile {
            read: List::cut([bartizan_proto::Text::cut("/srv/a")]),
            write: List::default(),
            exec: List::default(),
            network: List::default(),
            limits: Limits::default(),
        };
        let read = |path: &str| Refusal::File { path: path.into(), wanted: Access::Read };
        let host = Refusal::Host("192.0.2.7:443".parse().expect("an address"));
        let refusals = [read("/srv/b"), host, Refusal::Call("mount".to_owned())];
        assert_eq!(lines(&refusals, &profile), ["network = [\"192.0.2.7:443\"]", "read = [\"/srv/a\", \"/srv/b\"]"]);
        let text = text(&Ended::Code(1), &refusals, &profile, Some("files"));
        for part in ["exit 1", "file  read /srv/b\n", "host  192.0.2.7:443", "call  mount  (*)", "[profiles.files]"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_is_to_be_made_is_granted_by_its_folder() {
        let made = Refusal::File { path: "/etc/nothing-here/x".into(), wanted: Access::Write };
        assert_eq!(told(&made).1, Some(("write", "/etc/nothing-here".to_owned())));
    }
}
