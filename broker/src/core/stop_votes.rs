//! A ❌ on a job's live post stops the job, when it is of somebody who may stop it.
//!
//! The connector's word is a hint. Who reacted, and when, is egress's; and so is what the post is that they reacted to: it
//! is the connector that says under which id the live post went out, so that the post counts only where it is the bot's,
//! stands in the job's thread, names the job, and was reacted to after the job was asked for.

use super::{Core, CoreError};
use crate::audit::Record;
use crate::command::jobs::may_see;
use crate::gate::{Verdict, attest};
use crate::policy::{Place, Requester};
use crate::words;
use bartizan_proto::List;
use bartizan_proto::connector::Reaction;
use bartizan_proto::control::JobState;
use bartizan_proto::egress::{AttestedPost, AttestedReactions, Outcome, QuestionId, Subject};
use bartizan_proto::ids::{JobId, PostId, UserId};
use std::collections::{HashMap, HashSet, VecDeque};

/// Looks at once; a hint beyond them is passed over, and whoever meant it reacts again or says `kill`.
const MOST_LOOKS: usize = 16;

/// The server's clock as we know it may be so much ahead of its own, in ms.
const SLACK_MS: u64 = 2000;

/// What egress is asked about.
#[derive(Debug, Default)]
pub struct StopVotes {
    asked: HashMap<QuestionId, Look>,
    /// Posts that were reacted to while egress was asked about them.
    again: HashSet<PostId>,
    /// Reacted to, and no job's post so far: the news that a live post is there may come after them.
    early: VecDeque<PostId>,
    /// Reactions that do not count and were recorded once.
    ignored: HashSet<(JobId, UserId)>,
}

#[derive(Debug)]
struct Look {
    job: JobId,
    post: PostId,
    /// Who may stop it and wants to, once that is known: then the post itself is asked about.
    by: Option<Requester>,
}

impl StopVotes {
    /// Egress is gone: it answers nothing any more.
    pub(crate) fn egress_lost(&mut self) {
        self.asked.clear();
        self.again.clear();
    }
}

impl Core {
    /// The connector says that somebody reacted.
    pub(crate) fn on_stop_reaction(&mut self, reaction: &Reaction) -> Result<(), CoreError> {
        if reaction.emoji.as_str() != words::STOP {
            return Ok(());
        }
        match self.job_of_live_post(reaction.post) {
            Some(job) => self.look_for_stop(job, reaction.post),
            None => {
                if self.stop_votes.early.len() == MOST_LOOKS {
                    self.stop_votes.early.pop_front();
                }
                self.stop_votes.early.push_back(reaction.post);
                Ok(())
            }
        }
    }

    /// A live post is there: somebody may have been faster than this news.
    pub(crate) fn live_post_is_there(&mut self, job: JobId, post: PostId) -> Result<(), CoreError> {
        if !self.stop_votes.early.contains(&post) {
            return Ok(());
        }
        self.stop_votes.early.retain(|early| *early != post);
        self.look_for_stop(job, post)
    }

    /// Reactions may have been missed: every live post is looked at.
    pub(crate) fn look_at_live_posts(&mut self) -> Result<(), CoreError> {
        let live = self.jobs.all.iter().filter(|(_, job)| job.state != JobState::Done);
        let posts: Vec<_> = live.filter_map(|(id, job)| Some((*id, job.live.post()?))).collect();
        for (job, post) in posts {
            self.look_for_stop(job, post)?;
        }
        Ok(())
    }

    fn job_of_live_post(&self, post: PostId) -> Option<JobId> {
        let is_it = |(_, job): &(&JobId, &crate::job::Job)| {
            job.live.post() == Some(post) && !matches!(job.state, JobState::Done | JobState::Stopping)
        };
        self.jobs.all.iter().find(is_it).map(|(id, _)| *id)
    }

    /// Asks egress who reacted.
    fn look_for_stop(&mut self, job: JobId, post: PostId) -> Result<(), CoreError> {
        if self.stop_votes.asked.values().any(|look| look.post == post) {
            self.stop_votes.again.insert(post);
            return Ok(());
        }
        if self.stop_votes.asked.len() >= MOST_LOOKS || !self.supervisor.egress_ready() {
            return Ok(());
        }
        let emoji = words::STOP.parse().map_err(|_| CoreError::Start("no emoji's name".to_owned()))?;
        let question = self.ask_egress(Subject::Reactions { post, emoji: List::cut([emoji]) })?;
        self.stop_votes.asked.insert(question, Look { job, post, by: None });
        Ok(())
    }

