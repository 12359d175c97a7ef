//! Faults on order: what a network, a proxy or a tired server does to a client. A fault is aimed at one account
//! (the bot, unless said otherwise), so that the people of a test are not hit by what is meant for the program
//! under test, and where it makes sense it counts how many events or requests it is for.

use std::str::FromStr;
use std::time::Duration;

/// Something to go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The next events never reach the account's sockets. Their sequence numbers are used up.
    Drop {
        /// How many events that carry a post or a reaction.
        count: u32,
    },
    /// The next events come late; what follows waits behind them.
    Delay {
        /// How late.
        by: Duration,
        /// How many events that carry a post or a reaction.
        count: u32,
    },
    /// The next events come twice, with the same sequence number.
    Duplicate {
        /// How many events that carry a post or a reaction.
        count: u32,
    },
    /// The next events come each after the one that follows it.
    Reorder {
        /// How many events that carry a post or a reaction.
        count: u32,
    },
    /// The account's sockets stay open, but from now on nothing is read from or written to them.
    HalfOpen,
    /// The account's sockets end without a close frame.
    CloseSocket,
    /// A well-formed text frame of any content at once: JSON that is none, too deep, or 10 MB long.
    Text {
        /// The frame's payload.
        text: String,
    },
    /// Raw bytes between two frames at once: bad UTF-8, reserved opcodes, lengths that lie.
    Garbage {
        /// What to write to the connection.
        bytes: Vec<u8>,
    },
    /// 429 with a plain-text body and `Retry-After`; a websocket upgrade is refused just so.
    TooManyRequests {
        /// Seconds.
        retry_after: u32,
        /// How many requests.
        count: u32,
    },
    /// 500 in the server's JSON form; the request is not carried out.
    InternalError {
        /// How many requests.
        count: u32,
    },
    /// The request is carried out late.
    Slow {
        /// How late.
        by: Duration,
        /// How many requests.
        count: u32,
    },
    /// The connection ends unanswered; the request is not carried out.
    HangUp {
        /// How many requests.
        count: u32,
    },
    /// The request is carried out, then the connection ends unanswered.
    LoseAnswer {
        /// How many requests.
        count: u32,
    },
    /// The request is carried out; the connection ends in the middle of the answer's body.
    Truncate {
        /// How many requests.
        count: u32,
    },
    /// Any answer at all instead of the right one, as a proxy might give; the request is not carried out.
    Answer {
        /// The status code.
        status: u16,
        /// The `Content-Type`.
        content_type: String,
        /// The body.
        body: Vec<u8>,
        /// How many requests.
        count: u32,
    },
}

/// Whom a fault is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aim {
    /// The username; none means the bot of the cast.
    pub user: Option<String>,
    /// Only requests whose `METHOD /path` begins like this, such as `POST /api/v4/posts`.
    pub route: Option<String>,
}

/// A name that is no fault's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no fault is called `{0}`: 429 500 drop delay duplicate reorder half-open close slow hang-up lose-answer truncate garbage"
)]
pub struct UnknownFault(pub String);

impl FromStr for Fault {
    type Err = UnknownFault;

    /// The names that transcripts use, each with an optional count: `drop`, `429 3`.
    fn from_str(text: &str) -> Result<Fault, UnknownFault> {
        let unknown = || UnknownFault(text.to_owned());
        let mut words = text.split_whitespace();
        let name = words.next().ok_or_else(unknown)?;
        let count = words.next().map_or(Ok(1), |word| word.parse().map_err(|_| unknown()))?;
        if words.next().is_some() {
            return Err(unknown());
        }
        Ok(match name {
            "429" => Fault::TooManyRequests { retry_after: 1, count },
            "500" => Fault::InternalError { count },
            "drop" => Fault::Drop { count },
            "delay" => Fault::Delay { by: Duration::from_secs(2), count },
            "duplicate" => Fault::Duplicate { count },
            "reorder" => Fault::Reorder { count },
            "half-open" => Fault::HalfOpen,
            "close" => Fault::CloseSocket,
            "slow" => Fault::Slow { by: Duration::from_secs(2), count },
            "hang-up" => Fault::HangUp { count },
            "lose-answer" => Fault::LoseAnswer { count },
            "truncate" => Fault::Truncate { count },
            // A text frame that says it has 3 bytes, and they are not UTF-8.
            "garbage" => Fault::Garbage { bytes: vec![0x81, 0x03, 0xff, 0xfe, 0xfd] },
            _ => return Err(unknown()),
        })
    }
}

