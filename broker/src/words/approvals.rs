//! What chat sees of approvals.

use super::{rough, time};
use crate::approvals::{End, Pending};
use crate::argument::Value;
use crate::config::{Approval, Script};
use bartizan_audit::NAMESPACE;
use bartizan_proto::text::{code, escape, fence, is_hidden};
use std::time::Duration;

/// The reaction that approves.
pub const APPROVE: &str = "white_check_mark";
/// The reactions that deny.
pub const DENY: [&str; 2] = ["x", "no_entry"];

/// Where the request's script would run, and as what.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The script as the allowlist has it.
    pub script: &'a Script,
    /// What it asks for.
    pub approval: &'a Approval,
    /// Its arguments; a sensitive one's text is its keyed hash already.
    pub values: &'a [Value],
    /// SHA-256 of its file.
    pub sha256: &'a str,
    /// This machine.
    pub host: &'a str,
    /// How long it waits.
    pub wait: Duration,
    /// What commands begin with.
    pub prefix: &'a str,
}

/// The post that is approved by reacting to it.
pub fn request(pending: &Pending, shown: &Shown<'_>) -> String {
    let id = pending.id;
    let with = arguments(shown);
    let own = if shown.approval.own { "" } else { ", not the one who asks" };
    if shown.approval.signed {
        return format!(
            ":lock: `approve {id}`? {asker} asks to run **{name}**\n\
             {count} needed of {who}{own}, each a signature of what follows: `bartizan approve {id} --key FILE`, or \
             `ssh-keygen -Y sign -n {NAMESPACE} -f FILE`. Send me what it prints: `approve {id} SIGNATURE`. \
             :no_entry: or `{prefix}deny {id} REASON` denies. Expires in {wait}.\n\
             {statement}",
            asker = code(&pending.intent.user_name),
            name = escape(&pending.intent.title()),
            count = approvals(shown.approval.count.into()),
            who = who(shown.approval),
            wait = rough(shown.wait),
            statement = fence("", &pending.statement),
            prefix = shown.prefix,
        );
    }
    format!(
        ":lock: `approve {id}`? {asker} asks to run **{name}** with {with}\n\
         :white_check_mark: or `{prefix}approve {id}` approves, :no_entry: or `{prefix}deny {id} REASON` denies. \
         {count} needed of {who}{own}. Expires in {wait}, at {at}.\n\
         {facts}",
        prefix = shown.prefix,
        asker = code(&pending.intent.user_name),
        name = escape(&pending.intent.title()),
        count = approvals(shown.approval.count.into()),
        who = who(shown.approval),
        wait = rough(shown.wait),
        at = time(pending.expires_ms),
        facts = facts(pending, shown),
    )
}

/// What was asked for, as it is told from its end on.
pub fn story(pending: &Pending, shown: &Shown<'_>) -> String {
    let asked = format!("{} asked to run **{}**", code(&pending.intent.user_name), escape(&pending.intent.title()));
    if shown.approval.signed {
        return format!("{asked}\n{}", fence("", &pending.statement));
    }
    format!("{asked} with {}\n{}", arguments(shown), facts(pending, shown))
}

/// The request's post from its end on.
pub fn closed(pending: &Pending, end: End, ended: &str, story: &str) -> String {
    let (emoji, ended) = match end {
        End::Approved => {
            let names: Vec<String> = pending.voters.iter().map(|voter| code(&voter.name)).collect();
            let name = escape(&pending.intent.title());
            let id = code(&pending.id.to_string());
            ("white_check_mark", format!("{id} was approved by {}; **{name}** runs.", names.join(" and ")))
        }
        End::Denied => ("no_entry", ended.to_owned()),
        End::Expired => ("hourglass", ended.to_owned()),
        End::Withdrawn => ("leftwards_arrow_with_hook", ended.to_owned()),
        End::Voided => ("wastebasket", ended.to_owned()),
    };
    format!(":{emoji}: {ended}\n{story}")
}

/// The arguments, or that there are none.
fn arguments(shown: &Shown<'_>) -> String {
    let arguments: Vec<String> =
        shown.values.iter().map(|value| format!("{}={}", escape(&value.name), code(&value.text))).collect();
    if arguments.is_empty() { "no arguments".to_owned() } else { arguments.join(" ") }
}

/// What an approver has to know besides.
fn facts(pending: &Pending, shown: &Shown<'_>) -> String {
    format!(
        "On {host}; sandbox: {grants}\n\
         Script SHA-256 {sha}; digest of all of this {digest}",
        host = code(shown.host),
        grants = grants(shown, code),
        sha = code(shown.sha256),
        digest = code(short(&pending.digest)),
    )
}

/// What is signed outside of chat: everything that an approver has to know, in one way to write it. It is shown as it is, so that
/// what was signed is what was seen, whoever may have changed the post.
pub fn statement(pending: &Pending, shown: &Shown<'_>) -> String {
    let Pending { id, intent, digest, host_expires_ms, .. } = pending;
    let mut lines = vec![
        format!("bartizan approval {id}"),
        format!("asked by {} ({}), post {}", quoted(&intent.user_name), intent.user, intent.post),
        format!("script {}, SHA-256 {}", intent.title(), shown.sha256),
    ];
    lines.extend(shown.values.iter().map(|value| format!("argument {} = {}", value.name, quoted(&value.text))));
    lines.push(format!("on {}; sandbox: {}", quoted(shown.host), grants(shown, quoted)));
    lines.push(format!("expires {} ({host_expires_ms})", time(*host_expires_ms)));
    lines.push(format!("digest {digest}"));
    lines.join("\n")
}

