//! `bartizan remote`: the targets, and what an enrolment takes. It prints and installs nothing: what goes to another machine is carried
//! there by a person, who also compares its host key with what that machine's own console says.

use super::Out;
use crate::arguments::{Enrol, Remote};
use crate::exit::{CtlError, Exit};
use crate::show::Look;
use bartizan_audit::openssh_fingerprint;
use bartizan_proto::control::{Answer, Refusal, Request};
use bartizan_proto::ids::SecretName;
use bartizan_proto::targets::{Keys, Rotate, TargetRow, TargetsAnswer, TargetsRequest};
use bartizan_proto::text::printable;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Where the program lies on a target.
const PROGRAM: &str = "/usr/local/bin/bartizan-remote";
/// The public key of who may give orders there.
const BROKER_KEY: &str = "/etc/bartizan-remote/broker.pub";
/// Where it remembers which it carried out.
const STATE: &str = "/var/lib/bartizan-remote";

/// Largest file of host keys, in bytes.
const MAX_HOST_KEYS: u64 = 64 * 1024;

type Ask<'a> = &'a dyn Fn(Request) -> Result<Answer, CtlError>;

/// One of its commands.
pub(super) fn remote(what: &Remote, ask: Ask<'_>, out: &Out) -> Result<Exit, CtlError> {
    match what {
        Remote::List => {
            let rows = targets(ask)?;
            out.give(&rows, |look| listed(&rows, look))
        }
        Remote::Key => {
            let keys = keys(ask, None)?;
            out.give(&keys, |_| pinned(&keys).iter().map(|key| format!("{key}\n")).collect())
        }
        Remote::Enroll(enrol) => {
            let enrolment = enrolment(enrol, ask)?;
            out.give(&enrolment, |look| enrolment.shown(look))
        }
        Remote::RotateKey { switch, withdraw } => {
            let step = match (switch, withdraw) {
                (true, _) => Rotate::Switch,
                (false, true) => Rotate::Withdraw,
                (false, false) => Rotate::Announce,
            };
            let keys = told(ask(Request::Targets(TargetsRequest::Rotate(step)))?)?;
            let names = targets(ask)?.iter().map(|row| row.name.to_string()).collect::<Vec<_>>().join(", ");
            out.give(&keys, |look| rotation(step, &keys, &names, look))
        }
    }
}

fn targets(ask: Ask<'_>) -> Result<Vec<TargetRow>, CtlError> {
    match ask(Request::Targets(TargetsRequest::List))? {
        Answer::Targets(told) => match *told {
            TargetsAnswer::Targets(rows) => Ok(rows.into_vec()),
            TargetsAnswer::Keys(_) => Err(CtlError::WrongAnswer),
        },
        _other => Err(CtlError::WrongAnswer),
    }
}

fn keys(ask: Ask<'_>, login: Option<SecretName>) -> Result<Keys, CtlError> {
    told(ask(Request::Targets(TargetsRequest::Keys { login }))?)
}

fn told(answer: Answer) -> Result<Keys, CtlError> {
    match answer {
        Answer::Targets(told) => match *told {
            TargetsAnswer::Keys(keys) => Ok(keys),
            TargetsAnswer::Targets(_) => Err(CtlError::WrongAnswer),
        },
        _other => Err(CtlError::WrongAnswer),
    }
}

/// The lines of broker.pub: two while the key is exchanged.
fn pinned(keys: &Keys) -> Vec<&str> {
    [Some(&keys.broker), keys.next.as_ref()].into_iter().flatten().map(|key| key.as_str()).collect()
}

/// The command that writes broker.pub.
fn pin(keys: &Keys) -> String {
    let lines: Vec<String> = pinned(keys).iter().map(|key| format!("'{key}'")).collect();
    match lines.as_slice() {
        [one] => format!("echo {one} > {BROKER_KEY}"),
        more => format!("printf '%s\\n' {} > {BROKER_KEY}", more.join(" ")),
    }
}

/// What was done, and what is to be done next.
fn rotation(step: Rotate, keys: &Keys, targets: &str, look: &Look) -> String {
    let (now, pin) = (&keys.broker, pin(keys));
    let whom = if targets.is_empty() {
        "No target stands in bartizan.toml.".to_owned()
    } else {
        format!("Targets: {targets}")
    };
    let whom = printable(&whom);
    match (step, &keys.next) {
        (Rotate::Announce, Some(next)) => format!(
            "Orders are signed with\n    {now}\nand, once you switch, with\n    {next}\n\n{}\n    {pin}\n{whom}\n\n{}\n    bartizan remote \
             rotate-key --switch\n",
            look.good("1. On each target, as root: the new key beside the old one. Jobs go on meanwhile."),
            look.good("2. Here, when all of them have it:"),
        ),
        (Rotate::Announce | Rotate::Switch, _) => format!(
            "Orders are signed with\n    {now}\nfrom now on. The key before is gone from here.\n\n{}\n    {pin}\n{whom}\n",
            look.good("3. On each target, as root, when no job runs that began before: the old key goes there, too."),
        ),
        (Rotate::Withdraw, _) => format!(
            "The next key is given up. Orders are signed with\n    {now}\nas before. On each target that has the other:\n    {pin}\n{whom}\n"
        ),
    }
}