impl Fault {
    /// How often it applies, and where: to events, to requests, or at once.
    fn kind(&self) -> Kind {
        match self {
            Fault::Drop { count }
            | Fault::Delay { count, .. }
            | Fault::Duplicate { count }
            | Fault::Reorder { count } => Kind::Events(*count),
            Fault::TooManyRequests { count, .. }
            | Fault::InternalError { count }
            | Fault::Slow { count, .. }
            | Fault::HangUp { count }
            | Fault::LoseAnswer { count }
            | Fault::Truncate { count }
            | Fault::Answer { count, .. } => Kind::Requests(*count),
            Fault::HalfOpen | Fault::CloseSocket | Fault::Text { .. } | Fault::Garbage { .. } => Kind::Now,
        }
    }

    /// Whether it is done to the open sockets at once instead of waiting for something.
    pub(crate) fn is_immediate(&self) -> bool {
        matches!(self.kind(), Kind::Now)
    }
}

enum Kind {
    Events(u32),
    Requests(u32),
    Now,
}

/// The faults that wait for their event or request, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<Armed>,
}

#[derive(Debug)]
struct Armed {
    user_id: String,
    route: Option<String>,
    fault: Fault,
    left: u32,
    for_events: bool,
}

impl Faults {
    /// Lets `fault` wait for what `user_id` does or receives.
    pub(crate) fn arm(&mut self, user_id: String, route: Option<String>, fault: Fault) {
        let (left, for_events) = match fault.kind() {
            Kind::Events(count) => (count, true),
            Kind::Requests(count) => (count, false),
            Kind::Now => return,
        };
        self.armed.push(Armed { user_id, route, fault, left, for_events });
    }

    /// What is to happen to the next event for this user.
    pub(crate) fn for_event(&mut self, user_id: &str) -> Option<Fault> {
        self.take(|armed| armed.for_events && armed.user_id == user_id)
    }

    /// What is to happen to this request; `route` is `METHOD /path`.
    pub(crate) fn for_request(&mut self, user_id: &str, route: &str) -> Option<Fault> {
        self.take(|armed| {
            !armed.for_events
                && armed.user_id == user_id
                && armed.route.as_deref().is_none_or(|wanted| route.starts_with(wanted))
        })
    }

    fn take(&mut self, matches: impl Fn(&Armed) -> bool) -> Option<Fault> {
        self.armed.retain(|armed| armed.left > 0);
        let armed = self.armed.iter_mut().find(|armed| matches(armed))?;
        armed.left -= 1;
        Some(armed.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_as_often_as_it_says() {
        let mut faults = Faults::default();
        faults.arm("u".into(), Some("POST /api/v4/posts".into()), Fault::InternalError { count: 2 });
        assert_eq!(faults.for_request("u", "GET /api/v4/users/me"), None);
        assert_eq!(faults.for_request("v", "POST /api/v4/posts"), None);
        assert_eq!(faults.for_event("u"), None);
        assert!(faults.for_request("u", "POST /api/v4/posts").is_some());
        assert!(faults.for_request("u", "POST /api/v4/posts").is_some());
        assert_eq!(faults.for_request("u", "POST /api/v4/posts"), None);
    }

    #[test]
    fn faults_are_named_as_in_transcripts() {
        assert_eq!("429 3".parse(), Ok(Fault::TooManyRequests { retry_after: 1, count: 3 }));
        assert_eq!("drop".parse(), Ok(Fault::Drop { count: 1 }));
        assert!("explode".parse::<Fault>().is_err());
    }
}
