//! `bartizan.toml`, key by key: from what is written to what it means.

use super::error::{Wrong, not_one_of};
use super::quantity::Amount;
use super::script::flags;
use super::trust::Trust;
use super::{Bot, Brain, Group, Level, Limits, Listed, Rate, Rates, Server, absolute, raw};
use crate::brain::KeySource;
use bartizan_proto::ids::{MemoryKey, UserId};
use bartizan_proto::limits::{MAX_ATTACHMENT, MAX_CA_BUNDLE, MAX_CLIENT_KEY, MAX_TOKEN};
use bartizan_proto::text::is_hidden;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) fn server(raw: &raw::Server, folder: &Path, trust: &Trust) -> Result<Server, Wrong> {
    let url = raw.url.parse().map_err(|error| {
        Wrong::new(
            format!("\"{}\" is not a server's address: {error}", raw.url),
            "write it like https://chat.example.com",
        )
        .within("url")
    })?;
    if !is_name(&raw.team, 64) {
        let what = format!("\"{}\" is not a team's name", raw.team);
        return Err(Wrong::new(what, "use the name in the address of its channels, in lower case").within("team"));
    }
    let ca_file = raw.ca_file.as_ref().map(|path| absolute(folder, path));
    if let Some(path) = &ca_file {
        certificates(path, trust).map_err(|wrong| wrong.within("ca-file"))?;
    }
    let https = raw.url.starts_with("https:");
    if let Some(address) = &raw.proxy {
        proxy(address, https).map_err(|wrong| wrong.within("proxy"))?;
    }
    let client = client(raw, folder, trust, https)?;
    if let Some(list) = &raw.channels {
        channels(list).map_err(|wrong| wrong.within("channels"))?;
    }
    let (proxy, channels) = (raw.proxy.clone(), raw.channels.clone());
    Ok(Server { url, team: raw.team.clone(), ca_file, proxy, client, channels })
}

fn proxy(address: &str, https: bool) -> Result<(), Wrong> {
    let rest = address.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let plain = |rest: &str| {
        !rest.is_empty()
            && rest.len() <= 200
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
    };
    if !rest.is_some_and(plain) {
        let what = format!("\"{address}\" is not a proxy's address");
        return Err(Wrong::new(what, "write it like http://proxy.example.com:3128, without a user"));
    }
    if !https {
        return Err(Wrong::new(
            "a proxy is for an https server: it could read the token",
            "use https, or remove the key",
        ));
    }
    Ok(())
}

/// A certificate of our own, and its key, which nobody else may read.
fn client(raw: &raw::Server, folder: &Path, trust: &Trust, https: bool) -> Result<Option<(PathBuf, PathBuf)>, Wrong> {
    let (certificate, key) = match (&raw.client_certificate, &raw.client_key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (absolute(folder, certificate), absolute(folder, key)),
        (Some(_), None) => {
            let remedy = "name the file with its key as client-key";
            return Err(Wrong::new("a certificate without its key", remedy).within("client-certificate"));
        }
        (None, Some(_)) => {
            let remedy = "name the file with the certificate as client-certificate";
            return Err(Wrong::new("a key without its certificate", remedy).within("client-key"));
        }
    };
    if !https {
        let wrong = Wrong::new("only an https server asks for a certificate", "use https, or remove the key");
        return Err(wrong.within("client-certificate"));
    }
    certificates(&certificate, trust).map_err(|wrong| wrong.within("client-certificate"))?;
    let (_, metadata) = trust.open_secret(&key).map_err(|error| Wrong::from(error).within("client-key"))?;
    if metadata.len() == 0 || metadata.len() > MAX_CLIENT_KEY as u64 {
        let what = format!("{} has {} bytes, which is no key", key.display(), metadata.len());
        return Err(Wrong::new(what, "put the key there, as PEM, and nothing else").within("client-key"));
    }
    Ok(Some((certificate, key)))
}

