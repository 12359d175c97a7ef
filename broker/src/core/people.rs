//! Changes of rights, from chat and from the host: the person is looked up by egress, then all of it is decided, written
//! and answered in one turn.
//!
//! A command that waits for its look-up is still `received` in the inbox: after a crash it is attested and gated again. Who
//! asks is gated twice: before the look-up, and again when its answer is there, by what earlier changes have left.

use super::obey::not_for;
use super::{Core, CoreError, Effect, timers::Timer};
use crate::audit::{Gate, Record};
use crate::command::whom::{Whom, Wish};
use crate::command::{Builtin, parse::Command, whois};
use crate::gate::{self, Refusal, ban};
use crate::people::change::{Actor, Change, Deed, decide};
use crate::people::{Ban, Person};
use crate::policy::{Place, Requester};
use crate::words;
use bartizan_proto::Text;
use bartizan_proto::connector::Report;
use bartizan_proto::control::Answer;
use bartizan_proto::egress::{AttestedUser, Outcome, QuestionId, Subject};
use bartizan_proto::ids::{FlagName, JobId, UserId};
use bartizan_proto::worker::CallId;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::oneshot;

/// Look-ups that wait at once.
const MAX_LOOKUPS: usize = 64;

/// To a job's script.
pub(crate) const NOT_NOW: &str = "the server cannot be asked who that is now; try again";

/// The longest sleep until bans are looked at again: the server's clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// What waits for egress to say who somebody is.
#[derive(Debug, Default)]
pub struct Lookups {
    open: HashMap<QuestionId, Lookup>,
    /// Channels that the host's operator asks about.
    pub(super) places: HashMap<QuestionId, super::people_host::AskedPlace>,
}

/// A person that is looked up, and what for.
#[derive(Debug)]
struct Lookup {
    whom: Whom,
    then: Then,
}

/// What happens when it is known who it is.
#[derive(Debug)]
enum Then {
    /// A command from chat goes on.
    Chat { report: Box<Report>, builtin: Builtin, requester: Requester, place: Place, wish: Wish },
    /// A job's script asks them something.
    Question { job: JobId, call: CallId },
    /// The host's operator is answered.
    Host { asked: super::people_host::Asked, answer: oneshot::Sender<Answer> },
}

impl Lookups {
    /// Egress is gone: the posts whose commands waited, to be attested again, and the questions of jobs, which cannot be asked
    /// now; operators are told by the closing of their channel that there is no answer now.
    pub(crate) fn lost(&mut self) -> (Vec<Report>, Vec<(JobId, CallId)>) {
        self.places.clear();
        let (mut reports, mut questions) = (Vec::new(), Vec::new());
        for (_, lookup) in self.open.drain() {
            match lookup.then {
                Then::Chat { report, .. } => reports.push(*report),
                Then::Question { job, call } => questions.push((job, call)),
                Then::Host { .. } => {}
            }
        }
        (reports, questions)
    }
}

