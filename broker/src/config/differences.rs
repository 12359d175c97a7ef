//! What a reload would change, in words: both configurations written out as `key: value`, and compared.

use super::{Argument, Backend, Config, Group, Kind, Rate, Script};
use bartizan_proto::text::printable;
use bartizan_proto::worker::Profile;
use std::collections::BTreeMap;
use std::fmt::Display;

type Flat = BTreeMap<String, String>;

impl Config {
    /// One line for each thing that is different in `new`, by key; none when nothing is. Lines are safe for a terminal.
    pub fn differences(&self, new: &Config) -> Vec<String> {
        let (old, new) = (flat(self), flat(new));
        let mut lines = Vec::new();
        for (key, before) in &old {
            match new.get(key) {
                None => lines.push(format!("{key}: removed (was {before})")),
                Some(after) if after != before => lines.push(format!("{key}: {before} → {after}")),
                Some(_) => {}
            }
        }
        for (key, after) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
            lines.push(format!("{key}: added ({after})"));
        }
        lines.sort();
        lines.iter().map(|line| printable(line)).collect()
    }
}

fn flat(config: &Config) -> Flat {
    let mut out = Flat::new();
    let mut put = |key: &str, value: &dyn Display| out.insert(key.to_owned(), value.to_string());
    put("service.production", &config.production);
    put("server.url", &config.server.url);
    put("server.team", &config.server.team);
    if let Some(path) = &config.server.ca_file {
        put("server.ca-file", &path.display());
    }
    if let Some(proxy) = &config.server.proxy {
        put("server.proxy", proxy);
    }
    if let Some((certificate, key)) = &config.server.client {
        put("server.client-certificate", &certificate.display());
        put("server.client-key", &key.display());
    }
    put("server.channels", &config.server.channels.as_ref().map_or("every channel".to_owned(), |list| list.join(", ")));
    if let Some(path) = &config.bot.token_file {
        put("bot.token-file", &path.display());
    }
    put("brain.key", &config.brain.key);
    put("brain.secrets-by-direct-message", &config.brain.by_direct_message);
    put("bot.prefix", &config.bot.prefix);
    put("state.directory", &config.state.display());
    put("control.directory", &config.control.display());
    put("control.operators", &config.operators.as_deref().unwrap_or("root alone"));
    put("control.read-directory", &config.read.display());
    put("control.readers", &config.readers.as_deref().unwrap_or("the operators alone"));
    put("scripts.allowlist", &config.allowlist_path.display());
    put("alerts.channel", &config.alerts.as_deref().unwrap_or("direct messages to the admins"));
    put("alerts.jobs-channel", &config.job_notices.as_deref().unwrap_or("the same"));
    put("audit.checkpoint-channel", &config.checkpoints.as_deref().unwrap_or("nowhere"));
    put("approval.channel", &config.approvals.channel.as_deref().unwrap_or("direct messages to those who may approve"));
    put("approval.expires-after", &format!("{:?}", config.approvals.expires_after));
    put("elevation.window", &format!("{:?}", config.elevation.window));
    put("elevation.window-kind", &if config.elevation.idle { "idle" } else { "absolute" });
    put("elevation.enrol-by-direct-message", &config.elevation.by_direct_message);
    for (name, accounts) in &config.identities {
        put(&format!("identities.{name}"), &accounts.join(", "));
    }
    put("limits.output", &config.limits.output);
    put("limits.attachment", &config.limits.attachment);
    put("limits.jobs", &config.limits.jobs);
    put("limits.jobs-per-user", &config.limits.jobs_per_user);
    put("limits.stale-after", &format!("{:?}", config.limits.stale_after));
    put("limits.answer-within", &format!("{:?}", config.limits.answer_within));
    put("limits.history", &config.limits.history);
    put("limits.drain", &format!("{:?}", config.limits.drain));
    put("limits.shutdown-grace", &format!("{:?}", config.limits.shutdown_grace));
    put("sandbox.require", &format!("{:?}", config.require));
    if let Some(path) = &config.scratch {
        put("sandbox.scratch-directory", &path.display());
    }
    for (name, level) in &config.people {
        put(&format!("people.{name}"), level);
    }
    for (name, listed) in &config.people_file {
        put(&format!("people.toml.{name}"), &format!("{}, flags {}", listed.level, list(&listed.flags, "none")));
    }
    for (name, group) in &config.groups {
        let members = match group {
            Group::Members(members) => members.join(", "),
            Group::Mattermost(theirs) => format!("the server's {theirs}"),
        };
        put(&format!("groups.{name}"), &members);
    }
    put("rate.user", &rate(config.rates.user));
    put("rate.channel", &rate(config.rates.channel));
    put("rate.script", &rate(config.rates.script));
    put("rate.thread-replies", &rate(config.rates.thread_replies));
    put("rate.channel-replies", &rate(config.rates.channel_replies));
    for (name, target) in &config.targets.targets {
        let key = target.key.as_ref().map_or("none".to_owned(), ToString::to_string);
        let keys = target.host_keys.join(", ");
        put(
            &format!("target.{name}"),
            &format!("{}@{}:{}, key {key}, host keys {keys}", target.user, target.host, target.port),
        );
    }
    for (name, members) in &config.targets.groups {
        put(&format!("target-groups.{name}"), &members.join(", "));
    }
    put("ansible.program", &config.ansible.display());
    put("slurm", &config.cluster.as_ref().map_or("none".to_owned(), |cluster| format!("{cluster:?}")));
    for (name, profile) in &config.profiles {
        put(&format!("profiles.{name}"), &words(profile));
    }
    for script in config.allowlist.iter() {
        put_script(&mut out, "scripts", script);
    }
    for script in config.allowlist.authorizers() {
        put_script(&mut out, "authorizers", script);
    }
    for script in config.allowlist.elevators() {
        put_script(&mut out, "elevators", script);
    }
    for trigger in config.allowlist.triggers() {
        let words =
            format!("{:?} in {}, {} begins {}", trigger.source, trigger.channel, trigger.pattern, trigger.script);
        out.insert(format!("triggers.{}", trigger.name), words);
    }
    for schedule in config.allowlist.schedules() {
        let channel = &schedule.channel;
        let words = format!(
            "{} in {channel}, {} ({}), missed: {}",
            schedule.line,
            schedule.rule,
            schedule.zone_name,
            schedule.missed.as_str()
        );
        out.insert(format!("schedules.{}", schedule.name), words);
    }
    out
}

