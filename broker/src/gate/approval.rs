//! Do others agree? What is agreed to, who may agree, and whether enough do, also now that it is to start.
//!
//! A digest stands for what is agreed to: the command's post, who asks and where, the script's file and its arguments, what the
//! sandbox grants. It is made when the request is written and again when the script starts, from what would run then.

use super::{Cause, Refusal, Verdict};
use crate::approvals::{Pending, Voter};
use crate::argument::Value;
use crate::audit::hex;
use crate::config::{Approval, Backend, Script};
use crate::policy::{Policy, Requester};
use crate::words;
use bartizan_audit::PersonSignature;
use bartizan_proto::ids::{PostId, UserId};
use sha2::{Digest as _, Sha256};

/// What is agreed to, as SHA-256 in hexadecimal. Every part has its length before it: no two commands have one digest.
pub fn digest(post: PostId, user: UserId, script: &Script, values: &[Value], sha256: &str) -> String {
    let mut hash = Sha256::new();
    let mut put = |part: &[u8]| {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    };
    put(b"bartizan approval 1");
    for part in [post.as_str(), user.as_str(), script.name.as_str(), sha256, &script.path.display().to_string()] {
        put(part.as_bytes());
    }
    put(serde_json::to_string(&script.profile).unwrap_or_default().as_bytes());
    put(format!("{:?}", script.timeout).as_bytes());
    for secret in &script.secrets {
        put(secret.name.to_string().as_bytes());
        put(secret.variable.as_deref().unwrap_or_default().as_bytes());
    }
    if script.backend != Backend::Local {
        put(format!("{:?} {:?}", script.backend, script.targets.narrowed(&script.arguments, values)).as_bytes());
    }
    put(b"arguments");
    for value in values {
        put(value.name.as_bytes());
        put(value.text.as_bytes());
    }
    hex(&hash.finalize())
}

/// What an approval is needed for, where one is.
pub fn wanted<'s>(script: &'s Script, values: &[Value]) -> Option<&'s Approval> {
    script.approval.as_ref().filter(|approval| approval.is_needed(values))
}

/// Whether this person may approve what that one asks for; why not, in a sentence.
pub fn may(approval: &Approval, voter: &Voter, asker: UserId, policy: &Policy) -> Result<(), &'static str> {
    if policy.people.ban(voter.user, policy.now_ms()).is_some() {
        return Err("you are banned");
    }
    if voter.user == asker && !approval.own {
        return Err("you cannot approve what you ask for yourself");
    }
    if voter.user != asker && policy.same_person(voter.user, asker) {
        return Err("you and the one who asks are one person");
    }
    let requester = Requester { user: voter.user, name: voter.name.clone(), restricted: voter.restricted };
    let level = approval.level.is_some_and(|level| policy.level(&requester) >= level);
    let flag = approval.flags.iter().any(|flag| policy.has_flag(&requester, flag));
    let member = |group: &String| policy.groups.get(group).is_some_and(|members| members.contains(&voter.user));
    if level || flag || approval.groups.iter().any(member) {
        return Ok(());
    }
    Err("you are not among those who may approve this")
}

/// Whether what this person gave counts as their yes; why not, in a sentence. Where signatures are asked for, nothing that was
/// said in chat does: neither the server nor the connector can make one.
pub fn signed(approval: &Approval, voter: &Voter, pending: &Pending, policy: &Policy) -> Result<(), String> {
    if !approval.signed {
        return Ok(());
    }
    let Some(given) = &voter.signature else { return Err(words::approvals::only_signed(pending.id)) };
    let signature = PersonSignature::read(given).map_err(|error| error.to_string())?;
    match policy.people.keys.owner(signature.key()) {
        None => return Err("that key is not registered for anybody".to_owned()),
        Some(owner) if owner != voter.user => return Err("that key is not registered for you".to_owned()),
        Some(_) => {}
    }
    // Nothing is signed by a signature of nothing.
    if pending.statement.is_empty() || !signature.signs(&pending.statement) {
        return Err("that is not a signature of this request: sign all of its block, as it is".to_owned());
    }
    Ok(())
}

/// How many people agree who may do so now, every person counted once.
pub fn agreeing(approval: &Approval, pending: &Pending, policy: &Policy) -> usize {
    let mut counted: Vec<UserId> = Vec::new();
    let counts = |voter: &&Voter| {
        may(approval, voter, pending.intent.user, policy).is_ok() && signed(approval, voter, pending, policy).is_ok()
    };
    for voter in pending.voters.iter().filter(counts) {
        if counted.iter().all(|known| !policy.same_person(*known, voter.user)) {
            counted.push(voter.user);
        }
    }
    counted.len()
}

/// The last look, at what would start now.
pub fn check(
    script: &Script,
    values: &[Value],
    (post, user): (PostId, UserId),
    sha256: &str,
    policy: &Policy,
    (approved, glass): (Option<&Pending>, Option<UserId>),
) -> Verdict {
    let Some(approval) = wanted(script, values) else { return Verdict::Pass(()) };
    // Break-glass: this person alone, for this command, where the script still allows it.
    if approval.glass && glass == Some(user) {
        return Verdict::Pass(());
    }
    let refuse = |why: &str, cause: String| Verdict::Refuse(Refusal::Denied(why.to_owned()), Cause(cause));
    let Some(approved) = approved.filter(|approved| approved.intent.post == post && approved.intent.user == user)
    else {
        return refuse("it needs an approval, and nobody approved it", format!("{} was not approved", script.name));
    };
    let now = digest(post, user, script, values, sha256);
    if approved.digest != now {
        let cause = format!("{} was approved as {}, and would run as {now}", approved.id, approved.digest);
        return refuse("what was approved is not what would run now; ask again", cause);
    }
    let agreeing = agreeing(approval, approved, policy);
    if agreeing < usize::from(approval.count) {
        let cause = format!("{}: {agreeing} of {} who may approve it now did", approved.id, approval.count);
        return refuse("those who approved it may not do so any more; ask again", cause);
    }
    Verdict::Pass(())
}