fn listed(rows: &[TargetRow], look: &Look) -> String {
    if rows.is_empty() {
        return "No targets. `bartizan remote enroll NAME --host HOST --user USER --key NAMESPACE/NAME` says how to have one.\n"
            .to_owned();
    }
    let mut table = vec![["NAME", "HOST", "USER", "KEY", "GROUPS", "HOST KEYS", "PROBLEM"].map(str::to_owned).to_vec()];
    table.extend(rows.iter().map(|row| {
        let host_keys: Vec<&str> = row.host_keys.iter().map(|key| key.as_str()).collect();
        vec![
            row.name.to_string(),
            format!("{}:{}", row.host, row.port),
            row.user.to_string(),
            row.key.to_string(),
            row.groups.to_string(),
            host_keys.join(", "),
            row.problem.to_string(),
        ]
    }));
    look.table(&table)
}

/// What an enrolment takes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Enrolment {
    target: String,
    host: String,
    port: u16,
    user: String,
    /// The secret with the key that logs in.
    key: String,
    /// The whole of broker.pub there.
    broker_key: String,
    /// One line of the account's authorized_keys there.
    authorized_keys: String,
    /// What makes a place for it there, as root.
    commands: Vec<String>,
    /// Host keys, where they were given, with their fingerprints.
    host_keys: Vec<HostKey>,
    /// Lines for bartizan.toml; empty where it has the target already.
    config: String,
}

/// One that a machine shows.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct HostKey {
    key: String,
    fingerprint: String,
}

fn enrolment(enrol: &Enrol, ask: Ask<'_>) -> Result<Enrolment, CtlError> {
    let known = targets(ask)?.into_iter().find(|row| row.name.as_str() == enrol.name.as_str());
    let (host, port, user, key) = match &known {
        Some(row) => {
            if enrol.host.is_some() || enrol.port.is_some() || enrol.user.is_some() || enrol.host_key_from.is_some() {
                return Err(usage(format!("{} stands in bartizan.toml: change it there", enrol.name)));
            }
            let key = enrol.key.as_ref().map(ToString::to_string).unwrap_or_else(|| row.key.to_string());
            (row.host.to_string(), row.port, row.user.to_string(), key)
        }
        None => {
            let wanted = |option: &str| usage(format!("{} is no target yet: --{option} is wanted", enrol.name));
            let host = enrol.host.clone().ok_or_else(|| wanted("host"))?;
            let user = enrol.user.clone().ok_or_else(|| wanted("user"))?;
            let key = enrol.key.as_ref().ok_or_else(|| wanted("key"))?.to_string();
            (host, enrol.port.unwrap_or(22), user, key)
        }
    };
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
    if !plain(&user) || !plain(&host) {
        return Err(usage("host and user are letters, digits, - _ . and :".to_owned()));
    }
    let login: SecretName = key.parse().map_err(|_| usage(format!("{}: --key is wanted", enrol.name)))?;
    let keys = keys(ask, Some(login))?;
    let login = keys.login.as_ref().ok_or(CtlError::WrongAnswer)?;
    let host_keys = enrol.host_key_from.as_deref().map(read_host_keys).transpose()?.unwrap_or_default();
    let serve = format!("{PROGRAM} serve --target {} --broker-key {BROKER_KEY} --state {STATE}", enrol.name);
    let config = match &known {
        Some(_) => String::new(),
        None => table(enrol.name.as_str(), (&host, port), (&user, &key), &host_keys),
    };
    Ok(Enrolment {
        target: enrol.name.to_string(),
        broker_key: pinned(&keys).join("\n"),
        authorized_keys: format!("restrict,command=\"{serve}\" {login} bartizan"),
        commands: vec![
            format!("install -d -o root -m 0755 {}", parent(BROKER_KEY)),
            pin(&keys),
            format!("install -d -o {user} -m 0700 {STATE}"),
        ],
        host,
        port,
        user,
        key,
        host_keys,
        config,
    })
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("/", |(parent, _)| parent)
}

/// Lines for the configuration.
fn table(name: &str, (host, port): (&str, u16), (user, key): (&str, &str), host_keys: &[HostKey]) -> String {
    let quoted = |text: &str| toml_edit::Value::from(text).to_string();
    let pinned = match host_keys {
        [] => "# PASTE THE HOST KEY HERE: \"ssh-ed25519 AAAA…\"".to_owned(),
        [one] => quoted(&one.key),
        more => format!("[{}]", more.iter().map(|key| quoted(&key.key)).collect::<Vec<_>>().join(", ")),
    };
    let port = if port == 22 { String::new() } else { format!("port = {port}\n") };
    let (name, host, user, key) = (quoted(name), quoted(host), quoted(user), quoted(key));
    format!("[[target]]\nname = {name}\nhost = {host}\n{port}user = {user}\nkey = {key}\nhost-key = {pinned}\n")
}

