//! What chat sees of the second factor.

use super::rough;
use crate::elevation::Standing;
use bartizan_proto::text::{code, escape};
use std::time::Duration;

/// To a code that was given as the answer to a question.
pub const NO_ANSWER: &str =
    "That is, or may be, a code of your second factor, so it is no answer, and it is not taken any more.";

/// To a command that needs a code, while it waits for one.
/// `alone`: for this command and nothing else.
pub fn wanted(name: &str, alone: bool, wait: Duration) -> String {
    let of = if alone { format!(" {name}") } else { String::new() };
    format!(
        "{} needs a code of your second factor. Send me `!elevate CODE{of}` **in a direct message**: then it runs by itself, within {}.",
        code(name),
        rough(wait)
    )
}

/// Besides, to a code that does not name a command which wants one for itself.
pub fn own_code(name: &str) -> String {
    format!(" {} waits for a code that names it: `!elevate CODE {name}`.", code(name))
}

/// Besides, to a code for something that does not wait.
pub fn nothing_waits(name: &str) -> String {
    format!(" No {} of yours waits for one.", code(name))
}

/// The same, where too many wait or nothing can wait.
pub fn wanted_again(name: &str) -> String {
    format!(
        "{} needs a code of your second factor. Send me `!elevate CODE` in a direct message, and give the command again.",
        code(name)
    )
}

/// To a command of somebody who has none.
pub fn no_factor(name: &str) -> String {
    format!(
        "{} needs a second factor, and you have none yet. Send me `!elevate enroll` in a direct message, or ask an operator for `bartizan totp enroll`.",
        code(name)
    )
}

/// To a code where others can read it.
pub const HERE: &str = "Never here: others can read it. **Delete your post** if I could not. That code is not taken any more; send the next one in a direct message.";

/// To what is said of the second factor in a channel, without a code.
pub const DIRECT: &str = "About your second factor I speak in direct messages only.";

/// To an enrolment in chat, where the configuration does not allow it.
pub const HOST_ONLY: &str =
    "Second factors are enrolled on the host, with `bartizan totp enroll`, not in chat. Ask an operator.";

/// To an enrolment of somebody who has one.
pub const HAS_ONE: &str = "You have a second factor already. If it is lost, use a recovery code, and ask an operator for `bartizan totp reset`.";

/// Where nothing can be checked.
pub const UNAVAILABLE: &str = "I cannot check that right now. An operator finds the reason in the service's log.";

/// With the picture. It goes out once and is not written down.
pub fn enrol(uri: &str) -> String {
    format!(
        "Scan the picture with an authenticator, or give it this: {}\nThen send me its first code: `!elevate 123456`. **Delete this post** when that is done.",
        code(uri)
    )
}

/// Where that could not go out before a restart.
pub const LOST: &str = "What stood here was not sent before I was restarted, and I do not keep it. Please ask again.";

/// After the first code.
pub fn enrolled(codes: &[String], open: Duration) -> String {
    format!("Your second factor is enrolled, and counts for {} now.\n{}", rough(open), recovery(codes))
}

/// New recovery codes. They go out once and are not written down.
pub fn recovery(codes: &[String]) -> String {
    let codes: Vec<String> = codes.iter().map(|one| format!("- {}", code(one))).collect();
    format!(
        "Each of these recovery codes stands once for a code, should the authenticator be lost. **Keep them elsewhere, and delete this post.**\n{}",
        codes.join("\n")
    )
}

/// After a right code.
pub fn right(open: Duration, idle: bool, runs: Option<&str>, waiting: usize) -> String {
    let from = if idle { " from its last use" } else { "" };
    let then = match (runs, waiting) {
        (Some(name), _) => format!(" **{}** goes on now.", escape(name)),
        (None, 0) => String::new(),
        (None, waiting) => {
            format!(" {waiting} commands waited for it, and I run none of several: give again the one that you mean.")
        }
    };
    format!("Your second factor counts for {}{from}.{then}", rough(open))
}

/// After a recovery code.
pub fn left(codes: u64) -> String {
    match codes {
        0 => " That was your last recovery code: `!elevate recovery CODE` makes new ones.".to_owned(),
        1 => " One recovery code is left.".to_owned(),
        codes => format!(" {codes} recovery codes are left."),
    }
}

/// To a wrong code.
pub fn wrong(locked: Option<Duration>) -> String {
    match locked {
        None => "That code is not right.".to_owned(),
        Some(time) => format!(
            "That code is not right. There were too many of these: I look at no code of yours for {}, and the admins are told.",
            rough(time)
        ),
    }
}

/// To a code that was used before.
pub const USED: &str = "That code was used before. Wait for the next one: they change every 30 seconds.";

/// While it is locked.
pub fn locked(time: Duration) -> String {
    format!("After too many wrong codes I look at none of yours for {}.", rough(time))
}

/// To a code of somebody who has no second factor.
pub const MISSING: &str =
    "You have no second factor, or did not give its first code in time. `!elevate enroll` begins.";

/// To `status`.
pub fn status(standing: Standing, recovery: u64) -> String {
    let codes = format!(" Recovery codes left: {recovery}.");
    match standing {
        Standing::None => "You have no second factor. `!elevate enroll` begins.".to_owned(),
        Standing::Unconfirmed => {
            "Your second factor waits for its first code: `!elevate CODE`. `!elevate enroll` begins again.".to_owned()
        }
        Standing::Closed => format!("You have a second factor; it does not count now: `!elevate CODE`.{codes}"),
        Standing::Open(left) => format!("Your second factor counts for {}.{codes}", rough(left)),
    }
}

/// To `end`.
pub fn ended(was_open: bool) -> &'static str {
    if was_open { "Your second factor does not count any more." } else { "It did not count anyway." }
}

/// To the admins.
pub fn alert_locked(name: &str, failures: u32, time: Duration) -> String {
    format!("{failures} wrong codes for the second factor of {name}: locked for {}", rough(time))
}

/// To the admins.
pub fn alert_enrolled(name: &str) -> String {
    format!("{name} has enrolled a second factor; if that was somebody else: bartizan totp reset {name}")
}

/// To the admins.
pub fn alert_reset(name: &str) -> String {
    format!("the second factor of {name} was taken away on the host")
}

/// The picture's file.
pub const PICTURE: &str = "second-factor.png";

/// Its elevator says that they did not show that it is them.
pub fn not_shown(script: &str) -> String {
    format!("{} needs that you show in another way that it is you, and you did not. It was not run.", code(script))
}

/// Its elevator gave no answer.
pub fn not_asked(script: &str) -> String {
    let name = code(script);
    format!(
        "{name} needs that you show in another way that it is you, and that could not be asked. It was not run. An operator finds the reason in the service's log."
    )
}
