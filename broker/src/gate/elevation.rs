//! Did the person prove with a second factor that it is them? Asked when the command is given, and again when it starts.
//!
//! What was proved belongs to the account that gave the code and to the post of the command: another account, and another
//! command, have nothing of it.

use super::{Cause, Refusal, Verdict};
use crate::config::{Elevate, Script};
use crate::elevation::Standing;
use crate::store::elevation::Elevated;
use bartizan_proto::ids::UserId;

/// When it is given. `code` is whether a code was given for this command, just now.
pub fn ask(script: &Script, standing: Standing, code: bool) -> Verdict {
    let Some(elevate) = script.elevate else { return Verdict::Pass(()) };
    match (elevate, standing) {
        (_, Standing::None | Standing::Unconfirmed) => {
            let cause = format!("{} needs a second factor, and there is none", script.name);
            Verdict::Refuse(Refusal::NoFactor { name: script.name.to_string() }, Cause(cause))
        }
        (Elevate::Window, Standing::Open(_)) => Verdict::Pass(()),
        (Elevate::Always, Standing::Open(_)) if code => Verdict::Pass(()),
        (Elevate::Window | Elevate::Always, Standing::Closed | Standing::Open(_)) => {
            let cause = format!("{} needs a code of the second factor", script.name);
            Verdict::Refuse(Refusal::Elevate { name: script.name.to_string() }, Cause(cause))
        }
    }
}

/// When it starts: what is on record of its post.
pub fn check(script: &Script, user: UserId, elevated: Option<Elevated>) -> Verdict {
    let Some(elevate) = script.elevate else { return Verdict::Pass(()) };
    let enough = |elevated: Elevated| elevated.user == user && (elevate == Elevate::Window || elevated.alone);
    if elevated.is_some_and(enough) {
        return Verdict::Pass(());
    }
    let cause = format!("{} needs a second factor, which was not given for this command", script.name);
    let why = "it needs your second factor, which was not given for this command or was taken away since; ask again";
    Verdict::Refuse(Refusal::Denied(why.to_owned()), Cause(cause))
}
