//! `[[target]]` and `[target-groups]`: the machines that scripts may run on, each with the keys that it must show.

use super::super::error::{Wrong, not_one_of};
use super::super::url::check_host;
use super::super::{Argument, raw, settings};
use crate::argument::Value;
use crate::brain::record::RESERVED;
use bartizan_proto::Text;
use bartizan_proto::ids::SecretName;
use bartizan_proto::limits::{MAX_ENDPOINTS, MAX_HOST_KEY, MAX_HOST_KEYS, MAX_NAME};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Keys that a host may have, by the names that OpenSSH gives them (`sshd(8)`, AUTHORIZED_KEYS; RFC 4253, 5656, 8709).
const HOST_KEYS: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

/// A machine that scripts may run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `name`: what the allowlist and chat call it.
    pub name: String,
    /// `host`: a name, which is looked up when the service starts, or an address.
    pub host: Text<MAX_NAME>,
    /// `port`: of its SSH server; 22 unless the file says otherwise.
    pub port: u16,
    /// `user`: as whom.
    pub user: String,
    /// `host-key`: the public keys that it may show, each as `TYPE BASE64`; at least one.
    pub host_keys: Vec<String>,
    /// `key`: the secret with the private key (OpenSSH's form) that opens it.
    pub key: Option<SecretName>,
}

/// All targets and their groups, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Targets.
    pub targets: BTreeMap<String, Target>,
    /// Groups: names of targets, each of which there is.
    pub groups: BTreeMap<String, Vec<String>>,
}

/// The targets of one script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// Each once, in the order in which they are named.
    pub all: Vec<Target>,
    /// What an argument of type `target` may be, each with the targets that it stands for: targets, and the groups named.
    pub words: Vec<(String, Vec<String>)>,
}

impl Targets {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those that are left by what the arguments of type `target` say: of several, what all of them say.
    pub fn narrowed(&self, schema: &[Argument], values: &[Value]) -> Vec<&Target> {
        let said = |argument: &&Argument| argument.narrows;
        let words: Vec<&str> = schema
            .iter()
            .filter(said)
            .filter_map(|argument| values.iter().find(|value| value.name == argument.name))
            .map(|value| value.text.as_str())
            .filter(|text| !text.is_empty())
            .collect();
        let stands =
            |word: &&str, name: &String| self.words.iter().any(|(known, all)| known == word && all.contains(name));
        self.all.iter().filter(|target| words.iter().all(|word| stands(word, &target.name))).collect()
    }

    /// Their names, for people.
    pub fn names(&self) -> Vec<&str> {
        self.all.iter().map(|target| target.name.as_str()).collect()
    }
}

/// Checks all of them.
pub(in super::super) fn known(raw: &[raw::Target], groups: &BTreeMap<String, Vec<String>>) -> Result<Known, Wrong> {
    let mut known = Known::default();
    for (i, one) in raw.iter().enumerate() {
        let place = |wrong: Wrong| wrong.about(&format!("target \"{}\"", one.name)).within(i).within("target");
        let target = target(one).map_err(place)?;
        if known.targets.insert(target.name.clone(), target).is_some() {
            return Err(place(Wrong::new("it is there twice", "rename or remove one of them").within("name")));
        }
    }
    let names: Vec<&str> = known.targets.keys().map(String::as_str).collect();
    for (group, members) in groups {
        let place = |wrong: Wrong| wrong.within(group.as_str()).within("target-groups");
        if !settings::is_name(group, 64) || names.contains(&group.as_str()) {
            let what = format!("\"{group}\" is not a group's name, or a target's");
            return Err(place(Wrong::new(
                what,
                "use lower case, digits, -, _ and ., and another name than any target",
            )));
        }
        if members.is_empty() {
            return Err(place(Wrong::new(format!("the group \"{group}\" is empty"), "name targets, or remove it")));
        }
        for (i, member) in members.iter().enumerate() {
            if !names.contains(&member.as_str()) {
                return Err(place(not_one_of("there is no target", member, &names).within(i)));
            }
        }
    }
    known.groups.clone_from(groups);
    Ok(known)
}

