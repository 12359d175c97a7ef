//! One entry of the allowlist: from what is written to a script that can be run.

use super::error::{Wrong, not_one_of};
use super::trust::Trust;
use super::{
    Allow, Argument, Rate, Script, Steps, Targets, absolute, api, approval, backend, concurrency, context, elevation,
    kind, nearest, profile, raw, secrets, settings, steps,
};
use crate::argument;
use bartizan_proto::ids::{FlagName, ScriptName};
use bartizan_proto::limits::{MAX_ARGUMENTS, MAX_PATH};
use bartizan_proto::worker::Profile;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A script's time unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// No script runs longer than this: a week.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the checks of a script need to know besides.
pub(super) struct Surroundings<'a> {
    /// Where relative paths are looked for, in this order.
    pub(super) directories: &'a [PathBuf],
    /// Profiles by name.
    pub(super) profiles: &'a BTreeMap<String, Profile>,
    /// Whose scripts are believed.
    pub(super) trust: &'a Trust,
    /// Groups by name.
    pub(super) groups: &'a BTreeMap<String, super::Group>,
    /// Names of the allowlist's authorizers.
    pub(super) authorizers: &'a [&'a str],
    /// Names of its elevators.
    pub(super) elevators: &'a [&'a str],
    /// Machines that scripts may run on.
    pub(super) targets: &'a backend::Known,
    /// The cluster that scripts may run on.
    pub(super) cluster: Option<&'a backend::Cluster>,
    /// What is Bartizan's own.
    pub(super) own: &'a profile::Own,
}

/// What an entry runs that has steps, and no file of its own: the system's `true`.
pub(crate) const NOTHING: &str = "/usr/bin/true";

/// An authorizer may take so long at most.
const LONGEST_AUTHORIZER: Duration = Duration::from_secs(60);

/// And so long unless it says otherwise.
const AUTHORIZER_TIMEOUT: Duration = Duration::from_secs(10);

/// What an authorizer gets before the arguments: script, group and command.
const AUTHORIZER_WORDS: usize = 3;

/// Checks one authorizer: a script that is no command, and has no arguments of its own.
pub(super) fn authorizer(raw: &raw::Authorizer, around: &Surroundings<'_>) -> Result<Script, Wrong> {
    asked(raw, "authorizer", around)
}

/// Checks one elevator: the same.
pub(super) fn elevator(raw: &raw::Authorizer, around: &Surroundings<'_>) -> Result<Script, Wrong> {
    asked(raw, "elevator", around)
}

fn asked(raw: &raw::Authorizer, kind: &'static str, around: &Surroundings<'_>) -> Result<Script, Wrong> {
    let as_script = raw::Script::of_authorizer(raw);
    let mut script = check(&as_script, around).map_err(|wrong| wrong.renamed("script", kind))?;
    script.timeout = match &raw.timeout {
        Some(_) => script.timeout,
        None => AUTHORIZER_TIMEOUT,
    };
    if script.timeout > LONGEST_AUTHORIZER {
        let what = format!("{kind} \"{}\": the timeout is more than a minute", raw.name);
        return Err(Wrong::new(what, "write it like \"10s\"").within("timeout"));
    }
    Ok(script)
}

/// Checks one script.
pub(super) fn check(raw: &raw::Script, around: &Surroundings<'_>) -> Result<Script, Wrong> {
    let name = raw.name.parse().map_err(|_| {
        let what = format!("\"{}\" is not a script's name", raw.name);
        Wrong::new(what, "use 1 to 64 letters, digits, - and _").within("name")
    })?;
    rest(raw, name, around).map_err(|wrong| wrong.about(&format!("script \"{}\"", raw.name)))
}

