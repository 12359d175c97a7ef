//! What the host's operator asks about people, over the control socket.

use super::{Core, CoreError, Effect};
use crate::command::ban::MAX_BAN_REASON;
use crate::command::parse;
use crate::command::whom::{Whom, Wish};
use crate::config::Level;
use crate::gate::{self, attest};
use crate::people::change::{Actor, Deed};
use crate::people::{Ban, People, Source};
use crate::policy::{Place, Policy, Requester};
use bartizan_audit::PersonKey;
use bartizan_proto::control::{Answer, Refusal};
use bartizan_proto::egress::{AttestedUser, Outcome, QuestionId, Subject};
use bartizan_proto::ids::UserId;
use bartizan_proto::limits::{MAX_MESSAGE, MAX_NAME, MAX_ROWS};
use bartizan_proto::people::{BanRow, Done, Explained, FactorAct, GateRow, PeopleAnswer, PeopleRequest, PersonRow};
use bartizan_proto::{List, Text};
use tokio::sync::oneshot;

/// What goes on when it is known who is meant.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Changes, one after the other; the first that is refused ends it.
    Wishes(Vec<Wish>),
    /// One row.
    Show,
    /// Their second factor.
    Factor(FactorAct),
    /// A key that they are to sign approvals with.
    Key(PersonKey),
    /// Every gate's verdict.
    Explain { channel: Option<Text<MAX_NAME>>, command: Text<MAX_MESSAGE> },
}

/// A channel that is looked up, and what for.
#[derive(Debug)]
pub(crate) struct AskedPlace {
    name: Text<MAX_NAME>,
    command: Text<MAX_MESSAGE>,
    user: AttestedUser,
    answer: oneshot::Sender<Answer>,
}

impl Core {
    /// An operator asks about people.
    pub(crate) fn on_people(
        &mut self,
        request: PeopleRequest,
        uid: u32,
        answer: oneshot::Sender<Answer>,
    ) -> Result<(), CoreError> {
        // Who has the secret is that person, as far as the second factor and signatures go.
        let own = rustix::process::geteuid().as_raw();
        let proves =
            matches!(request, PeopleRequest::Factor { act: FactorAct::Enrol, .. } | PeopleRequest::AddKey { .. });
        if proves && uid != 0 && uid != own {
            let why = Text::cut("only root and the service's own user may do that");
            let told = Answer::Refused { refusal: Refusal::Forbidden, why };
            self.effects.push(Effect::Answer(answer, Box::new(told)));
            return Ok(());
        }
        if self.policy.is_none() {
            let told = unavailable("the service does not know the server yet; see `bartizan status`");
            self.effects.push(Effect::Answer(answer, Box::new(told)));
            return Ok(());
        }
        let of_keys = match &request {
            PeopleRequest::Keys => Some(Answer::People(self.list_keys())),
            PeopleRequest::RemoveKey { key } => Some(self.remove_key(key)?),
            _of_somebody => None,
        };
        if let Some(told) = of_keys {
            self.effects.push(Effect::Answer(answer, Box::new(told)));
            return Ok(());
        }
        let Some(policy) = &self.policy else { return Ok(()) };
        let (who, asked) = match asked(request, policy) {
            Ok(Read::Now(told)) => {
                self.effects.push(Effect::Answer(answer, Box::new(Answer::People(told))));
                return Ok(());
            }
            Ok(Read::Of(who, asked)) => (who, asked),
            Err(why) => {
                self.effects.push(Effect::Answer(answer, Box::new(usage(&why))));
                return Ok(());
            }
        };
        match Whom::read(&who) {
            Some(whom) => self.look_up_for_host(whom, asked, answer),
            None => {
                let told = usage(&format!("{} is not the name or id of a person", who.as_str()));
                self.effects.push(Effect::Answer(answer, Box::new(told)));
                Ok(())
            }
        }
    }

    /// It is known who is meant.
    pub(crate) fn host_found(
        &mut self,
        asked: Asked,
        user: &AttestedUser,
        answer: oneshot::Sender<Answer>,
    ) -> Result<(), CoreError> {
        if let Asked::Explain { channel: Some(name), command } = asked {
            return self.look_up_place(AskedPlace { name, command, user: user.clone(), answer });
        }
        let told = match asked {
            Asked::Wishes(wishes) => self.do_wishes(wishes, user)?,
            Asked::Factor(act) => self.factor_for_host(act, user)?,
            Asked::Key(key) => self.add_key(key, user)?,
            Asked::Show => match &self.policy {
                Some(policy) => Answer::People(PeopleAnswer::Person(Box::new(row(user.id, Some(&user.name), policy)))),
                None => unavailable("the service does not know the server now"),
            },
            Asked::Explain { channel: _, command } => match self.policy.as_ref().map(Policy::bot_channel) {
                Some(channel) => {
                    let place = Place { channel, name: Text::default(), direct: true, private: false };
                    self.explain_for_host(user, place, &command)
                }
                None => unavailable("the service does not know the server now"),
            },
        };
        self.effects.push(Effect::Answer(answer, Box::new(told)));
        Ok(())
    }