pub(super) fn bot(raw: &raw::Bot, folder: &Path, trust: &Trust) -> Result<Bot, Wrong> {
    let token_file = raw.token_file.as_ref().map(|path| absolute(folder, path));
    if let Some(path) = &token_file {
        let (_, metadata) = trust.open_secret(path).map_err(|error| Wrong::from(error).within("token-file"))?;
        // One line end after the token is usual.
        if metadata.len() == 0 || metadata.len() > MAX_TOKEN as u64 + 1 {
            let what = format!("{} has {} bytes, which is no access token", path.display(), metadata.len());
            return Err(Wrong::new(what, "put the bot's token there and nothing else").within("token-file"));
        }
    }
    let prefix = raw.prefix.clone().unwrap_or_else(|| "!".to_owned());
    let usable = |c: char| c.is_ascii_punctuation() && !matches!(c, '@' | '/' | '\\' | '"' | '\'' | '`');
    if prefix.is_empty() || prefix.len() > 3 || !prefix.chars().all(usable) {
        let what = format!("\"{prefix}\" cannot be a prefix");
        let remedy = "use one to three punctuation characters, like \"!\", without @ / \\ and quotes";
        return Err(Wrong::new(what, remedy).within("prefix"));
    }
    Ok(Bot { token_file, prefix })
}

/// `[control]`: two sockets, each in a folder of its group's.
#[derive(Debug)]
pub(super) struct Control {
    /// Where `control.sock` is.
    pub(super) directory: PathBuf,
    /// Whose beside root's.
    pub(super) operators: Option<String>,
    /// Where `read.sock` is.
    pub(super) read: PathBuf,
    /// Whose beside theirs.
    pub(super) readers: Option<String>,
}

/// Where nothing is said of readers, `read.sock` stands beside the other, for the same people.
pub(super) fn control(raw: raw::Control, folder: &Path, state: &Path) -> Result<Control, Wrong> {
    let raw::Control { directory, operators, read_directory, readers } = raw;
    group("operators", operators.as_deref())?;
    group("readers", readers.as_deref())?;
    let directory = directory.map_or(state.join("run"), |directory| absolute(folder, &directory));
    let read = match (read_directory, &readers) {
        (Some(read), _) => absolute(folder, &read),
        (None, Some(_)) => directory.with_file_name("read"),
        (None, None) => directory.clone(),
    };
    if read == directory && readers.is_some() && readers != operators {
        let what = "readers and operators cannot share a directory: it is of one group".to_owned();
        return Err(Wrong::new(what, "name another one, or remove the key").within("read-directory"));
    }
    Ok(Control { directory, operators, read, readers })
}

/// A group's name as Linux systems take them, or its number.
fn group(key: &str, group: Option<&str>) -> Result<(), Wrong> {
    let Some(group) = group else { return Ok(()) };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    // `(gid_t) -1` means "leave it" to set*id(2) and chown(2), and is no group (CVE-2019-14287).
    let no_group = matches!(group, "0" | "root" | "4294967295");
    if group.is_empty() || group.len() > 32 || !group.bytes().all(plain) || no_group {
        let what = format!("\"{group}\" cannot be the group of {key}");
        let remedy = "name a group of people other than root's, or remove the key: root may always";
        return Err(Wrong::new(what, remedy).within(key));
    }
    Ok(())
}

pub(super) fn brain(raw: &raw::Brain, folder: &Path, state: &Path) -> Result<Brain, Wrong> {
    let given = [raw.key_file.is_some(), raw.key_credential.is_some(), raw.passphrase];
    if given.iter().filter(|given| **given).count() > 1 {
        return Err(Wrong::new(
            "more than one key opens the brain",
            "keep one of key-file, key-credential, passphrase",
        ));
    }
    let key = match (&raw.key_file, &raw.key_credential, raw.passphrase) {
        (Some(path), _, _) => KeySource::File(absolute(folder, path)),
        (None, Some(name), _) if name.parse::<MemoryKey>().is_ok() => KeySource::Credential(name.clone()),
        (None, Some(name), _) => {
            let what = format!("\"{name}\" is not a credential's name");
            return Err(Wrong::new(what, "use the name in the unit's LoadCredential=").within("key-credential"));
        }
        (None, None, true) => KeySource::Passphrase,
        (None, None, false) => KeySource::Own(state.join("brain.key")),
    };
    Ok(Brain { key, by_direct_message: raw.secrets_by_direct_message })
}