    /// An answer about a live post. `false` when the question is not one of these.
    pub(crate) fn on_stop_answer(&mut self, question: QuestionId, outcome: &Outcome) -> Result<bool, CoreError> {
        let Some(Look { job, post, by }) = self.stop_votes.asked.remove(&question) else { return Ok(false) };
        match (outcome, by) {
            (Outcome::Reactions(reactions), None) if reactions.post == post => {
                if let Some(by) = self.who_stops(job, reactions)? {
                    let question = self.ask_egress(Subject::Post(post))?;
                    self.stop_votes.asked.insert(question, Look { job, post, by: Some(by) });
                    return Ok(true);
                }
            }
            (Outcome::Post(attested), Some(by)) if attested.id == post => self.stop_by(job, attested, &by)?,
            (no_answer, _) => tracing::warn!(job = job.0, ?no_answer, "the reactions to a live post are not known now"),
        }
        if self.stop_votes.again.remove(&post)
            && let Some(job) = self.job_of_live_post(post)
        {
            self.look_for_stop(job, post)?;
        }
        Ok(true)
    }

    /// The first who reacted and may stop the job. The others are recorded once.
    fn who_stops(&mut self, id: JobId, reactions: &AttestedReactions) -> Result<Option<Requester>, CoreError> {
        self.set_clock(reactions.server_ms)?;
        let Some(policy) = &self.policy else { return Ok(None) };
        let Some(job) = self.jobs.all.get(&id) else { return Ok(None) };
        let intent = job.intent.clone();
        let place = Place {
            channel: intent.channel,
            name: intent.channel_name.clone(),
            direct: intent.direct,
            private: intent.private,
        };
        let mut refused = Vec::new();
        for reaction in reactions.reactions.iter().filter(|reaction| reaction.emoji.as_str() == words::STOP) {
            let Verdict::Pass(requester) = attest::person(&reaction.user, policy) else { continue };
            if reaction.created_ms.saturating_add(SLACK_MS) < job.asked_ms {
                continue;
            }
            if may_see(&job.into(), &requester, &place, policy) {
                return Ok(Some(requester));
            }
            refused.push(requester);
        }
        for requester in refused {
            if self.stop_votes.ignored.insert((id, requester.user)) {
                let error = Some("may not stop this job".to_owned());
                let (by, by_name) = (Some(requester.user), requester.name.to_string());
                self.record(&Record::JobStop {
                    job: id,
                    intent: Box::new(intent.clone()),
                    by,
                    by_name,
                    how: "reaction",
                    error,
                });
            }
        }
        Ok(None)
    }

    /// They may: stopped, if what they reacted to is the job's own post.
    fn stop_by(&mut self, id: JobId, post: &AttestedPost, by: &Requester) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let Some(job) = self.jobs.all.get(&id) else { return Ok(()) };
        let intent = &job.intent;
        let named = names(&post.text, id);
        let own = post.author.id == policy.bot && post.channel.id == intent.channel && post.root == Some(intent.root);
        if !own || !named || post.deleted_ms != 0 {
            let what = format!("the connector named post {} as the live post of job {id}, which it is not", post.id);
            return self.drop_connector(&what);
        }
        if matches!(job.state, JobState::Done | JobState::Stopping) {
            return Ok(());
        }
        let (channel, asked, root) = (intent.channel, intent.post, intent.root);
        let text = words::stopping_for(intent.script.as_str(), id, &by.name);
        self.reply(channel, asked, root, "stopping", text)?;
        self.record_stop(id, Some(by.user), by.name.to_string(), "reaction");
        self.stop_job(id, super::answers::KILL_GRACE)
    }

    /// Somebody has a job stopped.
    pub(super) fn record_stop(&mut self, job: JobId, by: Option<UserId>, by_name: String, how: &'static str) {
        let Some(entry) = self.jobs.all.get(&job) else { return };
        let intent = Box::new(entry.intent.clone());
        tracing::info!(job = job.0, by = by_name, how, "stopped");
        self.record(&Record::JobStop { job, intent, by, by_name, how, error: None });
    }

    /// A job is over: nobody is refused again.
    pub(crate) fn forget_stops(&mut self, job: JobId) {
        self.stop_votes.ignored.retain(|(of, _)| *of != job);
    }
}

/// Whether a text speaks of this job, and not of one whose number only begins like its.
fn names(text: &str, job: JobId) -> bool {
    let named = words::as_job(job);
    text.match_indices(&named).any(|(at, _)| !text[at + named.len()..].starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_of_job_12_is_none_of_job_1() {
        let text = words::live("slow", JobId(12), std::time::Duration::ZERO);
        assert!(names(&text, JobId(12)) && !names(&text, JobId(1)) && !names(&text, JobId(2)));
        assert!(names(&words::accepted("slow", JobId(1), None), JobId(1)));
        assert!(names(&words::accepted("slow", JobId(1), Some(3)), JobId(1)));
    }
}
