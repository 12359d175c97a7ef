//! `[[triggers]]` of the allowlist: posts of exactly one account, in exactly one channel, that match a pattern, begin a script,
//! on behalf of nobody. What the pattern captures becomes the script's arguments, and has to fit its schema.

use super::error::Wrong;
use super::{Allowlist, Script, nearest, raw_triggers as raw, settings};
use bartizan_proto::ids::{ChannelId, ScriptName};
use regex::{Regex, RegexBuilder};

/// Most triggers of one allowlist.
pub(super) const MOST: usize = 64;

/// Most bytes of a pattern, and of it when compiled.
const LONGEST: usize = 4096;
const MAX_COMPILED: usize = 1 << 20;

/// What posts of one account in one channel begin.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// `name`.
    pub name: ScriptName,
    /// Whose posts.
    pub source: Source,
    /// `channel`, by name or id.
    pub channel: String,
    /// `pattern`: may match anywhere in the text, as it is written; linear time.
    pub pattern: Regex,
    /// `script`.
    pub script: ScriptName,
}

/// Whose posts count: by id, or by a name, which means the account that had it when it was first looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `user`: what the account itself writes, a person's or a bot's; nothing of its webhooks.
    Account(String),
    /// `webhook-of`: what incoming webhooks write that this account made; nothing that it writes itself.
    WebhookOf(String),
}

impl Source {
    /// The account's id or name.
    pub fn account(&self) -> &str {
        match self {
            Source::Account(user) | Source::WebhookOf(user) => user,
        }
    }
}

impl Trigger {
    /// The command line that a text makes of it, as it would be written in chat; `None` where the text does not match. What is
    /// captured under a name becomes the argument of that name; what is not captured is left out.
    pub fn command(&self, text: &str) -> Option<String> {
        let captures = self.pattern.captures(text)?;
        let mut line = self.script.to_string();
        for name in self.pattern.capture_names().flatten() {
            if let Some(value) = captures.name(name) {
                let name = name.replace('_', "-");
                line.push_str(&format!(" --{name} {}", quoted(value.as_str())));
            }
        }
        Some(line)
    }
}

/// A value in quotes in which nothing means anything: whatever was captured stays one word.
fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Checks one.
pub(super) fn check(raw: &raw::Trigger, allowlist: &Allowlist) -> Result<Trigger, Wrong> {
    let name = raw.name.parse().map_err(|_| {
        let what = format!("\"{}\" is not a trigger's name", raw.name);
        Wrong::new(what, "use 1 to 64 letters, digits, - and _").within("name")
    })?;
    rest(raw, name, allowlist).map_err(|wrong| wrong.about(&format!("trigger \"{}\"", raw.name)))
}