    fn do_wishes(&mut self, wishes: Vec<Wish>, user: &AttestedUser) -> Result<Answer, CoreError> {
        let actor = Actor { user: None, name: "host".to_owned() };
        let (mut changed, mut what) = (false, Vec::new());
        for wish in wishes {
            match self.change_rights(&actor, user, wish)? {
                Ok((true, text)) => {
                    changed = true;
                    what.push(plain(&text));
                }
                Ok((false, text)) => what.push(plain(&text)),
                Err(why) => {
                    return Ok(Answer::Refused { refusal: Refusal::Forbidden, why: Text::cut(why) });
                }
            }
        }
        let done = Done { user: user.id, changed, what: Text::cut(what.join(" ")) };
        Ok(Answer::People(PeopleAnswer::Done(done)))
    }

    /// The channel of an explanation, as the server has it: under its name now, but for those that were pinned at the start.
    fn look_up_place(&mut self, asked: AskedPlace) -> Result<(), CoreError> {
        let name = asked.name.strip_prefix('#').unwrap_or(&asked.name).to_owned();
        let pinned = self.policy.as_ref().and_then(|policy| policy.channels.get(&name).copied());
        let subject = match pinned.or_else(|| name.parse().ok()) {
            Some(id) => Subject::Channel(id),
            None => Subject::ChannelNamed(Text::cut(name)),
        };
        let question = self.ask_egress(subject)?;
        self.lookups.places.insert(question, asked);
        Ok(())
    }

    /// Egress answered which channel that is. `false` when the question is not about that.
    pub(crate) fn on_place(&mut self, question: QuestionId, outcome: &Outcome) -> Result<bool, CoreError> {
        let Some(AskedPlace { name, command, user, answer }) = self.lookups.places.remove(&question) else {
            return Ok(false);
        };
        let place = match (outcome, &self.policy) {
            (Outcome::Channel(channel), Some(policy)) => attest::place(channel, user.id.as_str(), policy),
            (Outcome::NotFound, _) => Err("is no channel of the team that the bot can see"),
            _no_answer => return Ok(true),
        };
        let told = match place {
            Ok(place) => self.explain_for_host(&user, place, &command),
            Err(why) => {
                let why = format!("a command in {} would be ignored: it {why}", name.as_str());
                Answer::Refused { refusal: Refusal::NotFound, why: Text::cut(why) }
            }
        };
        self.effects.push(Effect::Answer(answer, Box::new(told)));
        Ok(true)
    }

    fn explain_for_host(&self, user: &AttestedUser, place: Place, command: &str) -> Answer {
        let Some(policy) = &self.policy else { return unavailable("the service does not know the server now") };
        let requester = Requester { user: user.id, name: user.name.clone(), restricted: user.guest || user.remote };
        let prefix = &policy.config.bot.prefix;
        let line = command.trim().strip_prefix(prefix.as_str()).unwrap_or(command.trim());
        let command = match parse::command(line) {
            Ok(Some(command)) => crate::command::without_run(command),
            Ok(None) => return usage("there is no command"),
            Err(error) => return usage(&error.to_string()),
        };
        let survey =
            gate::survey(&command, &requester, &place, policy, &self.opener, (&self.limiter, self.standing(user.id)));
        Answer::People(PeopleAnswer::Explained(Box::new(Explained {
            user: user.id,
            name: user.name.clone(),
            channel: place.name,
            allowed: survey.refusal.is_none(),
            gates: List::cut(survey.gates.into_iter().map(|seen| GateRow {
                gate: Text::cut(seen.name),
                verdict: seen.verdict,
                cause: Text::cut(seen.cause),
            })),
            words: Text::cut(match &survey.refusal {
                Some(refusal) => refusal.words(prefix).unwrap_or_default(),
                None => survey
                    .script
                    .and_then(|script| script.place(survey.values.as_deref().unwrap_or_default()))
                    .map_or_else(String::new, |place| format!("It runs by {place}.")),
            }),
        })))
    }
}

/// A request that was read.
enum Read {
    /// Answered from what is known.
    Now(PeopleAnswer),
    /// About somebody who is to be looked up.
    Of(Text<MAX_NAME>, Asked),
}

