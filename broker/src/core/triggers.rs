//! Triggers: a post of one account in one channel that matches begins a script, on behalf of nobody.
//!
//! The connector is told whose posts to report besides; what it reports is attested like everything else, so that it can neither
//! make a post up nor change one. A person's command is a command, and not a trigger. Each post begins one job at most, by its
//! place in the inbox.

use super::{Core, CoreError, MAX_QUEUED, MAX_QUEUED_OF_ONE};
use crate::audit::{Gate, Record};
use crate::command::parse;
use crate::gate::{self, Refusal, Verdict, ban, trigger};
use crate::policy::Place;
use crate::store::jobs::{Actor, Intent};
use bartizan_proto::connector::{Heard, Report, ToConnector};
use bartizan_proto::egress::AttestedPost;
use bartizan_proto::ids::{JobId, ScriptName};
use bartizan_proto::limits::{MAX_HEARD, MAX_MESSAGE};
use bartizan_proto::{List, Role, Text};

impl Core {
    /// Tells the connector whose posts are reported besides.
    pub(crate) fn tell_triggers(&mut self) -> Result<(), CoreError> {
        let Some(policy) = self.policy.as_ref().filter(|_| self.supervisor.connector_running()) else { return Ok(()) };
        let heard = policy.config.allowlist.triggers().filter_map(|trigger| {
            let channel = super::schedules::channel_of(&trigger.channel, policy)?;
            let user = policy.whose(trigger.source.account())?;
            Some(Heard { channel, user })
        });
        let heard: List<Heard, MAX_HEARD> = List::cut(heard);
        self.supervisor.say(Role::Connector, &ToConnector::Hear(heard), Vec::new())
    }

    /// Whether a post may be one that a trigger waits for, as far as the connector's claim goes.
    pub(super) fn may_trigger(&self, report: &Report) -> bool {
        let Some(policy) = self.policy.as_ref().filter(|_| !report.direct) else { return false };
        policy.config.allowlist.triggers().any(|trigger| {
            policy.is_person(trigger.source.account(), report.author)
                && policy.is_channel(&trigger.channel, report.channel)
        })
    }

    /// The first trigger, by name, that an attested post matches: its name, the command line it makes, and where.
    pub(super) fn triggered(&self, post: &AttestedPost) -> Option<(ScriptName, String, Place)> {
        let policy = self.policy.as_ref()?;
        let by_a_person = !post.author.bot && !post.origin.webhook;
        let prefix = &policy.config.bot.prefix;
        if by_a_person && parse::addressed(&post.text, prefix, &policy.bot_name, false).is_some() {
            return None;
        }
        policy.config.allowlist.triggers().find_map(|one| {
            let place = trigger::check(post, one, policy)?;
            Some((one.name.clone(), one.command(&post.text)?, place))
        })
    }

    /// It does: gated as what it is, and queued.
    pub(super) fn obey_trigger(
        &mut self,
        report: &Report,
        post: &AttestedPost,
        (name, line, place): (ScriptName, String, Place),
    ) -> Result<(), CoreError> {
        self.set_clock(post.server_ms)?;
        match self.may_begin(post, &name, &line, &place) {
            Ok(script) => {
                let bot = self.policy.as_ref().map_or(post.author.id, |policy| policy.bot);
                let actor = Actor::Trigger(name);
                self.record(&self.trigger_record(&actor, post, &line, None));
                self.store.decided(report.post)?;
                self.queue_job(Intent {
                    post: post.id,
                    root: post.root.unwrap_or(post.id),
                    channel: place.channel,
                    channel_name: place.name,
                    direct: false,
                    private: place.private,
                    user: bot,
                    user_name: Text::cut(actor.label()),
                    restricted: true,
                    script,
                    command: Text::cut(line),
                    actor,
                    part_of: None,
                })
            }
            Err((refusal, cause)) => {
                self.record(&self.trigger_record(&Actor::Trigger(name), post, &line, Some(cause.clone())));
                self.refuse(report, refusal, &cause, vec![Gate { name: "trigger", passed: false }])
            }
        }
    }

    fn may_begin(
        &mut self,
        post: &AttestedPost,
        name: &ScriptName,
        line: &str,
        place: &Place,
    ) -> Result<ScriptName, (Refusal, String)> {
        let Some(policy) = &self.policy else { return Err((Refusal::Silence, "no policy".to_owned())) };
        let refused = |verdict: Verdict| match verdict {
            Verdict::Pass(()) => Ok(()),
            Verdict::Refuse(refusal, cause) => Err((refusal, cause.0)),
        };
        let rates = &policy.config.rates;
        // Whoever writes it has no rights here, but may be banned, and may write too much.
        refused(ban::check(post.author.id, policy, policy.now_ms()))?;
        refused(self.limiter.attested(post.author.id, place.channel, rates))?;
        // It is stored as a command is, and a part of it would be another command.
        let command = parse::command(line).ok().flatten().filter(|_| line.len() <= MAX_MESSAGE);
        let command = command.ok_or_else(|| (Refusal::Silence, "what it captured cannot be an argument".to_owned()))?;
        let (script, _) =
            gate::automatic::decide(&command, place, policy).map_err(|(refusal, cause)| (refusal, cause.0))?;
        let (script, rate) = (script.name.clone(), script.rate.or(rates.script));
        refused(self.limiter.script(&script, rate))?;
        if let Some(by) = self.refused_as_busy(&script) {
            let refusal = Refusal::InUse { name: script.to_string(), by };
            return Err((refusal, format!("{script} is refused while job {by} runs or waits")));
        }
        if let Some(cause) = self.audit.cannot_record() {
            return Err((Refusal::Unrecorded, cause));
        }
        let actor = Actor::Trigger(name.clone());
        let same = |job: &&JobId| self.jobs.all.get(job).is_some_and(|entry| entry.intent.actor == actor);
        if self.jobs.queue.len() >= MAX_QUEUED || self.jobs.queue.iter().filter(same).count() >= MAX_QUEUED_OF_ONE {
            return Err((Refusal::Busy, "too many jobs wait".to_owned()));
        }
        Ok(script)
    }

    fn trigger_record(&self, actor: &Actor, post: &AttestedPost, line: &str, error: Option<String>) -> Record {
        Record::Trigger {
            actor: actor.label(),
            post: post.id,
            user: post.author.id,
            channel: post.channel.id,
            is_webhook: post.origin.webhook,
            command: self.without_secrets(line),
            error,
        }
    }
}