impl Enrolment {
    fn shown(&self, look: &Look) -> String {
        let mut text = String::new();
        let mut part = |head: String, lines: &[&str]| {
            text.push_str(&format!("{}\n", look.good(&head)));
            for line in lines.iter().flat_map(|line| line.lines()) {
                text.push_str(&format!("    {}\n", printable(line)));
            }
            text.push('\n');
        };
        let (target, user, host) = (&self.target, &self.user, &self.host);
        let copy = format!("scp bartizan-remote root@{host}:{PROGRAM}");
        part(
            format!("1. The program, to {target}: the file beside this installation's bartizan-broker. It is static."),
            &[&copy],
        );
        let commands: Vec<&str> = self.commands.iter().map(String::as_str).collect();
        part(format!("2. On {target}, as root: whose orders it takes, and where it remembers them."), &commands);
        part(format!("3. On {target}: one line of ~{user}/.ssh/authorized_keys."), &[&self.authorized_keys]);
        part(format!("4. On {target}, as {user}: what its kernel can give a sandbox."), &[&format!("{PROGRAM} probe")]);
        if self.config.is_empty() {
            text.push_str(&format!("{target} stands in bartizan.toml already.\n"));
            return text;
        }
        part("5. Here, into bartizan.toml, then SIGHUP.".to_owned(), &[&self.config]);
        match self.host_keys.as_slice() {
            [] => text.push_str(&format!(
                "Its host key is missing. Get /etc/ssh/ssh_host_ed25519_key.pub from {target}'s console, and say --host-key-from FILE.\n"
            )),
            keys => {
                text.push_str("Compare before you believe it. On its console, ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub must say:\n");
                for key in keys {
                    text.push_str(&format!("    {}\n", key.fingerprint));
                }
            }
        }
        text
    }
}

fn read_host_keys(path: &Path) -> Result<Vec<HostKey>, CtlError> {
    let failed = |error| CtlError::File { path: path.to_owned(), error };
    let mut text = String::new();
    match path.to_str() {
        Some("-") => io::stdin().take(MAX_HOST_KEYS).read_to_string(&mut text).map_err(failed)?,
        Some(_) | None => {
            File::open(path).map_err(failed)?.take(MAX_HOST_KEYS).read_to_string(&mut text).map_err(failed)?
        }
    };
    let keys = host_keys(&text);
    if keys.is_empty() {
        return Err(usage(format!("{}: no host key is in there", path.display())));
    }
    Ok(keys)
}

/// The keys of a .pub file, of known_hosts, or of what ssh-keyscan prints: the ed25519 one where there is one, else all.
fn host_keys(text: &str) -> Vec<HostKey> {
    let of_line = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        words.windows(2).find_map(|pair| {
            let key = pair.join(" ");
            openssh_fingerprint(&key).map(|fingerprint| HostKey { key, fingerprint })
        })
    };
    let mut all: Vec<HostKey> = Vec::new();
    for key in text.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(of_line) {
        if !all.contains(&key) {
            all.push(key);
        }
    }
    let best = all.iter().position(|key| key.key.starts_with("ssh-ed25519 "));
    match best {
        Some(place) => vec![all.swap_remove(place)],
        None => all,
    }
}

fn usage(why: String) -> CtlError {
    CtlError::Refused { refusal: Refusal::Usage, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFA0OAeuReDGW0f8dtQUk+TMHDo+9mT7T5gxhO5UHbdB";

    #[test]
    fn a_host_key_is_found_in_each_form_and_only_where_its_kind_is_what_it_says() {
        for text in [
            format!("{ED25519} root@web-1\n"),
            format!("# web-1:22 SSH-2.0-OpenSSH_9.2p1\nweb-1 {ED25519}\n"),
            format!("[10.0.0.5]:2222,web-1 {ED25519}\n@revoked is no key\n"),
        ] {
            let keys = host_keys(&text);
            assert_eq!(keys.len(), 1, "{text}");
            assert_eq!((keys[0].key.as_str(), &keys[0].fingerprint[..7]), (ED25519, "SHA256:"));
        }
        assert_eq!(host_keys(&ED25519.replace("ssh-ed25519", "ssh-rsa")), []);
        assert_eq!(host_keys("web-1 ssh-ed25519 !!!\n"), []);
    }

    #[test]
    fn the_lines_for_the_configuration_are_toml_with_everything_in_them() {
        let keys = host_keys(ED25519);
        let text = table("web-1", ("10.0.0.5", 2222), ("deploy", "ssh/deploy"), &keys);
        let parsed: toml_edit::DocumentMut = text.parse().expect("TOML");
        let target = parsed["target"].as_array_of_tables().expect("tables").get(0).expect("one");
        assert_eq!(target["host-key"].as_str(), Some(ED25519));
        assert_eq!((target["port"].as_integer(), target["key"].as_str()), (Some(2222), Some("ssh/deploy")));
        // Without one it does not load: nothing is trusted because it came first.
        assert!(
            table("web-1", ("10.0.0.5", 22), ("deploy", "ssh/deploy"), &[]).parse::<toml_edit::DocumentMut>().is_err()
        );
    }
}
