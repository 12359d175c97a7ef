//! What the processes of one worker tell one another, over socket pairs that the script never sees: the core's message
//! format, inside the worker.

use bartizan_proto::List;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::worker::{Given, InForce, Layer, Order};
use serde::{Deserialize, Serialize};

/// From the job's init.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromInit {
    /// Everything that needs no order is done; these layers could not be had, and why.
    Prepared { unavailable: Vec<(Layer, String)> },
    /// Listeners for a network grant, in the job's network (their descriptors). Before `Started`, as often as needed.
    Listening,
    /// The script's process was started (one descriptor: its pidfd).
    Started,
    /// It was not, and will not be.
    Refused { step: String, why: String },
    /// It ended, by the kernel's word.
    Ended(ExitStatus),
}

/// From the script's process, before it becomes the script. The end of the stream after `Ready` means that it did.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromScript {
    /// Everything is in force; exec is next.
    Ready { layers: List<InForce, 32>, given: List<Given, 32> },
    /// A step failed. Nothing was run.
    Refused { step: String, why: String },
}

/// To init: the order that the supervisor checked (descriptors: the script; where there is one, its plan; where there are
/// secrets, a pipe; where it may call, its end of the script API).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ToInit {
    /// The order.
    pub(crate) order: Box<Order>,
    /// The job's directory, where it gets no private root.
    pub(crate) scratch: Option<String>,
}