pub(super) fn limits(raw: &raw::Limits) -> Result<Limits, Wrong> {
    let attachment = match &raw.attachment {
        Some(amount) => amount.bytes().map_err(|wrong| wrong.within("attachment"))?,
        None => MAX_ATTACHMENT as u64,
    };
    Ok(Limits {
        // Mattermost stores 16,383 characters; what stands around the output needs room too.
        output: between("output", raw.output.unwrap_or(4000), 100, 16_000)?,
        attachment: between("attachment", attachment, 0, MAX_ATTACHMENT as u64)?,
        jobs: between("jobs", raw.jobs.unwrap_or(16), 1, 1000)?,
        jobs_per_user: between("jobs-per-user", raw.jobs_per_user.unwrap_or(1000), 1, 1000)?,
        history: between("history", raw.history.unwrap_or(20), 0, 1000)?,
        stale_after: time("stale-after", raw.stale_after.as_ref(), 300, 1, 86_400)?,
        answer_within: time("answer-within", raw.answer_within.as_ref(), 120, 1, 3600)?,
        drain: time("drain", raw.drain.as_ref(), 120, 0, 3600)?,
        shutdown_grace: time("shutdown-grace", raw.shutdown_grace.as_ref(), 10, 0, 600)?,
    })
}

/// Where admins are warned.
pub(super) fn alerts(raw: &raw::Alerts) -> Result<Option<String>, Wrong> {
    if let Some(name) = &raw.channel {
        channels(std::slice::from_ref(name)).map_err(|wrong| wrong.within("channel"))?;
    }
    Ok(raw.channel.clone())
}

/// Where operators are told of jobs that take long.
pub(super) fn job_notices(raw: &raw::Alerts) -> Result<Option<String>, Wrong> {
    if let Some(name) = &raw.jobs_channel {
        channels(std::slice::from_ref(name)).map_err(|wrong| wrong.within("jobs-channel"))?;
    }
    Ok(raw.jobs_channel.clone())
}

pub(super) fn audit(raw: &raw::Audit) -> Result<Option<String>, Wrong> {
    if let Some(name) = &raw.checkpoint_channel {
        channels(std::slice::from_ref(name)).map_err(|wrong| wrong.within("checkpoint-channel"))?;
    }
    Ok(raw.checkpoint_channel.clone())
}

pub(super) fn people(raw: &BTreeMap<String, String>) -> Result<BTreeMap<String, Level>, Wrong> {
    let mut people = BTreeMap::new();
    for (name, level) in raw {
        user(name).map_err(|wrong| wrong.within(name.as_str()))?;
        people.insert(name.clone(), self::level(level).map_err(|wrong| wrong.within(name.as_str()))?);
    }
    Ok(people)
}

/// `people.toml`.
pub(super) fn people_file(raw: &raw::PeopleFile) -> Result<BTreeMap<String, Listed>, Wrong> {
    let one = |name: &str, raw: &raw::Listed| {
        user(name)?;
        let level = self::level(&raw.level).map_err(|wrong| wrong.within("level"))?;
        let flags = flags(&raw.flags).map_err(|wrong| wrong.within("flags"))?.into_iter().collect();
        Ok::<_, Wrong>(Listed { level, flags })
    };
    let listed = |(name, raw): (&String, &raw::Listed)| {
        one(name, raw)
            .map(|listed| (name.clone(), listed))
            .map_err(|wrong| wrong.within(name.as_str()).within("people"))
    };
    raw.people.iter().map(listed).collect()
}

/// `[groups]`.
pub(super) fn groups(raw: &BTreeMap<String, raw::Group>) -> Result<BTreeMap<String, Group>, Wrong> {
    let one = |name: &str, raw: &raw::Group| {
        if !is_name(name, 64) {
            let what = format!("\"{name}\" is not a group's name");
            return Err(Wrong::new(what, "use lower case, digits, - and _"));
        }
        match raw {
            raw::Group::Members(members) => names(members).map(|()| Group::Members(members.clone())),
            raw::Group::Mattermost(theirs) if is_name(theirs, 64) => Ok(Group::Mattermost(theirs.clone())),
            raw::Group::Mattermost(theirs) => {
                let what = format!("\"{theirs}\" is not the name of a group on the server");
                Err(Wrong::new(what, "write it as after the @, without @").within("mattermost"))
            }
        }
    };
    let group = |(name, raw): (&String, &raw::Group)| {
        one(name, raw).map(|group| (name.clone(), group)).map_err(|wrong| wrong.within(name.as_str()))
    };
    raw.iter().map(group).collect()
}

