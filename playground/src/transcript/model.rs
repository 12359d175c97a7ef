//! What a transcript is: acts, and what must be seen after each. Only [`super::parse`] makes one.

use super::pattern::Pattern;
use crate::service::Role;
use std::path::PathBuf;
use std::time::Duration;

/// One transcript file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcript {
    /// `config:`, relative to the file; the demo's when it is absent.
    pub config: Option<PathBuf>,
    /// `allowlist:`, relative to the file; the demo's when it is absent.
    pub allowlist: Option<PathBuf>,
    /// `needs:`, each thing that the machine must have.
    pub needs: Vec<String>,
    /// In order.
    pub steps: Vec<Step>,
}

/// An act, and what must be seen after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Line in the file, from 1.
    pub line: usize,
    /// What is done.
    pub act: Act,
    /// What must follow.
    pub expectations: Vec<Expectation>,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `#NAME`: a channel of the team.
    Channel(String),
    /// `DM`: the direct channel with the bot.
    Direct,
    /// `in LABEL`: the thread of a labelled post.
    Thread(String),
}

/// What is done. Texts still hold `$name` where something captured is repeated.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// A person posts.
    Say {
        /// Who.
        who: String,
        /// Where.
        place: Place,
        /// The post's name for later lines.
        label: Option<String>,
        /// What.
        text: String,
    },
    /// A person changes their last post.
    Edit {
        /// Who.
        who: String,
        /// What it says then.
        text: String,
    },
    /// A person reacts.
    React {
        /// Who.
        who: String,
        /// To which labelled post; the bot's last one when it is absent.
        label: Option<String>,
        /// With what.
        emoji: String,
    },
    /// Something posts through an incoming webhook.
    Webhook {
        /// Who made the webhook.
        owner: String,
        /// Where it posts.
        channel: String,
        /// What.
        text: String,
    },
    /// The operator runs `bartizan …`.
    Operator {
        /// The whole command line, for a shell.
        command: String,
        /// What it must print; when nothing is said about it, it only has to succeed.
        output: Option<Pattern>,
    },
    /// The code that an authenticator shows is captured.
    Code {
        /// Under this name.
        name: String,
        /// Of this secret, in base32.
        secret: String,
        /// So many steps of 30 seconds from now.
        ahead: u64,
    },
    /// Nothing, for a time.
    Wait(Duration),
    /// The server's clock goes forward.
    Clock(Duration),
    /// The server misbehaves.
    Fault(String),
    /// A process is told to end, and the service must come back.
    Restart(Role),
    /// A process is killed.
    Kill(Role),
}

impl Act {
    /// Whether the server or service is not the same afterwards: the next transcript gets a new one.
    pub fn disturbs(&self) -> bool {
        match self {
            Act::Clock(_) | Act::Fault(_) | Act::Restart(_) | Act::Kill(_) => true,
            Act::Say { .. }
            | Act::Edit { .. }
            | Act::React { .. }
            | Act::Webhook { .. }
            | Act::Operator { .. }
            | Act::Code { .. }
            | Act::Wait(_) => false,
        }
    }
}

/// Something that must be seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// Line in the file, from 1.
    pub line: usize,
    /// How long it may take.
    pub within: Duration,
    /// After a line `...`: others may come first.
    pub skipping: bool,
    /// What.
    pub what: What,
}

/// What can be expected.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A post by the bot.
    Post {
        /// Its name for later lines.
        label: Option<String>,
        /// What it says.
        pattern: Pattern,
    },
    /// An edit of the bot's last post.
    Update {
        /// Some later edit instead of the next one.
        later: bool,
        /// What it says then.
        pattern: Pattern,
    },
    /// A reaction by the bot on the command, in any order with the rest.
    Reaction(String),
    /// A file attached to the bot's last post.
    File {
        /// Its name.
        name: Pattern,
        /// What is in it; `None` for anything.
        content: Option<Content>,
    },
    /// Who is mentioned by the bot's last post: nobody when empty.
    Notifies(Vec<String>),
    /// Nothing for a second.
    Silence,
    /// A line `...` at the end: whatever comes is right.
    Anything,
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Some line of it is like this: `file> NAME TEXT`.
    Line(Pattern),
    /// The whole of it is like this: further lines follow.
    Whole(Pattern),
}
