//! A command that names people waits until egress has said who has those names now, and is then judged again from its
//! attested post: rights, bans and channel are asked anew with everything known.
//!
//! Which words of which command are names: [`crate::command::Builtin::people`]. A name never becomes an id in any other way.

use super::{Core, CoreError};
use bartizan_proto::connector::Report;
use bartizan_proto::egress::{AttestedPost, AttestedUser, Outcome, QuestionId, Subject};
use bartizan_proto::{List, Text};
use std::collections::{BTreeMap, HashMap};

/// Most names in one command; more are looked up for nobody.
pub const MAX_NAMED: usize = 16;

/// Names, in lower case and without `@`, with who has them: `None` for a name that nobody has.
pub type Named = BTreeMap<String, Option<AttestedUser>>;

/// Commands that wait for names.
#[derive(Debug, Default)]
pub struct Naming {
    asked: HashMap<QuestionId, (u64, String)>,
    waiting: HashMap<u64, Waiting>,
    count: u64,
}

#[derive(Debug)]
struct Waiting {
    report: Report,
    post: Box<AttestedPost>,
    open: usize,
    named: Named,
}

impl Naming {
    /// How many commands wait.
    pub fn waiting(&self) -> u64 {
        u64::try_from(self.waiting.len()).unwrap_or(u64::MAX)
    }

    /// Egress is gone: the commands begin again.
    pub(crate) fn egress_lost(&mut self) -> impl Iterator<Item = Report> {
        self.asked.clear();
        std::mem::take(&mut self.waiting).into_values().map(|waiting| waiting.report)
    }
}

impl Core {
    /// Has the names looked up, and the post judged again then.
    pub(crate) fn look_up_people(
        &mut self,
        report: &Report,
        post: &AttestedPost,
        names: Vec<String>,
    ) -> Result<(), CoreError> {
        let names: List<String, MAX_NAMED> = List::cut(names);
        self.naming.count += 1;
        let number = self.naming.count;
        let waiting =
            Waiting { report: report.clone(), post: Box::new(post.clone()), open: names.len(), named: Named::new() };
        self.naming.waiting.insert(number, waiting);
        for name in names {
            let question = self.ask_egress(Subject::UserNamed(Text::cut(name.clone())))?;
            self.naming.asked.insert(question, (number, name));
        }
        Ok(())
    }

    /// An answer about one of the names. `false` when the question is not one of them.
    pub(crate) fn on_named(&mut self, question: QuestionId, outcome: &Outcome) -> Result<bool, CoreError> {
        let Some((number, name)) = self.naming.asked.remove(&question) else { return Ok(false) };
        let Some(waiting) = self.naming.waiting.get_mut(&number) else { return Ok(true) };
        let user = match outcome {
            Outcome::User(user) if user.name.eq_ignore_ascii_case(&name) => Some(user.clone()),
            Outcome::Unavailable { why } => {
                // Nothing is known, so nothing is done.
                let why = format!("the name {name:?} could not be looked up: {why}");
                if let Some(Waiting { report, .. }) = self.naming.waiting.remove(&number) {
                    self.refuse(&report, crate::gate::Refusal::Unattested, &why, Vec::new())?;
                }
                return Ok(true);
            }
            Outcome::NotFound
            | Outcome::User(_)
            | Outcome::Post(_)
            | Outcome::Channel(_)
            | Outcome::Reactions(_)
            | Outcome::Group(_) => None,
        };
        waiting.named.insert(name, user);
        waiting.open -= 1;
        if waiting.open == 0
            && let Some(Waiting { report, post, named, .. }) = self.naming.waiting.remove(&number)
        {
            self.judge(&report, &post, &named)?;
        }
        Ok(true)
    }
}
