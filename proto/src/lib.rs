//! What Bartizan's processes say to one another: one module per socket, bounded types, one frame format.
//!
//! Every other package depends on this one and never on each other. Nothing here decides anything; it only makes it
//! impossible to receive something unbounded, malformed or of the wrong shape.
//!
//! | module | socket |
//! |---|---|
//! | [`launcher`] | core ↔ launcher: start and kill processes |
//! | [`connector`] | core ↔ connector: posts in, replies out |
//! | [`egress`] | core ↔ egress: token, attestation |
//! | [`verbs`] | connector ↔ egress: typed REST |
//! | [`carrier`] | connector ↔ egress: the carried websocket |
//! | [`worker`] | core ↔ worker: order, output, result |
//! | [`driver`] | core → a job's `bartizan-driver`: its plan |
//! | [`script`], [`hosts`] | worker ↔ a job's script: the script API; what only drivers tell over it |
//! | [`remote`] | a job's `bartizan-remote` ↔ the one on another machine, through SSH |
//! | [`control`], [`people`], [`brain`], [`targets`] | `bartizan` ↔ core: the control socket |
//!
//! [`installation`] has the paths that the core and `bartizan` must agree on.
#![forbid(unsafe_code)]

pub mod bounded;
pub mod brain;
pub mod card;
pub mod carrier;
pub mod channel;
pub mod checks;
pub mod confidential;
pub mod connector;
pub mod control;
pub mod driver;
pub mod egress;
pub mod frame;
pub mod history;
pub mod hosts;
pub mod ids;
pub mod installation;
pub mod launcher;
pub mod limits;
pub mod people;
pub mod remote;
pub mod schedule;
pub mod script;
#[cfg(feature = "tokio")]
pub mod stream;
pub mod targets;
pub mod text;
pub mod trial;
pub mod verbs;
pub mod version;
pub mod worker;

pub use bounded::{Bytes, List, Text};
pub use confidential::Confidential;
pub use frame::FrameError;
pub use version::{Role, Version};