impl Core {
    /// A command about people, from chat.
    pub(crate) fn people_command(
        &mut self,
        report: &Report,
        builtin: Builtin,
        command: &Command,
        requester: Requester,
        place: &Place,
    ) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        if let Some(refused) = not_for(builtin, &requester, policy) {
            return self.refuse(report, refused.0, &refused.1, refused.2);
        }
        let (whom, wish) = match builtin.read(&command.words) {
            Some(Ok(read)) => read,
            Some(Err(error)) => return self.refuse_usage(report, builtin, error, passed("permission")),
            None => {
                let text = match builtin {
                    Builtin::Users => crate::command::users::answer(policy),
                    Builtin::Banlist => crate::command::banlist::answer(policy),
                    _not_about_people => crate::command::help::one(builtin.name(), &requester, place, policy),
                };
                return self.answer(report, passed("permission"), text);
            }
        };
        let place = place.clone();
        let then = Then::Chat { report: Box::new(report.clone()), builtin, requester, place, wish };
        if self.lookups.open.len() >= MAX_LOOKUPS {
            return self.refuse(report, Refusal::Busy, "too many look-ups wait", Vec::new());
        }
        self.look_up_person(whom, then)
    }

    /// The same from the host. An operator whose request cannot be looked up now is told so by no answer.
    pub(crate) fn look_up_for_host(
        &mut self,
        whom: Whom,
        asked: super::people_host::Asked,
        answer: oneshot::Sender<Answer>,
    ) -> Result<(), CoreError> {
        if self.lookups.open.len() >= MAX_LOOKUPS || !self.supervisor.egress_ready() || self.policy.is_none() {
            drop(answer);
            return Ok(());
        }
        self.look_up_person(whom, Then::Host { asked, answer })
    }

    /// Somebody whom a job's script asks.
    pub(crate) fn look_up_asked(&mut self, whom: Whom, job: JobId, call: CallId) -> Result<(), CoreError> {
        if self.lookups.open.len() >= MAX_LOOKUPS || !self.supervisor.egress_ready() {
            return self.asked_is((job, call), Err(NOT_NOW.to_owned()));
        }
        self.look_up_person(whom, Then::Question { job, call })
    }

    fn look_up_person(&mut self, whom: Whom, then: Then) -> Result<(), CoreError> {
        let subject = match &whom {
            Whom::Id(id) => Subject::User(*id),
            Whom::Name(name) => Subject::UserNamed(Text::cut(name.clone())),
        };
        let question = self.ask_egress(subject)?;
        self.lookups.open.insert(question, Lookup { whom, then });
        Ok(())
    }

    /// Egress answered who somebody is. `false` when the question is not about that.
    pub(crate) fn on_person(&mut self, question: QuestionId, outcome: &Outcome) -> Result<bool, CoreError> {
        let Some(Lookup { whom, then }) = self.lookups.open.remove(&question) else { return Ok(false) };
        let found = match (outcome, &whom) {
            (Outcome::User(user), Whom::Id(id)) if user.id == *id => Ok(user),
            (Outcome::User(user), Whom::Name(name)) if user.name.eq_ignore_ascii_case(name) => Ok(user),
            (Outcome::NotFound, _) => Err(Refusal::Nobody(whom.shown())),
            _no_answer => Err(Refusal::Unattested),
        };
        match then {
            Then::Chat { report, builtin, requester, place, wish } => match found {
                Ok(user) => self.go_on(&report, (builtin, requester, place, wish), user)?,
                Err(refusal) => {
                    let cause = format!("{} was not found: {outcome:?}", whom.shown());
                    self.refuse(&report, refusal, &cause, passed("permission"))?;
                }
            },
            Then::Question { job, call } => {
                let found = found.map_err(|refusal| match refusal {
                    Refusal::Nobody(who) => format!("there is no {who}"),
                    _no_answer => NOT_NOW.to_owned(),
                });
                self.asked_is((job, call), found)?;
            }
            Then::Host { asked, answer } => match found {
                Ok(user) => self.host_found(asked, &user.clone(), answer)?,
                Err(Refusal::Nobody(who)) => {
                    let told = super::people_host::no_such(&who);
                    self.effects.push(Effect::Answer(answer, Box::new(told)));
                }
                Err(_) => drop(answer),
            },
        }
        Ok(true)
    }

    /// It is known whom a command means: gated again, decided, written.
    fn go_on(
        &mut self,
        report: &Report,
        (builtin, requester, place, wish): (Builtin, Requester, Place, Wish),
        user: &AttestedUser,
    ) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        if let gate::Verdict::Refuse(refusal, cause) = ban::check(requester.user, policy, policy.now_ms()) {
            return self.refuse(report, refusal, &cause.0, vec![Gate { name: "ban", passed: false }]);
        }
        if let Some(refused) = not_for(builtin, &requester, policy) {
            return self.refuse(report, refused.0, &refused.1, refused.2);
        }
        let text = match wish {
            Wish::Show => whois::answer(user, policy),
            Wish::Recorded { back, age } => self.recorded_about(user, (back, &age), &place, policy),
            wish => {
                let actor = Actor { user: Some(requester.user), name: requester.name.to_string() };
                match self.change_rights(&actor, user, wish)? {
                    Ok((_, text)) => text,
                    Err(why) => {
                        let cause = format!("{}: {why}", user.id);
                        return self.refuse(report, Refusal::Denied(why), &cause, passed("permission"));
                    }
                }
            }
        };
        self.answer(report, passed("permission"), text)
    }

    /// Decides on a change and writes it. Whether anything changed and what is so now, or why not.
    pub(crate) fn change_rights(
        &mut self,
        actor: &Actor,
        target: &AttestedUser,
        wish: Wish,
    ) -> Result<Result<(bool, String), String>, CoreError> {
        let Some(policy) = &self.policy else { return Ok(Err("the service is still starting".to_owned())) };
        let now = policy.now_ms();
        let deed = match wish {
            Wish::Change(deed) => deed,
            Wish::Ban { reason, time } => Deed::Ban { reason, until_ms: time.until(now) },
            Wish::Show | Wish::Recorded { .. } => return Ok(Err("nothing is to be changed".to_owned())),
        };
        let name = target.name.to_string();
        match decide(&policy.people, actor, target, &deed, now) {
            Err(denied) => Ok(Err(denied.to_string())),
            Ok(None) => Ok(Ok((false, words::nothing_to_change(&name)))),
            Ok(Some(Change::Person(person))) => {
                let text = match (&person, &deed) {
                    (None, _) => words::removed(&name),
                    (Some(person), Deed::Flags { .. }) => {
                        let flags: Vec<&str> = person.flags.iter().map(FlagName::as_str).collect();
                        words::flags_now(&name, &flags)
                    }
                    (Some(person), _) => words::level_given(&name, person.level),
                };
                self.put_person(target.id, &name, person, actor)?;
                Ok(Ok((true, text)))
            }
            Ok(Some(Change::Ban(ban))) => {
                let text = match &ban {
                    Some(ban) => words::banned(&name, ban.until_ms, &ban.reason),
                    None => words::unbanned(&name),
                };
                self.put_ban(target.id, &name, ban, actor)?;
                Ok(Ok((true, text)))
            }
        }
    }

    /// Writes a person's row: recorded, stored, and in force at once.
    pub(crate) fn put_person(
        &mut self,
        user: UserId,
        name: &str,
        person: Option<Person>,
        actor: &Actor,
    ) -> Result<(), CoreError> {
        let Some(policy) = &mut self.policy else { return Ok(()) };
        let before = policy.people.person(user).map(|(before, _)| described(before));
        let after = person.as_ref().map(described);
        self.store.put_person(user, person.as_ref())?;
        policy.people.put_person(user, person);
        policy.generation += 1;
        let (by, by_name) = (actor.user, actor.name.clone());
        tracing::info!(%user, ?before, ?after, by = by_name, "rights changed");
        self.record_first(&Record::Person { user, name: name.to_owned(), before, after, by, by_name });
        Ok(())
    }

    /// Writes a ban or its end: recorded, stored, and in force at once.
    pub(crate) fn put_ban(
        &mut self,
        user: UserId,
        name: &str,
        ban: Option<Ban>,
        actor: &Actor,
    ) -> Result<(), CoreError> {
        let Some(policy) = &mut self.policy else { return Ok(()) };
        self.store.put_ban(user, ban.as_ref())?;
        self.posts.forget_notice(user);
        policy.people.put_ban(user, ban.clone());
        policy.generation += 1;
        // Whoever it was that gave a code in their name: after the ban it is asked for again, also for what waits for a yes.
        self.elevation.factors.close(user);
        self.store.forget_elevated_of(user)?;
        self.let_go(user)?;
        let (by, by_name) = (actor.user, actor.name.clone());
        tracing::info!(%user, banned = ban.is_some(), by = by_name, "bans changed");
        let (until_ms, reason) = ban.as_ref().map_or((None, None), |ban| (ban.until_ms, Some(ban.reason.clone())));
        let banned = ban.is_some();
        self.record_first(&Record::Ban { user, name: name.to_owned(), banned, until_ms, reason, by, by_name });
        self.plan_expiry();
        Ok(())
    }

    /// Ends the bans whose time is over. That nobody is held longer does not depend on it: the gate looks at the clock.
    pub(crate) fn expire_bans(&mut self) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let actor = Actor { user: None, name: "expiry".to_owned() };
        for user in policy.people.expired(policy.now_ms()) {
            self.put_ban(user, "", None, &actor)?;
        }
        self.plan_expiry();
        Ok(())
    }

    /// Wakes up when the next ban ends.
    pub(crate) fn plan_expiry(&mut self) {
        self.timers.cancel(&Timer::Bans);
        let Some(policy) = &self.policy else { return };
        if let Some(until) = policy.people.next_expiry() {
            let wait = Duration::from_millis(until.saturating_sub(policy.now_ms()).max(1));
            self.timers.after(wait.min(LONGEST_SLEEP), Timer::Bans);
        }
    }

    /// The server's clock, as an attested answer has it.
    pub(crate) fn set_clock(&mut self, server_ms: u64) -> Result<(), CoreError> {
        let own = i64::try_from(crate::store::now_ms()).unwrap_or(i64::MAX);
        let server = i64::try_from(server_ms).unwrap_or(i64::MAX);
        // The server's date has whole seconds: it is behind by half a second in the mean, and by a second at most.
        let ahead = server.saturating_sub(own).saturating_add(500);
        if ahead.saturating_sub(self.server_ahead_ms).abs() < 1500 {
            return Ok(());
        }
        self.server_ahead_ms = ahead;
        let Some(policy) = &mut self.policy else { return Ok(()) };
        policy.server_ahead_ms = ahead;
        self.schedules_soon();
        self.expire_bans()
    }

    /// Somebody is seen under another name than before: that is all that changes.
    pub(crate) fn see_name(&mut self, requester: &Requester) -> Result<(), CoreError> {
        let Some(policy) = &mut self.policy else { return Ok(()) };
        if policy.people.is_renamed(requester.user, &requester.name) {
            policy.people.rename(requester.user, &requester.name);
            self.store.rename(requester.user, &requester.name)?;
        }
        Ok(())
    }
}

fn passed(last: &'static str) -> Vec<Gate> {
    vec![Gate { name: "ban", passed: true }, Gate { name: last, passed: true }]
}

/// A person's rights, for the record.
fn described(person: &Person) -> String {
    let flags: Vec<&str> = person.flags.iter().map(FlagName::as_str).collect();
    if flags.is_empty() { person.level.to_string() } else { format!("{} +{}", person.level, flags.join(" +")) }
}