fn rest(raw: &raw::Script, name: bartizan_proto::ids::ScriptName, around: &Surroundings<'_>) -> Result<Script, Wrong> {
    settings::visible("description", &raw.description)?;
    let level = match &raw.required_permission {
        Some(word) => level(word).map_err(|wrong| wrong.within("required-permission"))?,
        None => super::Level::Operator,
    };
    if let Some(channels) = &raw.allowed_channels {
        settings::channels(channels).map_err(|wrong| wrong.within("allowed-channels"))?;
    }
    let timeout = match &raw.timeout {
        Some(amount) => amount.time(Some(Duration::from_millis(1))).map_err(|wrong| wrong.within("timeout"))?,
        None => TIMEOUT,
    };
    if timeout < Duration::from_millis(1) || timeout > LONGEST {
        return Err(Wrong::new("the timeout is nothing or more than a week", "write it like \"30s\" or \"10m\"")
            .within("timeout"));
    }
    let profile = profile(raw, around)?;
    let sha256 = match &raw.sha256 {
        Some(hex) => Some(digest(hex).ok_or_else(|| {
            Wrong::new("sha256 is not a SHA-256 in hex", "write 64 hex digits, as sha256sum prints them")
                .within("sha256")
        })?),
        None => None,
    };
    let chosen = backend::choose(raw, timeout, around)?;
    let profile = backend::grant(profile, &chosen, around)?;
    let path = match &chosen.file {
        Some(file) => file.clone(),
        None => path(raw, around).map_err(|wrong| wrong.within("path"))?,
    };
    if let Some(grant) = profile.write.iter().find(|grant| path.starts_with(grant.as_str())) {
        let what = format!("its profile lets it write {grant}, where it is itself");
        return Err(Wrong::new(what, "grant a narrower path").within("profile"));
    }
    visibility(raw, around)?;
    let rate = raw.rate.as_deref().map(Rate::read).transpose().map_err(|wrong| wrong.within("rate"))?.flatten();
    let arguments = arguments(&raw.arguments, &chosen.targets).map_err(|wrong| wrong.within("arguments"))?;
    backend::fits(&chosen.backend, &arguments)?;
    let secrets = secrets::check(&raw.secrets, chosen.secrets)?;
    Ok(Script {
        name,
        path,
        description: raw.description.clone(),
        level,
        required_flags: flags(&raw.required_flags).map_err(|wrong| wrong.within("required-flags"))?,
        channels: raw.allowed_channels.clone().unwrap_or_default(),
        private_only: raw.private_only,
        direct_only: raw.direct_only,
        users: raw.allowed_users.clone().unwrap_or_default(),
        groups: raw.allowed_groups.clone().unwrap_or_default(),
        authorizer: raw.authorizer.as_deref().map(|name| known("authorizer", name, around.authorizers)).transpose()?,
        elevator: raw.elevator.as_deref().map(|name| known("elevator", name, around.elevators)).transpose()?,
        authorizer_group: raw.authorizer_group.clone().unwrap_or_default(),
        rate,
        timeout,
        warn_after: concurrency::warn_after(raw, timeout)?,
        concurrency: concurrency::check(raw)?,
        exclusive: raw.exclusive.clone(),
        refused_when_busy: raw.when_busy.as_deref() == Some("refuse"),
        is_async: raw.is_async,
        idempotent: raw.idempotent,
        elevate: elevation::check(raw.elevate.as_deref())?,
        approval: approval::check(raw, &arguments, around)?,
        steps: Steps {
            steps: steps::read(&raw.steps, &arguments).map_err(|wrong| wrong.within("steps"))?,
            fails: steps::read(&raw.on_failure, &arguments).map_err(|wrong| wrong.within("on-failure"))?,
            finals: steps::read(&raw.finally, &arguments).map_err(|wrong| wrong.within("finally"))?,
        },
        arguments,
        profile,
        profile_name: raw.profile.clone(),
        sha256,
        backend: chosen.backend,
        targets: chosen.targets,
        secrets,
        api: api::check(&raw.api).map_err(|wrong| wrong.within("api"))?,
    })
}

pub(super) fn level(word: &str) -> Result<super::Level, Wrong> {
    match settings::level(word)? {
        super::Level::Banned => Err(Wrong::new("a script for banned people", "use user, operator or admin")),
        level => Ok(level),
    }
}