fn rate(rate: Option<Rate>) -> String {
    rate.map_or("none".to_owned(), |rate| rate.to_string())
}

fn put_script(out: &mut Flat, kind: &str, script: &Script) {
    let base = format!("{kind}.{}", script.name);
    let mut put = |key: &str, value: &dyn Display| out.insert(format!("{base}.{key}"), value.to_string());
    put("path", &script.path.display());
    put("description", &script.description);
    put("required-permission", &script.level);
    put("required-flags", &list(&script.required_flags, "none"));
    put("allowed-channels", &list(&script.channels, "every channel"));
    put("private-only", &script.private_only);
    put("direct-only", &script.direct_only);
    put("allowed-users", &list(&script.users, "everybody"));
    put("allowed-groups", &list(&script.groups, "everybody"));
    put("authorizer", &script.authorizer.as_ref().map_or("none".to_owned(), ToString::to_string));
    put("authorizer-group", &script.authorizer_group);
    put("elevator", &script.elevator.as_ref().map_or("none".to_owned(), ToString::to_string));
    put("elevate", &script.elevate.map_or("never".to_owned(), |elevate| elevate.to_string()));
    put("approvals", &script.approval.as_ref().map_or("none".to_owned(), ToString::to_string));
    put("rate", &rate(script.rate));
    put("timeout", &format!("{:?}", script.timeout));
    put("warn-after", &script.warn_after.map_or("never".to_owned(), |after| format!("{after:?}")));
    put("concurrency", &script.concurrency.map_or("unlimited".to_owned(), |most| most.to_string()));
    put("exclusive", &script.exclusive.as_deref().unwrap_or("no"));
    put("when-busy", &if script.refused_when_busy { "refuse" } else { "queue" });
    put("async", &script.is_async);
    put("idempotent", &script.idempotent);
    put("profile", &words(&script.profile));
    if let Some(sha256) = &script.sha256 {
        put("sha256", &sha256.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
    put("backend", &script.backend.name());
    if script.backend != Backend::Local {
        put(script.backend.name(), &format!("{:?}", script.backend));
        put("targets", &list(script.targets.names(), "none"));
    }
    for (i, attached) in script.secrets.iter().enumerate() {
        let variable = attached.variable.as_ref().map_or(String::new(), |name| format!(" as ${name}"));
        put(&format!("secrets.{}", i + 1), &format!("{}{variable}", attached.name));
    }
    put("api", &list(&script.api, "none"));
    // Order counts: it is the order in which the script gets them.
    for (i, argument) in script.arguments.iter().enumerate() {
        put(&format!("arguments.{}", i + 1), &schema(argument));
    }
}

fn list<T: Display>(items: impl IntoIterator<Item = T>, none: &str) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { none.to_owned() } else { items.join(", ") }
}

fn schema(argument: &Argument) -> String {
    let kind = match &argument.kind {
        Kind::Text { regex, length } => {
            let regex = regex.as_ref().map_or(String::new(), |regex| format!(" matching {regex}"));
            let length = length.map_or(String::new(), |length| format!(" up to {length} characters"));
            format!("string{regex}{length}")
        }
        Kind::Number { min, max } => format!(
            "number{}{}",
            min.map_or(String::new(), |min| format!(" from {min}")),
            max.map_or(String::new(), |max| format!(" to {max}"))
        ),
        Kind::Boolean => "boolean".to_owned(),
        Kind::Enum(values) => format!("one of {}", values.join(", ")),
    };
    let need = match &argument.default {
        Some(default) => format!(", default {default}"),
        None if argument.required => ", required".to_owned(),
        None => String::new(),
    };
    let sensitive = if argument.sensitive { ", sensitive" } else { "" };
    let description = argument.description.as_ref().map_or(String::new(), |text| format!(" ({text})"));
    let allow =
        if argument.allow == super::Allow::default() { String::new() } else { format!(", {:?}", argument.allow) };
    let context = argument.context.as_ref().map_or(String::new(), |context| format!(", context {context}"));
    format!("{}: {kind}{need}{sensitive}{allow}{context}{description}", argument.name)
}

fn words(profile: &Profile) -> String {
    let paths = |name: &str, paths: &[bartizan_proto::Text<{ bartizan_proto::limits::MAX_PATH }>]| {
        format!("{name} {}", if paths.is_empty() { "nothing".to_owned() } else { joined(paths.iter()) })
    };
    let hosts = joined(profile.network.iter().map(|to| format!("{}:{}", to.host, to.port)));
    let limits = profile.limits;
    format!(
        "{}, {}, {}, network {}, memory {}, cpu {} s, processes {}, files {}, file-size {}, scratch {}",
        paths("read", &profile.read),
        paths("write", &profile.write),
        paths("exec", &profile.exec),
        if hosts.is_empty() { "none" } else { &hosts },
        limits.memory,
        limits.cpu,
        limits.processes,
        limits.files,
        limits.file_size,
        limits.scratch
    )
}

fn joined(items: impl Iterator<Item = impl Display>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(" ")
}
