//! The targets, one per reader.
//!
//! | module | reads | where |
//! |---|---|---|
//! | [`frames`] | a stream of frames | every process |
//! | [`messages`] | each message of each socket, control requests among them | every process |
//! | [`config`], [`allowlist`] | what an operator wrote | core |
//! | [`command`], [`arguments`] | attested chat text | core |
//! | [`output`] | what a script printed | core |
//! | [`event`], [`websocket`] | the server's events, and their bytes as they are carried | connector |
//! | [`answers`] | REST answers | connector |
//! | [`markup`] | output on its way to chat | connector |
//! | [`attested`] | REST answers that decide about rights | egress |
//! | [`control_frames`], [`scrubber`] | both directions of the carried websocket | egress |
//! | [`order`] | the core's order | worker |
//! | [`remote_order`] | an order that came over SSH; what is asked of the agent | `bartizan-remote` |
//! | [`script`] | what a job's script sends over the script API | worker |
//! | [`brain`] | the brain's index, a backup, a passphrase's parameters | core |
//! | [`audit_log`] | a log that somebody may have changed | core, `bartizan` |
//! | [`receipt`] | a receipt that somebody may have changed | `bartizan` |
//! | [`signature`] | a signature of a person, or their key | core, `bartizan` |
//! | [`transcript`] | acceptance tests that somebody else wrote | playground |

use crate::engine::Target;

pub mod allowlist;
pub mod answers;
pub mod arguments;
pub mod attested;
pub mod audit_log;
pub mod brain;
pub mod command;
pub mod config;
pub mod control_frames;
pub mod event;
pub mod frames;
pub mod markup;
pub mod messages;
pub mod order;
pub mod output;
pub mod receipt;
pub mod remote_order;
pub mod script;
pub mod scrubber;
pub mod signature;
pub mod transcript;
pub mod websocket;

const MIB: u64 = 1 << 20;

macro_rules! targets {
    ($($module:ident: $memory:expr),* $(,)?) => {
        /// All of them.
        pub const ALL: &[Target] = &[$(Target {
            name: stringify!($module),
            run: $module::target,
            corpus: $module::corpus,
            memory: $memory,
        }),*];
    };
}

targets! {
    // A frame may announce up to a limit of its own before its bytes are there.
    frames: 4 * MIB,
    messages: 4 * MIB,
    // A regex of an allowlist may take the 10 MiB that its crate allows, while it is compiled.
    config: 32 * MIB,
    allowlist: 32 * MIB,
    command: MIB,
    arguments: MIB,
    output: MIB,
    event: MIB,
    answers: MIB,
    markup: MIB,
    websocket: 8 * MIB,
    attested: MIB,
    control_frames: 4096,
    scrubber: MIB,
    order: 4 * MIB,
    script: 4 * MIB,
    transcript: 8 * MIB,
    audit_log: 8 * MIB,
    brain: MIB,
    receipt: MIB,
    signature: MIB,
    remote_order: 8 * MIB,
}