pub(super) fn flags(raw: &[String]) -> Result<Vec<FlagName>, Wrong> {
    let flag = |(i, flag): (usize, &String)| {
        flag.parse()
            .map_err(|_| Wrong::new(format!("\"{flag}\" is not a flag"), "use letters, digits, - and _").within(i))
    };
    raw.iter().enumerate().map(flag).collect()
}

/// Who may see it, and where: nothing in it may contradict the rest.
fn visibility(raw: &raw::Script, around: &Surroundings<'_>) -> Result<(), Wrong> {
    if raw.direct_only && raw.private_only {
        return Err(Wrong::new("direct-only says private-only already", "remove private-only").within("private-only"));
    }
    if raw.direct_only && raw.allowed_channels.is_some() {
        let what = "it is for direct messages only, and for channels";
        return Err(Wrong::new(what, "remove allowed-channels or direct-only").within("allowed-channels"));
    }
    if let Some(users) = &raw.allowed_users {
        settings::names(users).map_err(|wrong| wrong.within("allowed-users"))?;
    }
    for (i, group) in raw.allowed_groups.iter().flatten().enumerate() {
        if !around.groups.contains_key(group) {
            let wrong =
                not_one_of("there is no group", group, &around.groups.keys().map(String::as_str).collect::<Vec<_>>());
            return Err(wrong.within(i).within("allowed-groups"));
        }
    }
    if raw.allowed_groups.as_ref().is_some_and(Vec::is_empty) {
        let what = "the list of groups is empty";
        return Err(Wrong::new(what, "name groups, or remove the key for everybody").within("allowed-groups"));
    }
    let asks = raw.authorizer.is_some() || raw.elevator.is_some();
    if asks && raw.arguments.0.len() > MAX_ARGUMENTS - AUTHORIZER_WORDS {
        let most = MAX_ARGUMENTS - AUTHORIZER_WORDS;
        let what = format!("more than {most} arguments, which its authorizer or elevator gets too");
        return Err(Wrong::new(what, "give fewer").within("arguments"));
    }
    if let Some(group) = &raw.authorizer_group {
        settings::visible("authorizer-group", group)?;
        if raw.authorizer.is_none() || group.len() > 256 {
            let what = "authorizer-group without an authorizer, or too long";
            return Err(Wrong::new(what, "name the authorizer, too").within("authorizer-group"));
        }
    }
    Ok(())
}

fn known(kind: &'static str, name: &str, all: &[&str]) -> Result<ScriptName, Wrong> {
    let known = all.contains(&name);
    name.parse().ok().filter(|_| known).ok_or_else(|| {
        let wrong = match all {
            [] => {
                Wrong::new(format!("there is no {kind} \"{name}\""), format!("define it as [[{kind}s]] in this file"))
            }
            known => not_one_of(&format!("there is no {kind}"), name, known),
        };
        wrong.within(kind)
    })
}

fn profile(raw: &raw::Script, around: &Surroundings<'_>) -> Result<Profile, Wrong> {
    let below = match &raw.profile {
        Some(name) => around.profiles.get(name).cloned().ok_or_else(|| {
            let remedy = match nearest(name, around.profiles.keys().map(String::as_str)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("define it in bartizan.toml as [profiles.{name}]"),
            };
            Wrong::new(format!("there is no profile \"{name}\""), remedy).within("profile")
        })?,
        None => around.profiles.get("default").cloned().unwrap_or_else(profile::least),
    };
    let limits = profile::limits(&raw.limits, below.limits).map_err(|wrong| wrong.within("limits"))?;
    Ok(Profile { limits, ..below })
}

/// Finds the script's file and looks at it as it will be looked at before each run.
fn path(raw: &raw::Script, around: &Surroundings<'_>) -> Result<PathBuf, Wrong> {
    let nothing = PathBuf::from(NOTHING);
    let Some(written) = raw.path.as_ref().or((!raw.steps.is_empty()).then_some(&nothing)) else {
        return Err(Wrong::new("the key \"path\" is missing", "say which file it is"));
    };
    let path = must_find(written, around.directories)?;
    around.trust.open_script(&path)?;
    Ok(path)
}

