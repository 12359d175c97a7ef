//! What became of a job on each of its machines, as a driver of Bartizan's own tells it over the script API: typed and bounded, and
//! believed as far as "its driver said so". Only the drivers of backends have the verb; no entry can grant it to a script.

use crate::bounded::{List, Text};
use crate::frame::{self, FrameError, HEADER};
use crate::ids::TargetName;
use crate::limits::{MAX_HOSTS_TOLD, MAX_REASON};
use serde::{Deserialize, Serialize};

/// How it went on one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostOutcome {
    /// It was done, and nothing is known to be changed by it: exit 0, or a play without a change.
    Ok,
    /// It was done, and the machine is another now; of a dry run: would be.
    Changed,
    /// It was begun there, and failed.
    Failed,
    /// The machine ran nothing, and said so.
    Refused,
    /// There was no connection, or it ended before the job did.
    Unreachable,
    /// Whoever is there has not the pinned host key: nothing was sent.
    WrongHostKey,
    /// There was nothing to be done there.
    Skipped,
    /// It was not begun there.
    NotBegun,
}

/// The end of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostTold {
    /// Which.
    pub host: TargetName,
    /// How it went.
    pub outcome: HostOutcome,
    /// The exit code of what ran there, where it is one thing that ran and ended.
    pub exit: Option<i32>,
    /// From the beginning of the connection to its end, in ms, where it is known.
    pub duration_ms: Option<u64>,
    /// Why; empty where there is nothing to say. May have been written on that machine.
    pub why: Text<MAX_REASON>,
}

/// What one call tells.
pub type HostsTold = List<HostTold, MAX_HOSTS_TOLD>;

/// As one value of a call.
///
/// # Errors
/// [`FrameError::TooLarge`].
pub fn encode(told: &HostsTold) -> Result<Vec<u8>, FrameError> {
    Ok(frame::encode(told)?.split_off(HEADER))
}

/// Out of it.
///
/// # Errors
/// [`FrameError`].
pub fn decode(value: &[u8]) -> Result<HostsTold, FrameError> {
    frame::decode(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(n: usize) -> HostTold {
        HostTold {
            host: format!("web-{n}").parse().expect("a name"),
            outcome: HostOutcome::Failed,
            exit: Some(-1),
            duration_ms: Some(u64::MAX),
            why: Text::cut("no"),
        }
    }

    #[test]
    fn what_is_told_comes_out_as_it_went_in() {
        let all = List::cut((0..MAX_HOSTS_TOLD).map(told));
        assert_eq!(decode(&encode(&all).expect("small")).expect("read"), all);
    }

    #[test]
    fn more_machines_longer_names_longer_reasons_and_bytes_left_over_are_refused() {
        let bytes = |value: &dyn Fn() -> Vec<u8>| value();
        let many: Vec<HostTold> = (0..=MAX_HOSTS_TOLD).map(told).collect();
        let many = bytes(&|| frame::encode(&many).expect("a frame").split_off(HEADER));
        assert!(decode(&many).is_err());
        for (host, why) in [
            ("x".repeat(65), String::new()),
            ("web\n1".into(), String::new()),
            ("web".into(), "x".repeat(MAX_REASON + 1)),
        ] {
            let one = vec![(host.clone(), HostOutcome::Ok, None::<i32>, None::<u64>, why)];
            let one = frame::encode(&one).expect("a frame").split_off(HEADER);
            assert!(decode(&one).is_err(), "{host}");
        }
        let mut over = encode(&List::cut([told(1)])).expect("small");
        over.push(0);
        assert!(decode(&over).is_err());
    }
}
