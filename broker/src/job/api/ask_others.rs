//! `ask` with `--user`, `--direct` or `--channel`: somebody else, or somewhere else. It is a grant of its own (`ask-others`).
//!
//! Only who may run the script themselves is asked, and only in channels where it may be run: a script can neither have
//! somebody decide who has no say in it, nor speak where it has no business. Whom a name means is egress's word. The question is a
//! post of the core's own, which no connector can change, and says in the end what became of it.

use super::ask::Own;
use super::refused;
use crate::command::whom::Whom;
use crate::core::{Core, CoreError, Timer};
use crate::gate::permission;
use crate::policy::{Policy, Requester};
use crate::store::jobs::Actor;
use crate::words;
use bartizan_proto::egress::{AttestedUser, Target};
use bartizan_proto::ids::{ChannelId, JobId, PostId, ScriptName};
use bartizan_proto::script::{AskedIn, Call};
use bartizan_proto::text::escape;
use bartizan_proto::worker::CallId;

/// What the protected key of a question begins with.
const KEY: &str = "ask:";

/// Whether somebody may answer what a script asks elsewhere than in its job's thread.
pub(super) fn may_answer(script: &ScriptName, requester: &Requester, policy: &Policy) -> bool {
    policy.config.allowlist.get(script).is_some_and(|script| permission::may(script, requester, policy))
}

/// Where a question may be put.
fn target(policy: &Policy, script: &ScriptName, name: &str) -> Result<ChannelId, String> {
    let name = name.strip_prefix('#').unwrap_or(name);
    let entry = policy.config.allowlist.get(script).ok_or("the script is not on the allowlist any more")?;
    let known = policy.channels.get(name).copied();
    let channel = known.ok_or_else(|| format!("the configuration names no channel {name}, or the server has none"))?;
    let may = match entry.channels.as_slice() {
        [] => policy.is_ours(channel),
        named => named.iter().any(|named| policy.is_channel(named, channel)),
    };
    if may { Ok(channel) } else { Err(format!("{script} may not be run in {name}, and so asks nobody there")) }
}

impl Core {
    /// Begins to ask. `Err` is for the script.
    pub(super) fn ask_others(&mut self, job: JobId, call: CallId, what: Call) -> Result<Result<(), String>, CoreError> {
        let Call::Ask { user, place, anybody, .. } = &what else { return Ok(Err("not a question".to_owned())) };
        let (user, place, anybody) = (user.clone(), place.clone(), *anybody);
        let mut asked = match self.read_question(job, call, what) {
            Ok(asked) => asked,
            Err(why) => return Ok(Err(why)),
        };
        let (Some(policy), Some(entry)) = (&self.policy, self.jobs.all.get(&job)) else {
            return Ok(Err("there is no such job".to_owned()));
        };
        let intent = &entry.intent;
        let nobody = intent.actor != Actor::Person && user.is_none();
        asked.anybody = anybody || nobody;
        match (&place, &user) {
            (_, Some(_)) if anybody => return Ok(Err("one person or anybody is asked, not both".to_owned())),
            (AskedIn::Direct, _) if anybody => {
                return Ok(Err("nobody else reads a direct message: leave out --anybody".to_owned()));
            }
            (AskedIn::Direct, None) if nobody => return Ok(Err("nobody asked for this job: say --user".to_owned())),
            (AskedIn::Thread, Some(_)) if intent.direct => {
                return Ok(Err("this job's thread is a direct message: say --direct or --channel".to_owned()));
            }
            (AskedIn::Channel(name), _) => match target(policy, &intent.script, name) {
                Ok(channel) => (asked.direct, asked.thread) = (false, Some((channel, intent.root))),
                Err(why) => return Ok(Err(why)),
            },
            (AskedIn::Direct, None) if self.jobs.questions.is_asked_directly(intent.user, job) => {
                return Ok(Err(asked_already(&intent.user_name)));
            }
            (AskedIn::Direct, _) => asked.direct = true,
            (AskedIn::Thread, _) => {
                if self.jobs.questions.find(intent.channel, Some(intent.root), false).is_some() {
                    return Ok(Err("another job has a question open in this place; try again".to_owned()));
                }
            }
        }
        let whom = match user.as_deref().map(Whom::read) {
            Some(None) => return Ok(Err("--user takes a name or an id".to_owned())),
            Some(Some(whom)) => Some(whom),
            None => None,
        };
        let (asker, wait) = (intent.user_name.to_string(), asked.wait);
        // Where it will stand is known when it does.
        let goal = match place {
            AskedIn::Thread => asked.thread.map(|(channel, root)| (channel, Some(root))),
            AskedIn::Channel(_) => asked.thread.map(|(channel, _)| (channel, None)),
            AskedIn::Direct => None,
        };
        asked.thread = None;
        asked.own = Some(Own { post: None, head: String::new(), goal });
        self.jobs.questions.push(asked);
        self.timers.after(wait, Timer::Asked(job, call));
        match whom {
            Some(whom) => self.look_up_asked(whom, job, call)?,
            None => self.put_question(job, call, &asker)?,
        }
        Ok(Ok(()))
    }