fn asked(request: PeopleRequest, policy: &Policy) -> Result<Read, String> {
    Ok(match request {
        PeopleRequest::List { after } => Read::Now(PeopleAnswer::People(people_page(policy, after))),
        PeopleRequest::Bans { after } => Read::Now(PeopleAnswer::Bans(bans_page(policy, after))),
        PeopleRequest::Show { who } => Read::Of(who, Asked::Show),
        PeopleRequest::Remove { who } => Read::Of(who, Asked::Wishes(vec![Wish::Change(Deed::Remove)])),
        PeopleRequest::Unban { who } => Read::Of(who, Asked::Wishes(vec![Wish::Change(Deed::Unban)])),
        PeopleRequest::Bootstrap { who, again } => {
            Read::Of(who, Asked::Wishes(vec![Wish::Change(Deed::Bootstrap { again })]))
        }
        PeopleRequest::Factor { who, act } => Read::Of(who, Asked::Factor(act)),
        PeopleRequest::AddKey { who, key } => {
            let key = key.parse().map_err(|error: bartizan_audit::BadPersonKey| format!("that {error}"))?;
            Read::Of(who, Asked::Key(key))
        }
        PeopleRequest::Keys | PeopleRequest::RemoveKey { .. } => return Err("that is about nobody".to_owned()),
        PeopleRequest::Explain { who, channel, command } => Read::Of(who, Asked::Explain { channel, command }),
        PeopleRequest::Ban { who, reason, duration } => {
            let time = duration.parse().map_err(|error: crate::people::duration::InvalidTime| error.to_string())?;
            let hidden = reason.chars().find(|c| bartizan_proto::text::is_hidden(*c));
            if reason.trim().is_empty() || reason.len() > MAX_BAN_REASON || hidden.is_some() {
                return Err(format!("the reason must be 1 to {MAX_BAN_REASON} bytes that can be seen"));
            }
            Read::Of(who, Asked::Wishes(vec![Wish::Ban { reason: reason.to_string(), time }]))
        }
        PeopleRequest::Set { who, level, add, remove } => {
            let mut wishes = Vec::new();
            if let Some(level) = level {
                let known: Level = level.parse().map_err(|_| format!("there is no level {}", level.as_str()))?;
                if known == Level::Banned {
                    return Err("banned is not given as a level: use `bartizan bans add`".to_owned());
                }
                wishes.push(Wish::Change(Deed::Level(known)));
            }
            let (add, remove) = (add.into_vec().into_iter().collect(), remove.into_vec().into_iter().collect());
            let flags = Deed::Flags { add, remove };
            if !matches!(&flags, Deed::Flags { add, remove } if add.is_empty() && remove.is_empty()) {
                wishes.push(Wish::Change(flags));
            }
            if wishes.is_empty() {
                return Err("neither a level nor a flag is given".to_owned());
            }
            Read::Of(who, Asked::Wishes(wishes))
        }
    })
}

fn page(mut users: Vec<UserId>, after: Option<UserId>) -> Vec<UserId> {
    users.retain(|user| after.is_none_or(|after| *user > after));
    users.sort_unstable();
    users.truncate(MAX_ROWS);
    users
}

fn people_page(policy: &Policy, after: Option<UserId>) -> List<PersonRow, MAX_ROWS> {
    List::cut(page(policy.people.listed().collect(), after).into_iter().map(|user| row(user, None, policy)))
}

fn bans_page(policy: &Policy, after: Option<UserId>) -> List<BanRow, MAX_ROWS> {
    let now = policy.now_ms();
    let users = page(policy.people.banned(now).map(|(user, _)| user).collect(), after);
    List::cut(users.into_iter().filter_map(|user| ban_row(user, &policy.people, now)))
}

/// One person's row; under the name that was just attested, where one was.
fn row(user: UserId, name: Option<&str>, policy: &Policy) -> PersonRow {
    let now = policy.now_ms();
    let person = policy.people.person(user);
    let ban = ban_row(user, &policy.people, now);
    let level = if ban.is_some() { Level::Banned } else { policy.people.level(user) };
    let shown = name.or(person.map(|(person, _)| person.name.as_str())).unwrap_or_default();
    PersonRow {
        user,
        name: Text::cut(shown),
        level: Text::cut(level.as_str()),
        flags: List::cut(person.iter().flat_map(|(person, _)| person.flags.iter().cloned())),
        source: Text::cut(person.map_or("", |(_, source)| Source::as_str(source))),
        by: Text::cut(person.map_or("", |(person, _)| person.by.as_str())),
        since_ms: person.map_or(0, |(person, _)| person.since_ms),
        ban,
    }
}

fn ban_row(user: UserId, people: &People, now_ms: u64) -> Option<BanRow> {
    people.ban(user, now_ms).map(|(Ban { name, reason, by, since_ms, until_ms }, _)| BanRow {
        user,
        name: Text::cut(name.as_str()),
        reason: Text::cut(reason.as_str()),
        by: Text::cut(by.as_str()),
        since_ms: *since_ms,
        until_ms: *until_ms,
    })
}

/// Chat's words without their markdown.
fn plain(text: &str) -> String {
    text.replace(['`', '*', '\\', '\u{200b}'], "")
}

/// Nobody has that name.
pub(super) fn no_such(who: &str) -> Answer {
    let why = format!("the server knows no {who}; names are written as on the server");
    Answer::Refused { refusal: Refusal::NotFound, why: Text::cut(why) }
}

pub(super) fn unavailable(why: &str) -> Answer {
    Answer::Refused { refusal: Refusal::Unavailable, why: Text::cut(why) }
}

fn usage(why: &str) -> Answer {
    Answer::Refused { refusal: Refusal::Usage, why: Text::cut(why) }
}
