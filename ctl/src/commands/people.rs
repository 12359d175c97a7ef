//! `bartizan people`, `bans`, `admin` and `explain`.

use super::Out;
use crate::arguments::{Admin, Bans, Key, People, Totp};
use crate::exit::{CtlError, Exit};
use crate::show;
use bartizan_proto::bounded::{List, Text};
use bartizan_proto::control::{Answer, Refusal, Request};
use bartizan_proto::limits::MAX_ROWS;
use bartizan_proto::people::{FactorAct, PeopleAnswer, PeopleRequest};

/// Asks one thing of the core.
type Ask<'a> = dyn Fn(Request) -> Result<Answer, CtlError> + 'a;

/// `bartizan people …`
pub(super) fn people(what: &People, ask: &Ask<'_>, out: &Out) -> Result<Exit, CtlError> {
    let request = match what {
        People::List => {
            let mut rows = Vec::new();
            loop {
                let after = rows.last().map(|row: &bartizan_proto::people::PersonRow| row.user);
                let PeopleAnswer::People(page) = asked(ask, PeopleRequest::List { after })? else {
                    return Err(CtlError::WrongAnswer);
                };
                let last = page.len() < MAX_ROWS;
                rows.extend(page.into_vec());
                if last {
                    return out.give(&rows, |look| show::people(&rows, look));
                }
            }
        }
        People::Show { who } => {
            let PeopleAnswer::Person(row) = asked(ask, PeopleRequest::Show { who: text("USER", who)? })? else {
                return Err(CtlError::WrongAnswer);
            };
            return out.give(&row, |look| show::person(&row, look));
        }
        People::Set { who, level, flags, no_flags } => PeopleRequest::Set {
            who: text("USER", who)?,
            level: level.as_deref().map(|level| text("LEVEL", level)).transpose()?,
            add: List::new(flags.clone()).map_err(|error| wrong("--flag", &error))?,
            remove: List::new(no_flags.clone()).map_err(|error| wrong("--no-flag", &error))?,
        },
        People::Remove { who } => PeopleRequest::Remove { who: text("USER", who)? },
        People::Key(what) => return key(what, ask, out),
    };
    done(ask, request, out)
}

/// `bartizan people key …`
fn key(what: &Key, ask: &Ask<'_>, out: &Out) -> Result<Exit, CtlError> {
    let request = match what {
        Key::List => {
            let PeopleAnswer::Keys(rows) = asked(ask, PeopleRequest::Keys)? else { return Err(CtlError::WrongAnswer) };
            return out.give(&rows, |look| show::keys(&rows, look));
        }
        Key::Add { who, key } => PeopleRequest::AddKey { who: text("USER", who)?, key: text("KEY", key)? },
        Key::Remove { key } => PeopleRequest::RemoveKey { key: text("KEY", key)? },
    };
    done(ask, request, out)
}

/// `bartizan bans …`
pub(super) fn bans(what: &Bans, ask: &Ask<'_>, out: &Out) -> Result<Exit, CtlError> {
    let request = match what {
        Bans::List => {
            let mut rows = Vec::new();
            loop {
                let after = rows.last().map(|row: &bartizan_proto::people::BanRow| row.user);
                let PeopleAnswer::Bans(page) = asked(ask, PeopleRequest::Bans { after })? else {
                    return Err(CtlError::WrongAnswer);
                };
                let last = page.len() < MAX_ROWS;
                rows.extend(page.into_vec());
                if last {
                    return out.give(&rows, |look| show::bans(&rows, look));
                }
            }
        }
        Bans::Add { who, reason, duration } => PeopleRequest::Ban {
            who: text("USER", who)?,
            reason: text("REASON", reason)?,
            duration: text("DURATION", duration)?,
        },
        Bans::Remove { who } => PeopleRequest::Unban { who: text("USER", who)? },
    };
    done(ask, request, out)
}

/// `bartizan admin …`
pub(super) fn admin(what: &Admin, ask: &Ask<'_>, out: &Out) -> Result<Exit, CtlError> {
    let Admin::Bootstrap { who, again } = what;
    done(ask, PeopleRequest::Bootstrap { who: text("USER", who)?, again: *again }, out)
}

/// `bartizan totp …`
pub(super) fn totp(what: &Totp, ask: &Ask<'_>, out: &Out) -> Result<Exit, CtlError> {
    let (who, act) = match what {
        Totp::Enroll { who } => (who, FactorAct::Enrol),
        Totp::Reset { who } => (who, FactorAct::Reset),
        Totp::Status { who } => (who, FactorAct::Status),
    };
    match asked(ask, PeopleRequest::Factor { who: text("USER", who)?, act })? {
        PeopleAnswer::Enrolment(enrolment) => {
            let uri = String::from_utf8_lossy(&enrolment.uri).into_owned();
            let json = serde_json::json!({ "user": enrolment.user, "name": enrolment.name, "uri": uri });
            out.give(&json, |_| show::enrolment(&enrolment))
        }
        PeopleAnswer::Factor(row) => out.give(&row, |look| show::factor(&row, look)),
        PeopleAnswer::Done(done) => out.give(&done, |_| format!("{}\n", bartizan_proto::text::printable(&done.what))),
        _ => Err(CtlError::WrongAnswer),
    }
}

/// `bartizan explain …`: exit code 1 where the command would be refused.
pub(super) fn explain(
    (who, channel, command): (&str, Option<&str>, &str),
    ask: &Ask<'_>,
    out: &Out,
) -> Result<Exit, CtlError> {
    let request = PeopleRequest::Explain {
        who: text("--as", who)?,
        channel: channel.map(|channel| text("--channel", channel)).transpose()?,
        command: text("COMMAND", command)?,
    };
    let PeopleAnswer::Explained(explained) = asked(ask, request)? else { return Err(CtlError::WrongAnswer) };
    out.give(&explained, |look| show::explained(&explained, look))?;
    Ok(if explained.allowed { Exit::Ok } else { Exit::Bad })
}

fn done(ask: &Ask<'_>, request: PeopleRequest, out: &Out) -> Result<Exit, CtlError> {
    let PeopleAnswer::Done(done) = asked(ask, request)? else { return Err(CtlError::WrongAnswer) };
    out.give(&done, |_| format!("{}\n", bartizan_proto::text::printable(&done.what)))
}

fn asked(ask: &Ask<'_>, request: PeopleRequest) -> Result<PeopleAnswer, CtlError> {
    match ask(Request::People(request))? {
        Answer::People(answer) => Ok(answer),
        _ => Err(CtlError::WrongAnswer),
    }
}

fn text<const MAX: usize>(what: &str, text: &str) -> Result<Text<MAX>, CtlError> {
    Text::new(text).map_err(|error| wrong(what, &error))
}

fn wrong(what: &str, error: &dyn std::fmt::Display) -> CtlError {
    CtlError::Refused { refusal: Refusal::Usage, why: format!("{what}: {error}") }
}