fn target(raw: &raw::Target) -> Result<Target, Wrong> {
    if !settings::is_name(&raw.name, 64) || raw.name.starts_with(['-', '.']) {
        let what = "this cannot be its name";
        return Err(Wrong::new(what, "use lower case, digits, -, _ and .").within("name"));
    }
    let plain = raw.host.parse::<IpAddr>().is_ok() || check_host(&raw.host).is_ok();
    let host = Text::new(raw.host.as_str()).ok().filter(|_| plain && !raw.host.starts_with('-')).ok_or_else(|| {
        Wrong::new(format!("\"{}\" is not a host", raw.host), "give a name or an address, and the port as port = 22")
            .within("host")
    })?;
    let port = raw.port.unwrap_or(22);
    if port == 0 {
        return Err(Wrong::new("port 0", "give the port of its SSH server").within("port"));
    }
    let user_like = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if raw.user.is_empty() || raw.user.len() > 32 || raw.user.starts_with('-') || !raw.user.bytes().all(user_like) {
        let what = format!("\"{}\" is not a user's name", raw.user);
        return Err(Wrong::new(what, "name the user to log in as").within("user"));
    }
    let lines: &[String] = match &raw.host_key {
        None => &[],
        Some(raw::Lines::One(line)) => std::slice::from_ref(line),
        Some(raw::Lines::More(lines)) => lines,
    };
    if lines.is_empty() || lines.len() > MAX_HOST_KEYS {
        let what = "no host key is pinned, or too many";
        let remedy = format!(
            "add host-key = \"ssh-ed25519 …\", as /etc/ssh/ssh_host_ed25519_key.pub on that machine has it (at most {MAX_HOST_KEYS})"
        );
        return Err(Wrong::new(what, remedy).within("host-key"));
    }
    let host_keys = lines.iter().map(|line| host_key(line)).collect::<Result<_, _>>()?;
    let key = raw.key.as_deref().map(secret).transpose().map_err(|wrong| wrong.within("key"))?;
    Ok(Target { name: raw.name.clone(), host, port, user: raw.user.clone(), host_keys, key })
}

/// A line of a `.pub` file, without its comment. The type before the key must be the one inside it (RFC 4253, 6.6).
fn host_key(line: &str) -> Result<String, Wrong> {
    let mut words = line.split_ascii_whitespace();
    let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let inside = STANDARD.decode(blob).unwrap_or_default();
    let named = inside
        .split_first_chunk::<4>()
        .and_then(|(length, rest)| rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?))
        .is_some_and(|name| name == kind.as_bytes());
    if !HOST_KEYS.contains(&kind) || !named || line.len() > MAX_HOST_KEY {
        let what = "this is not a host key";
        let remedy = "write it as in the machine's /etc/ssh/ssh_host_ed25519_key.pub: ssh-ed25519 AAAA…";
        return Err(Wrong::new(what, remedy).within("host-key"));
    }
    Ok(format!("{kind} {blob}"))
}

/// The name of a secret that somebody may set.
pub(super) fn secret(text: &str) -> Result<SecretName, Wrong> {
    match text.parse::<SecretName>() {
        Ok(name) if name.namespace.as_str() != RESERVED => Ok(name),
        Ok(_) => Err(Wrong::new("the namespace bot is the bot's own", "name another")),
        Err(_) => Err(Wrong::new(format!("\"{text}\" is not a secret's name"), "write it as NAMESPACE/NAME")),
    }
}

/// The targets that an entry names, by themselves or by their groups.
pub(super) fn of_script(named: &[String], known: &Known) -> Result<Targets, Wrong> {
    let mut out = Targets::default();
    for (i, word) in named.iter().enumerate() {
        let members = match (known.targets.get(word), known.groups.get(word)) {
            (Some(_), _) => std::slice::from_ref(word),
            (None, Some(members)) => {
                out.words.push((word.clone(), members.clone()));
                members.as_slice()
            }
            (None, None) => {
                let all: Vec<&str> = known.targets.keys().chain(known.groups.keys()).map(String::as_str).collect();
                let wrong = match all.as_slice() {
                    [] => {
                        let remedy = "define it in bartizan.toml as [[target]]";
                        Wrong::new(format!("there is no target \"{word}\""), remedy)
                    }
                    all => not_one_of("there is no target", word, all),
                };
                return Err(wrong.within(i).within("targets"));
            }
        };
        for name in members {
            if let Some(target) = known.targets.get(name).filter(|_| !out.all.iter().any(|there| there.name == *name)) {
                out.words.push((name.clone(), vec![name.clone()]));
                out.all.push(target.clone());
            }
        }
    }
    if out.all.len() > MAX_ENDPOINTS / 2 {
        let what = format!("more than {} targets", MAX_ENDPOINTS / 2);
        return Err(Wrong::new(what, "make several entries of it").within("targets"));
    }
    Ok(out)
}
