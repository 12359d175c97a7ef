//! What the host's operator does with second factors: enrol, take away, look.

use super::factor::Unenrolled;
use super::people_host::unavailable;
use super::{Core, CoreError, Topic};
use crate::elevation::{Standing, picture};
use crate::policy::Requester;
use crate::words::elevation as say;
use bartizan_proto::control::{Answer, Refusal};
use bartizan_proto::egress::AttestedUser;
use bartizan_proto::people::{Done, Enrolment, FactorAct, FactorRow, PeopleAnswer};
use bartizan_proto::{Confidential, Text};

impl Core {
    /// It is known whose.
    pub(super) fn factor_for_host(&mut self, act: FactorAct, user: &AttestedUser) -> Result<Answer, CoreError> {
        let requester = Requester { user: user.id, name: user.name.clone(), restricted: user.guest || user.remote };
        if let (FactorAct::Enrol | FactorAct::Reset, Some(cause)) = (act, self.audit.cannot_record()) {
            return Ok(unavailable(&cause));
        }
        Ok(match act {
            FactorAct::Status => Answer::People(PeopleAnswer::Factor(Box::new(self.factor_row(user)?))),
            FactorAct::Reset => match self.reset_factor(user.id)? {
                Ok(there) => {
                    self.record_factor(&requester, "reset", "host", None);
                    let what = if there {
                        self.alert(Topic::SecondFactor, &say::alert_reset(&user.name))?;
                        format!("{} has no second factor any more.", user.name.as_str())
                    } else {
                        format!("{} had no second factor.", user.name.as_str())
                    };
                    Answer::People(PeopleAnswer::Done(Done { user: user.id, changed: there, what: Text::cut(what) }))
                }
                Err(why) => unavailable(&why),
            },
            FactorAct::Enrol => match self.begin_factor(user.id, &user.name)? {
                Ok(uri) => {
                    self.record_factor(&requester, "enrolment-begun", "host", None);
                    let blocks = picture::blocks(&uri).unwrap_or_default();
                    match (Confidential::copy_of(uri.as_bytes()), Confidential::copy_of(blocks.as_bytes())) {
                        (Ok(uri), Ok(picture)) => Answer::People(PeopleAnswer::Enrolment(Box::new(Enrolment {
                            user: user.id,
                            name: user.name.clone(),
                            uri,
                            picture,
                        }))),
                        _too_long => unavailable("the name is too long"),
                    }
                }
                Err(Unenrolled::Failed(why)) => unavailable(&why),
                Err(Unenrolled::HasOne) => {
                    let name = user.name.as_str();
                    let why = format!("{name} has a second factor; `bartizan totp reset {name}` takes it away");
                    Answer::Refused { refusal: Refusal::Forbidden, why: Text::cut(why) }
                }
            },
        })
    }

    fn factor_row(&self, user: &AttestedUser) -> Result<FactorRow, CoreError> {
        let (standing, open_s) = match self.standing(user.id) {
            Standing::None => ("none", 0),
            Standing::Unconfirmed => ("unconfirmed", 0),
            Standing::Closed => ("closed", 0),
            Standing::Open(left) => ("open", left.as_secs()),
        };
        let factor = self.elevation.factors.get(user.id);
        let locked = factor.map_or(0, |factor| factor.locked_until_ms);
        Ok(FactorRow {
            user: user.id,
            name: user.name.clone(),
            standing: Text::cut(standing),
            open_s,
            failures: factor.map_or(0, |factor| factor.failures),
            locked_until_ms: if locked > crate::store::now_ms() { locked } else { 0 },
            recovery_codes: self.store.recovery_codes(user.id)?,
        })
    }
}