/// `[rate]`.
pub(super) fn rates(raw: &raw::Rates) -> Result<Rates, Wrong> {
    let usual = Rates::default();
    let read = |key: &str, text: &Option<String>, usual: Option<Rate>| match text {
        Some(text) => Rate::read(text).map_err(|wrong| wrong.within(key)),
        None => Ok(usual),
    };
    Ok(Rates {
        user: read("user", &raw.user, usual.user)?,
        channel: read("channel", &raw.channel, usual.channel)?,
        script: read("script", &raw.script, usual.script)?,
        thread_replies: read("thread-replies", &raw.thread_replies, usual.thread_replies)?,
        channel_replies: read("channel-replies", &raw.channel_replies, usual.channel_replies)?,
    })
}

/// People by name or id. Nobody at all is never meant.
pub(super) fn names(names: &[String]) -> Result<(), Wrong> {
    if names.is_empty() {
        return Err(Wrong::new("the list of people is empty", "name people, or remove it"));
    }
    for (i, name) in names.iter().enumerate() {
        user(name).map_err(|wrong| wrong.within(i))?;
    }
    Ok(())
}

/// A person's name or id.
pub(super) fn user(name: &str) -> Result<(), Wrong> {
    if name.parse::<UserId>().is_ok() || is_name(name, 64) {
        return Ok(());
    }
    let what = format!("\"{name}\" is not a user name");
    Err(Wrong::new(what, "write it in lower case and without @"))
}

pub(super) fn level(word: &str) -> Result<Level, Wrong> {
    word.parse().map_err(|_| not_one_of("there is no level", word, &Level::ALL.map(Level::as_str)))
}

/// Checks names of channels. No channel at all is never meant.
pub(super) fn channels(names: &[String]) -> Result<(), Wrong> {
    if names.is_empty() {
        return Err(Wrong::new("the list of channels is empty", "name channels, or remove the key for every channel"));
    }
    match names.iter().position(|name| !is_name(name, 64)) {
        Some(i) => {
            let what = format!("\"{}\" is not a channel's name", names[i]);
            Err(Wrong::new(what, "use the name in its address: lower case, without #").within(i))
        }
        None => Ok(()),
    }
}

/// A team's or a channel's name as the server makes them.
pub(super) fn is_name(name: &str, most: usize) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= most && name.bytes().all(plain)
}

fn certificates(path: &Path, trust: &Trust) -> Result<(), Wrong> {
    let text = trust.read(path, MAX_CA_BUNDLE)?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(());
    }
    Err(Wrong::new(format!("{} has no certificate in it", path.display()), "put PEM certificates there"))
}

fn between(key: &str, value: u64, least: u64, most: u64) -> Result<usize, Wrong> {
    usize::try_from(value).ok().filter(|_| (least..=most).contains(&value)).ok_or_else(|| {
        Wrong::new(format!("{key} is {value}"), format!("give a number from {least} to {most}")).within(key)
    })
}

/// A time in whole or part seconds between two bounds, all in seconds.
pub(super) fn time(
    key: &str,
    amount: Option<&Amount>,
    otherwise: u64,
    least: u64,
    most: u64,
) -> Result<Duration, Wrong> {
    let Some(amount) = amount else { return Ok(Duration::from_secs(otherwise)) };
    let time = amount.time(None).map_err(|wrong| wrong.within(key))?;
    if time < Duration::from_secs(least) || time > Duration::from_secs(most) {
        let what = format!("{key} is {} seconds", time.as_secs_f64());
        return Err(Wrong::new(what, format!("give a time from {least} to {most} seconds")).within(key));
    }
    Ok(time)
}

/// Text for people: what cannot be seen in it is a mistake, or worse.
pub(super) fn visible(key: &str, text: &str) -> Result<(), Wrong> {
    match text.chars().find(|c| is_hidden(*c)) {
        Some(c) => Err(Wrong::new(
            format!("{key} has the invisible character {}", bartizan_proto::text::shown(c)),
            "remove it, and line breaks too",
        )
        .within(key)),
        None => Ok(()),
    }
}