/// In quotes, on one line, and without a character that is not seen.
fn quoted(text: &str) -> String {
    let shown = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if is_hidden(c) || (c.is_whitespace() && c != ' ') => c.escape_unicode().to_string(),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(shown).collect::<String>())
}

/// To the admins.
pub fn alert_key_added(name: &str, fingerprint: &str) -> String {
    format!("On the host, a key was registered that {name} can sign approvals with: {fingerprint}")
}

/// To the admins.
pub fn alert_key_removed(name: &str, fingerprint: &str) -> String {
    format!("On the host, a key was taken away that {name} could sign approvals with: {fingerprint}")
}

/// Why a yes that was said in chat does not count.
pub fn only_signed(id: crate::approvals::ApprovalId) -> String {
    format!(
        "only a signature counts as a yes to {id}: give the block of the request to bartizan approve {id} --key FILE on your own \
         machine, and send me what that prints"
    )
}

/// A digest for people to compare.
pub fn short(digest: &str) -> &str {
    digest.get(..16).unwrap_or(digest)
}

/// To who asked in a direct message.
pub fn asked(pending: &Pending) -> String {
    format!(
        "This needs an approval. I asked those who may give it, as {}; digest {}. `!withdraw {}` takes it back.",
        code(&pending.id.to_string()),
        code(short(&pending.digest)),
        pending.id
    )
}

/// After a yes that is not the last one.
pub fn counted(pending: &Pending, agreeing: usize, needed: u8) -> String {
    format!("{} has {agreeing} of {}.", code(&pending.id.to_string()), approvals(needed.into()))
}

/// After a yes that was given before.
pub fn again(id: crate::approvals::ApprovalId) -> String {
    format!("You approved {} already.", code(&id.to_string()))
}

/// How it ended, for who asked and for who decided.
pub fn ended(pending: &Pending, end: End, by: Option<&str>, reason: &str) -> String {
    let id = code(&pending.id.to_string());
    let by = by.map_or(String::new(), |name| format!(" by {}", code(name)));
    let reason = if reason.is_empty() { String::new() } else { format!(": {}", escape(reason)) };
    let name = escape(&pending.intent.title());
    match end {
        End::Approved => format!("{id} was approved{by}; **{name}** runs."),
        End::Denied => format!("{id} was denied{by}{reason}. **{name}** was not run."),
        End::Expired => format!("{id} has expired: nobody approved it in time. **{name}** was not run."),
        End::Withdrawn => format!("{id} was withdrawn{by}. **{name}** was not run."),
        End::Voided => format!("{id} is void{reason}. **{name}** was not run; ask again if it is still wanted."),
    }
}

/// After a restart.
pub fn still_waiting(pending: &Pending) -> String {
    let id = pending.id;
    format!("I was restarted. {} still waits for approval, until {}.", code(&id.to_string()), time(pending.expires_ms))
}

/// The list of those that wait.
pub fn list(pending: &[&Pending]) -> String {
    if pending.is_empty() {
        return "Nothing waits for an approval of yours, and nothing of yours waits for one.".to_owned();
    }
    let line = |pending: &&Pending| {
        format!(
            "- {}: {} asks for **{}**, until {}; {} so far",
            code(&pending.id.to_string()),
            code(&pending.intent.user_name),
            escape(&pending.intent.title()),
            time(pending.expires_ms),
            approvals(pending.voters.len())
        )
    };
    pending.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn approvals(count: usize) -> String {
    if count == 1 { "1 approval".to_owned() } else { format!("{count} approvals") }
}

/// Who may approve.
fn who(approval: &Approval) -> String {
    let level = approval.level.map(|level| format!("level {level}"));
    let flags = approval.flags.iter().map(|flag| format!("flag {}", code(flag.as_str())));
    let groups = approval.groups.iter().map(|group| format!("group {}", code(group)));
    level.into_iter().chain(flags).chain(groups).collect::<Vec<_>>().join(" or ")
}

/// What the sandbox lets it have beside the system's programs.
fn grants(shown: &Shown<'_>, code: fn(&str) -> String) -> String {
    let script = shown.script;
    let profile = &script.profile;
    let paths = |what: &str, paths: Vec<&str>| {
        let paths: Vec<String> = paths.into_iter().map(code).collect();
        (!paths.is_empty()).then(|| format!("{what} {}", paths.join(" ")))
    };
    let network: Vec<String> = profile.network.iter().map(|to| code(&format!("{}:{}", to.host, to.port))).collect();
    let secrets: Vec<String> = script.secrets.iter().map(|secret| code(&secret.name.to_string())).collect();
    let parts = [
        script.place(shown.values).map(|place| format!("run by {}", code(&place))),
        paths("reads", profile.read.iter().map(|path| path.as_str()).collect()),
        paths("writes", profile.write.iter().map(|path| path.as_str()).collect()),
        paths("executes", profile.exec.iter().map(|path| path.as_str()).collect()),
        Some(if network.is_empty() { "no network".to_owned() } else { format!("connects to {}", network.join(" ")) }),
        (!secrets.is_empty()).then(|| format!("is given the secrets {}", secrets.join(" "))),
        Some(format!("at most {}", rough(script.timeout))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