/// The file of that path in the first of the directories that has it.
pub(super) fn must_find(written: &Path, directories: &[PathBuf]) -> Result<PathBuf, Wrong> {
    let path = found(written, directories).ok_or_else(|| {
        let places: Vec<String> = directories.iter().map(|place| place.display().to_string()).collect();
        let sought = if written.is_absolute() { String::new() } else { format!(" in {}", places.join(" or ")) };
        Wrong::new(format!("there is no file {}{sought}", written.display()), "put it there or correct the path")
    })?;
    if path.as_os_str().len() > MAX_PATH || path.to_str().is_none() {
        return Err(Wrong::new("its path is too long or not UTF-8", "move it"));
    }
    Ok(path)
}

pub(super) fn found(written: &Path, directories: &[PathBuf]) -> Option<PathBuf> {
    if written.is_absolute() {
        return Some(absolute(Path::new("/"), written)).filter(|path| path.symlink_metadata().is_ok());
    }
    directories.iter().map(|place| absolute(place, written)).find(|path| path.symlink_metadata().is_ok())
}

fn arguments(raw: &raw::Arguments, targets: &Targets) -> Result<Vec<Argument>, Wrong> {
    if raw.0.len() > MAX_ARGUMENTS {
        return Err(Wrong::new(format!("more than {MAX_ARGUMENTS} arguments"), "give fewer"));
    }
    let checked = |(name, raw): &(String, raw::Argument)| {
        argument(name, raw, targets).map_err(|wrong| wrong.about(&format!("argument \"{name}\"")).within(name.as_str()))
    };
    let arguments = raw.0.iter().map(checked).collect::<Result<Vec<_>, _>>()?;
    context::once_each(&arguments)?;
    Ok(arguments)
}

fn argument(name: &str, raw: &raw::Argument, targets: &Targets) -> Result<Argument, Wrong> {
    if !is_word(name) || name.starts_with('-') {
        return Err(Wrong::new("this cannot be its name", "use 1 to 64 letters, digits, - and _"));
    }
    let kind = kind::kind(raw, targets)?;
    if let Some(text) = &raw.description {
        settings::visible("description", text)?;
    }
    let mut argument = Argument {
        name: name.to_owned(),
        kind,
        required: raw.required,
        default: None,
        description: raw.description.clone(),
        sensitive: raw.sensitive,
        allow: allow(&raw.allow).map_err(|wrong| wrong.within("allow"))?,
        context: context::check(raw).map_err(|wrong| wrong.within("context"))?,
        narrows: raw.kind == kind::TARGET,
    };
    if let Some(raw::Scalar(text)) = &raw.default {
        if raw.required {
            return Err(Wrong::new("it is required and has a default", "remove one of the two").within("default"));
        }
        let value = argument::check(&argument, text).map_err(|mismatch| {
            Wrong::new(format!("its default \"{text}\" {mismatch}"), "correct the default or the schema")
                .within("default")
        })?;
        argument.default = Some(value);
    }
    Ok(argument)
}

fn allow(words: &[String]) -> Result<Allow, Wrong> {
    let mut allow = Allow::default();
    for (i, word) in words.iter().enumerate() {
        match word.as_str() {
            "look-alikes" => allow.look_alikes = true,
            "leading-dash" => allow.leading_dash = true,
            "invisible" => allow.invisible = true,
            "decomposed" => allow.decomposed = true,
            other => {
                let known = ["look-alikes", "leading-dash", "invisible", "decomposed"];
                return Err(not_one_of("nothing is called", other, &known).within(i));
            }
        }
    }
    Ok(allow)
}

pub(super) fn is_word(name: &str) -> bool {
    name.parse::<bartizan_proto::ids::ScriptName>().is_ok()
}

/// 32 bytes from 64 hex digits.
fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}
