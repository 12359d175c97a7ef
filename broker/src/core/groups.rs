//! Who is in the groups of the Mattermost server that the configuration names.
//!
//! Asked when the policy is made, and every minute from then on; a configuration that names none asks nothing. A server
//! that has no such group, or no groups at all, has an empty one; while it does not answer, what it said last holds (no
//! command is attested then either).

use super::timers::Timer;
use super::{Core, CoreError};
use crate::config::Group;
use bartizan_proto::Text;
use bartizan_proto::egress::{Outcome, QuestionId, Subject};
use bartizan_proto::ids::UserId;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Between two questions.
const EVERY: Duration = Duration::from_secs(60);

/// The same after one that was not answered.
const SOON: Duration = Duration::from_secs(5);

/// What the server said.
#[derive(Debug, Default)]
pub struct Groups {
    asked: HashMap<QuestionId, String>,
    members: HashMap<String, HashSet<UserId>>,
    unanswered: bool,
}

impl Groups {
    /// Whether every question was answered.
    pub fn are_settled(&self) -> bool {
        self.asked.is_empty()
    }

    /// Who is in one, by its name on the server.
    pub fn members(&self, theirs: &str) -> HashSet<UserId> {
        self.members.get(theirs).cloned().unwrap_or_default()
    }
}

impl Core {
    /// Asks for all of them, now and again later.
    pub(crate) fn ask_groups(&mut self) -> Result<(), CoreError> {
        self.timers.cancel(&Timer::Groups);
        self.groups.asked.clear();
        self.groups.unanswered = false;
        let names: HashSet<&String> = self.config.groups.values().filter_map(theirs).collect();
        let names: Vec<String> = names.into_iter().cloned().collect();
        if names.is_empty() {
            return Ok(());
        }
        if !self.supervisor.egress_ready() {
            self.timers.after(SOON, Timer::Groups);
            return Ok(());
        }
        for name in names {
            let question = self.ask_egress(Subject::GroupNamed(Text::cut(name.clone())))?;
            self.groups.asked.insert(question, name);
        }
        self.timers.after(EVERY, Timer::Groups);
        Ok(())
    }

    /// An answer to one of the questions. `false` when the question is not one of them.
    pub(crate) fn on_group(&mut self, question: QuestionId, outcome: &Outcome) -> Result<bool, CoreError> {
        let Some(name) = self.groups.asked.remove(&question) else { return Ok(false) };
        match outcome {
            Outcome::Group(group) if *group.name == *name => {
                self.set_group(&name, group.members.iter().copied().collect());
            }
            Outcome::NotFound => {
                self.roster.missing(format!("groups: the server has no group {name:?} that the bot can see"));
                self.set_group(&name, HashSet::new());
            }
            no_answer => {
                tracing::warn!(name, ?no_answer, "a group could not be looked up; what is known of it holds");
                self.groups.unanswered = true;
            }
        }
        if self.groups.are_settled() && self.groups.unanswered {
            self.timers.cancel(&Timer::Groups);
            self.timers.after(SOON, Timer::Groups);
        }
        self.roster_complete()?;
        Ok(true)
    }

    fn set_group(&mut self, name: &str, members: HashSet<UserId>) {
        if self.groups.members.get(name) == Some(&members) {
            return;
        }
        tracing::info!(name, members = members.len(), "a group of the server's");
        if let Some(policy) = &mut self.policy {
            for (ours, group) in &self.config.groups {
                if theirs(group).is_some_and(|theirs| theirs == name) {
                    policy.groups.insert(ours.clone(), members.clone());
                }
            }
            policy.generation += 1;
        }
        self.groups.members.insert(name.to_owned(), members);
    }
}

/// The name on the server of a group that is one there.
fn theirs(group: &Group) -> Option<&String> {
    match group {
        Group::Mattermost(name) => Some(name),
        Group::Members(_) => None,
    }
}