    /// Egress says who is asked. `Err`: nobody, or no answer now.
    pub(crate) fn asked_is(
        &mut self,
        (job, call): (JobId, CallId),
        found: Result<&AttestedUser, String>,
    ) -> Result<(), CoreError> {
        let Some(at) = self.jobs.questions.at(job, Some(call)) else { return Ok(()) };
        let (Some(policy), Some(entry)) = (&self.policy, self.jobs.all.get(&job)) else { return Ok(()) };
        let script = entry.intent.script.clone();
        let may = found.and_then(|user| {
            let restricted = user.guest || user.remote;
            let requester = Requester { user: user.id, name: user.name.clone(), restricted };
            if user.bot || user.deactivated {
                return Err(format!("{} is a bot or a deactivated account", user.name));
            }
            match may_answer(&script, &requester, policy) {
                true => Ok((user.id, user.name.to_string())),
                false => Err(format!("{} may not run {script}, and so is not asked", user.name)),
            }
        });
        let (user, name) = match may {
            Ok(found) => found,
            Err(why) => return self.question_over(at, refused(why), words::ASKED_NO_MORE),
        };
        let taken = self.jobs.questions.is_asked_directly(user, job);
        let Some(question) = self.jobs.questions.of(job, call) else { return Ok(()) };
        if question.direct && taken {
            return self.question_over(at, refused(asked_already(&name)), words::ASKED_NO_MORE);
        }
        question.user = user;
        self.put_question(job, call, &name)
    }

    /// Has the question posted.
    fn put_question(&mut self, job: JobId, call: CallId, name: &str) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get(&job) else { return Ok(()) };
        let by = match entry.intent.actor {
            Actor::Person => Some(entry.intent.user_name.to_string()),
            Actor::Schedule(_) | Actor::Trigger(_) => None,
        };
        let script = escape(entry.intent.script.as_str());
        let Some(question) = self.jobs.questions.of(job, call) else { return Ok(()) };
        let Some(own) = &mut question.own else { return Ok(()) };
        let to = if question.anybody || question.direct { String::new() } else { words::addressed(name) };
        own.head = words::question_elsewhere(&to, &script, job, by.as_deref(), &question.text);
        let text = words::question(&own.head, "", &question.wanted, question.wait, question.direct);
        let (target, root) = match own.goal {
            Some((channel, root)) => (Target::Channel(channel), root),
            None => (Target::Direct(question.user), None),
        };
        self.write_protected(target, root, &format!("{KEY}{}:{}", job.0, call.0), &text)
    }

    /// A post of the core's own is on the server: is it a question?
    pub(crate) fn asked_elsewhere(&mut self, post: PostId, channel: ChannelId) -> Result<(), CoreError> {
        let Some((job, call)) = self.store.protected_key(post)?.as_deref().and_then(read_key) else { return Ok(()) };
        let question = self.jobs.questions.of(job, call);
        let Some((question, own)) = question.and_then(|question| {
            let own = question.own.as_mut()?;
            own.post = Some(post);
            let root = own.goal.and_then(|(_, root)| root).unwrap_or(post);
            question.thread = Some((channel, root));
            Some((question.job, root))
        }) else {
            // It ended before it stood there.
            return self.edit_protected(post, words::ASKED_NO_MORE);
        };
        tracing::debug!(job = question.0, thread = %own, "asked elsewhere");
        self.listen()
    }

    /// The server does not take it.
    pub(crate) fn not_asked_elsewhere(&mut self, key: &str, why: &str) -> Result<(), CoreError> {
        let Some((job, call)) = read_key(key) else { return Ok(()) };
        match self.jobs.questions.at(job, Some(call)) {
            Some(at) => self.question_over(at, refused(format!("the server does not take the question: {why}")), ""),
            None => Ok(()),
        }
    }
}

fn asked_already(name: &str) -> String {
    format!("{name} is asked something already; try again")
}

fn read_key(key: &str) -> Option<(JobId, CallId)> {
    let (job, call) = key.strip_prefix(KEY)?.split_once(':')?;
    Some((JobId(job.parse().ok()?), CallId(call.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_question_says_whose_it_is_and_no_other_key_does() {
        assert_eq!(read_key("ask:12:3"), Some((JobId(12), CallId(3))));
        for other in ["ask:12", "alert-12-3", "ask:x:3", "wanted:12:3", "ask:"] {
            assert_eq!(read_key(other), None, "{other}");
        }
    }
}
