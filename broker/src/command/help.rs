//! `help [NAME]`: what this person may run in this place, and nothing else.

use super::Builtin;
use crate::argument;
use crate::config::{Script, Step};
use crate::gate::{allowlist, channel, permission};
use crate::policy::{Place, Policy, Requester};
use crate::words;
use bartizan_proto::text::{code, escape};

/// The list.
pub fn all(requester: &Requester, place: &Place, policy: &Policy) -> String {
    let prefix = &policy.config.bot.prefix;
    let mut out = String::from("**What you can run here**\n");
    let mut elsewhere = 0;
    for script in policy.config.allowlist.iter().filter(|script| permission::may(script, requester, policy)) {
        if channel::may(script, place, policy) {
            let usage = code(&format!("{prefix}{}", argument::usage(script)));
            out.push_str(&format!("- {usage}{}\n", described(script)));
        } else {
            elsewhere += 1;
        }
    }
    let level = policy.level(requester);
    let offered = |builtin: &Builtin| *builtin != Builtin::Secret || policy.config.brain.by_direct_message;
    for builtin in Builtin::ALL.into_iter().filter(|builtin| builtin.level() <= level && offered(builtin)) {
        let usage = code(&format!("{prefix}{}{}", builtin.name(), builtin.usage()));
        out.push_str(&format!("- {usage}: {}\n", builtin.description()));
    }
    if elsewhere > 0 {
        let noun = if elsewhere == 1 { "script runs" } else { "scripts run" };
        out.push_str(&format!("{elsewhere} more {noun} in other places.\n"));
    }
    out
}

/// One command; what this person may not run is as unknown as what does not exist.
pub fn one(name: &str, requester: &Requester, place: &Place, policy: &Policy) -> String {
    let prefix = &policy.config.bot.prefix;
    let name = name.strip_prefix(prefix.as_str()).unwrap_or(name);
    if let Some(builtin) = Builtin::named(name).filter(|builtin| builtin.level() <= policy.level(requester)) {
        let usage = code(&format!("{prefix}{}{}", builtin.name(), builtin.usage()));
        return format!("{usage}: {}", builtin.description());
    }
    let mine = |script: &&Script| permission::may(script, requester, policy);
    let Some(script) = name.parse().ok().and_then(|name| policy.config.allowlist.get(&name)).filter(mine) else {
        let refusal = allowlist::unknown(name, requester, policy);
        return refusal.words(prefix).unwrap_or_default();
    };
    let mut out = format!("{}{}\n", code(&format!("{prefix}{}", argument::usage(script))), described(script));
    for argument in &script.arguments {
        out.push_str(&format!("- {}\n", described_argument(argument)));
    }
    if let Some(place) = script.place(&[]) {
        out.push_str(&format!("Runs by {}.", escape(&place)));
        if script.backend.checks() {
            let dry = code(&format!("{prefix}{} {}", Builtin::DryRun.name(), script.name));
            out.push_str(&format!(" {dry} shows what it would change."));
        }
        out.push('\n');
    }
    let known = |step: &Step| policy.config.allowlist.get(&step.script).is_some_and(|script| mine(&script));
    for (when, step) in script.steps.told().filter(|(_, step)| known(step)) {
        out.push_str(&format!("- {when}: {}\n", code(&step.written)));
    }
    if !channel::may(script, place, policy) {
        out.push_str(&words::not_here(script.name.as_str(), &channel::wanted(script, policy)));
    }
    out
}

/// One argument, as its line in the help of one command.
fn described_argument(argument: &crate::config::Argument) -> String {
    let what = argument.description.as_deref().map(|text| format!(": {}", escape(text))).unwrap_or_default();
    let default = argument.default.as_deref().map(|text| format!(" (default {})", code(text))).unwrap_or_default();
    let need = if argument.required { "" } else { ", optional" };
    format!("{}{need}{what}{default}", code(&argument.name))
}

fn described(script: &Script) -> String {
    if script.description.is_empty() { String::new() } else { format!(": {}", escape(&script.description)) }
}