fn rest(raw: &raw::Trigger, name: ScriptName, allowlist: &Allowlist) -> Result<Trigger, Wrong> {
    let named =
        |key: &str, name: &str| settings::user(name).map(|()| name.to_owned()).map_err(|wrong| wrong.within(key));
    let source = match (&raw.user, &raw.webhook_of) {
        (Some(user), None) => Source::Account(named("user", user)?),
        (None, Some(user)) => Source::WebhookOf(named("webhook-of", user)?),
        _ => return Err(Wrong::new("it is to have one of user and webhook-of", "say whose posts count")),
    };
    settings::channels(std::slice::from_ref(&raw.channel)).map_err(|wrong| wrong.within("channel"))?;
    let pattern = match RegexBuilder::new(&raw.pattern).size_limit(MAX_COMPILED).build() {
        Ok(pattern) if raw.pattern.len() <= LONGEST && !raw.pattern.is_empty() => pattern,
        Ok(_) => return Err(Wrong::new("the pattern is empty or too long", "shorten it").within("pattern")),
        Err(error) => {
            let what = format!("the pattern is not valid: {}", error.to_string().lines().last().unwrap_or_default());
            return Err(Wrong::new(what, "correct it (syntax: docs.rs/regex)").within("pattern"));
        }
    };
    if pattern.is_match("") {
        let what = "the pattern matches an empty text, and with it every post";
        return Err(Wrong::new(what, "say what is in the posts that count").within("pattern"));
    }
    let script = raw.script.parse().ok().and_then(|name| allowlist.get(&name)).ok_or_else(|| {
        let remedy = match nearest(&raw.script, allowlist.iter().map(|script| script.name.as_str())) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "define it as [[scripts]] in this file".to_owned(),
        };
        Wrong::new(format!("there is no script \"{}\"", raw.script), remedy).within("script")
    })?;
    runs_alone(script, &raw.channel)?;
    for name in pattern.capture_names().flatten() {
        let name = name.replace('_', "-");
        if !script.arguments.iter().any(|argument| argument.name == name) {
            let what = format!("the pattern captures \"{name}\", and {} has no such argument", script.name);
            return Err(Wrong::new(what, "name captures like arguments, with _ for -").within("pattern"));
        }
    }
    let captured = |argument: &super::Argument| {
        pattern.capture_names().flatten().any(|name| name.replace('_', "-") == argument.name)
    };
    if let Some(missing) = script.arguments.iter().find(|argument| argument.required && !captured(argument)) {
        let what = format!("{} requires \"{}\", which the pattern does not capture", script.name, missing.name);
        return Err(Wrong::new(what, "capture it with (?P<NAME>…)").within("pattern"));
    }
    Ok(Trigger { name, source, channel: raw.channel.clone(), pattern, script: script.name.clone() })
}

/// Whether a script may run without anybody asking for it, as far as the file tells.
fn runs_alone(script: &Script, channel: &str) -> Result<(), Wrong> {
    let refused =
        |what: &str, remedy: &str| Err(Wrong::new(format!("{} {what}", script.name), remedy).within("script"));
    if script.authorizer.is_some() || script.approval.is_some() || script.elevate.is_some() || script.elevator.is_some()
    {
        let remedy = "use a script without authorizer, approvals and elevate";
        return refused("asks a person, and nobody asks for it here", remedy);
    }
    if script.direct_only {
        return refused("is for direct messages only", "use another script");
    }
    let is_id = channel.parse::<ChannelId>().is_ok();
    if !script.channels.is_empty() && !is_id && !script.channels.iter().any(|name| name == channel) {
        let what = format!("{} does not run in {channel}", script.name);
        return Err(Wrong::new(what, "use a channel of its allowed-channels").within("channel"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parse;
    use proptest::prelude::*;

    fn trigger(pattern: &str) -> Trigger {
        Trigger {
            name: "alert".parse().expect("a name"),
            source: Source::Account("robot".to_owned()),
            channel: "ops".to_owned(),
            pattern: Regex::new(pattern).expect("a pattern"),
            script: "restart".parse().expect("a name"),
        }
    }

    #[test]
    fn what_is_captured_becomes_an_argument_and_what_is_not_is_left_out() {
        let trigger = trigger(r"^FIRING (?P<the_service>\S+)(?: on (?P<host>\S+))?$");
        assert_eq!(trigger.command("FIRING web on a1").as_deref(), Some("restart --the-service \"web\" --host \"a1\""));
        assert_eq!(trigger.command("FIRING web").as_deref(), Some("restart --the-service \"web\""));
        assert_eq!(trigger.command("RESOLVED web"), None);
    }

    proptest! {
        /// Whatever somebody writes into an alert: it stays the value of that one argument.
        #[test]
        fn no_text_becomes_more_than_the_value_of_its_argument(text in "[ -~]{1,40}") {
            let line = trigger("(?s)^(?P<what>.*)$").command(&text).expect("it matches");
            let command = parse::command(&line).expect("readable").expect("a command");
            let words: Vec<&str> = command.words.iter().map(|word| word.text.as_str()).collect();
            prop_assert_eq!(command.name.as_str(), "restart");
            prop_assert_eq!(words, ["--what", text.as_str()]);
        }
    }
}
