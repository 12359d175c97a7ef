//! worker ↔ a job's script: the script API. Everything that arrives here was written by a script, which is not trusted.
//!
//! A script inherits one end of a pair of sockets (`SOCK_SEQPACKET`), its number in `$BARTIZAN_API`. For each call it makes a
//! pair of stream sockets of its own and sends one end over the inherited one: a message of the one byte `b` with that one
//! descriptor ([`knock`]). So its processes can call at the same time, and no answer comes to another one. Over the other end go
//! one call and one answer, each in the same form: four bytes of length (little endian), then words, each with four bytes of
//! length before it. A call's first word is the verb, then come names and values in turn.
//!
//! [`Call::parse`] is the only reader: what comes out is bounded and typed.
//!
//! Over 400 lines: every verb with its words, from the script's bytes to what the core reads, in one place.

use crate::bounded::{Bytes, Text};
use crate::card::Colour;
use crate::channel::{receive_descriptors, send_descriptors};
use crate::hosts::HostsTold;
use crate::ids::MemoryKey;
use crate::limits::{MAX_ATTACHMENT, MAX_DIFF, MAX_NAME, MAX_PROGRESS, MAX_REASON, MAX_SAID, MAX_SECRET};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

mod asking;
mod words;
pub use asking::{AskError, ask};
use words::Fields;
pub use words::{Misread, announced, frame, words};

/// The inherited descriptor's number: out of the way of those that shells give out themselves.
pub const DESCRIPTOR: i32 = 100;

/// The variable that says its number. Not set where a job may use no verb.
pub const VARIABLE: &str = "BARTIZAN_API";

/// What a script may be allowed to do: the words of `api` in its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Post in the job's thread.
    Say,
    /// The same, addressed to who asked for the job.
    Reply,
    /// Show how far it is.
    Progress,
    /// Read an argument by its name.
    Param,
    /// Write a line into the service's log.
    Log,
    /// Remember something.
    Remember,
    /// Recall what was remembered.
    Recall,
    /// Have a lasting memory to change, alone.
    Checkout,
    /// Attach a file.
    File,
    /// Post a table.
    Table,
    /// Ask who asked for the job.
    Ask,
    /// Ask somebody else, or somewhere else.
    AskOthers,
    /// Have what is written in the job's thread from now on run the script again.
    Subscribe,
    /// Add a task to the pipeline.
    AddTask,
    /// Add a pipeline of its own to it.
    AddJob,
    /// Add a command to it, as it is written in chat.
    AddCommand,
    /// Add what is always done in the end.
    FinalTask,
    /// Add what is done when something failed.
    FailTask,
    /// Run something beside it.
    SpawnJob,
    /// Have a lock until the pipeline ends.
    Exclusive,
    /// Post a card: a text, a table or a diff beside a coloured line, with names and values.
    Attach,
    /// Tell what became of the job on its machines: for the drivers of backends, and not in an entry.
    Hosts,
}

impl Verb {
    /// All of them.
    pub const ALL: [Verb; 22] = [
        Verb::Say,
        Verb::Reply,
        Verb::Progress,
        Verb::Param,
        Verb::Log,
        Verb::Remember,
        Verb::Recall,
        Verb::Checkout,
        Verb::File,
        Verb::Table,
        Verb::Ask,
        Verb::AskOthers,
        Verb::Subscribe,
        Verb::AddTask,
        Verb::AddJob,
        Verb::AddCommand,
        Verb::FinalTask,
        Verb::FailTask,
        Verb::SpawnJob,
        Verb::Exclusive,
        Verb::Attach,
        Verb::Hosts,
    ];

    /// Whether it is for Bartizan's own drivers: no entry can grant it to a script.
    pub fn is_drivers(self) -> bool {
        self == Verb::Hosts
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Say => "say",
            Verb::Reply => "reply",
            Verb::Progress => "progress",
            Verb::Param => "param",
            Verb::Log => "log",
            Verb::Remember => "remember",
            Verb::Recall => "recall",
            Verb::Checkout => "checkout",
            Verb::File => "file",
            Verb::Table => "table",
            Verb::Ask => "ask",
            Verb::AskOthers => "ask-others",
            Verb::Subscribe => "subscribe",
            Verb::AddTask => "add-task",
            Verb::AddJob => "add-job",
            Verb::AddCommand => "add-command",
            Verb::FinalTask => "final-task",
            Verb::FailTask => "fail-task",
            Verb::SpawnJob => "spawn-job",
            Verb::Exclusive => "exclusive",
            Verb::Attach => "attach",
            Verb::Hosts => "hosts",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Verb> {
        Verb::ALL.into_iter().find(|verb| verb.as_str() == name)
    }
}

impl std::fmt::Display for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long and for whom something is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// For a while, for who asked for the job, in this place.
    Mine,
    /// For a while, for everybody in this place.
    Shared,
    /// For good, in the brain, for every job of the script.
    Lasting,
}

/// Where somebody is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AskedIn {
    /// In the job's thread.
    Thread,
    /// In a direct message.
    Direct,
    /// In a new thread of the channel of this name.
    Channel(Text<MAX_NAME>),
}

/// What becomes of a command that a script adds to its pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// It is done next.
    Task,
    /// It is done next, with everything that it adds and everything that cleans up after it.
    Job,
    /// It is done next, and is written as in chat.
    Command,
    /// It is done in the end, the last one first.
    Final,
    /// It is done when something failed, the first one first.
    Fail,
    /// It is done at once, beside the pipeline.
    Spawn,
}

impl Part {
    /// The verb that adds it.
    pub fn verb(self) -> Verb {
        match self {
            Part::Task => Verb::AddTask,
            Part::Job => Verb::AddJob,
            Part::Command => Verb::AddCommand,
            Part::Final => Verb::FinalTask,
            Part::Fail => Verb::FailTask,
            Part::Spawn => Verb::SpawnJob,
        }
    }
}

/// What a script wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Post this in the job's thread.
    Say {
        /// What. Nothing in it is markup.
        text: Text<MAX_SAID>,
        /// In a fence.
        code: bool,
    },
    /// Post this in the job's thread, with the name of who asked for the job before it.
    Reply {
        /// What.
        text: Text<MAX_SAID>,
        /// In a fence.
        code: bool,
    },
    /// It has come so far.
    Progress {
        /// In percent, at most 100.
        percent: Option<u8>,
        /// What it does now.
        text: Text<MAX_PROGRESS>,
    },
    /// The value of an argument.
    Param {
        /// Its name in the schema.
        name: Text<MAX_NAME>,
    },
    /// For the service's log.
    Log {
        /// One line.
        text: Text<MAX_REASON>,
    },
    /// Remember this; an empty value forgets. A lasting one that this job has checked out is checked in with it.
    Remember {
        /// Under what.
        key: MemoryKey,
        /// What.
        value: Text<MAX_SECRET>,
        /// For whom.
        scope: Scope,
    },
    /// What was remembered.
    Recall {
        /// Under what.
        key: MemoryKey,
        /// For whom.
        scope: Scope,
    },
    /// Read a lasting memory, and let nobody else change it until it is remembered anew or checked in.
    Checkout {
        /// Which.
        key: MemoryKey,
        /// Instead, check it in as it is.
        back: bool,
    },
    /// Attach a file to a post in the job's thread.
    File {
        /// Its name.
        name: MemoryKey,
        /// What the post says.
        text: Text<MAX_SAID>,
        /// What is in it.
        content: Bytes<MAX_ATTACHMENT>,
    },
    /// Post a table.
    Table {
        /// What stands above it.
        title: Text<MAX_REASON>,
        /// Lines of cells with tabs between them; the first is the head.
        rows: Text<MAX_SAID>,
    },
    /// Ask whoever asked for the job, somebody else, or everybody who may see it.
    Ask {
        /// What.
        question: Text<MAX_REASON>,
        /// Somebody else, by the name that they have now.
        user: Option<Text<MAX_NAME>>,
        /// Where.
        place: AskedIn,
        /// Whoever may see the job may answer, not only who asked for it.
        anybody: bool,
        /// The only answers that are taken, one a line; all where there is none.
        choices: Text<MAX_REASON>,
        /// The whole answer must match this (the `regex` crate's syntax).
        pattern: Text<MAX_NAME>,
        /// What `=` stands for.
        default: Option<Text<MAX_REASON>>,
        /// So long it waits.
        seconds: u32,
    },
    /// From now on what is written in the job's thread runs its script again, with the post's text as its one argument.
    Subscribe {
        /// Whoever may run it, not only who asked for the job.
        anybody: bool,
        /// For so long.
        seconds: u32,
    },
    /// Not any more.
    Unsubscribe,
    /// Add a command to the pipeline.
    Add {
        /// What becomes of it.
        part: Part,
        /// A line as in chat, without the prefix.
        command: Text<MAX_SAID>,
    },
    /// Have a lock until the pipeline ends.
    Exclusive {
        /// Its name, which entries of the allowlist may have as `exclusive`, too.
        tag: MemoryKey,
        /// Wait until it is free.
        wait: bool,
    },
    /// Post a card.
    Attach {
        /// When the job has ended, and coloured by how it did.
        at_end: bool,
        /// The colour of its line; what fits where there is none.
        colour: Option<Colour>,
        /// What stands above.
        title: Text<MAX_REASON>,
        /// What it says. Nothing in it is markup.
        text: Text<MAX_SAID>,
        /// Names and values: lines of a name, a tab, a value.
        fields: Text<MAX_SAID>,
        /// A table, as in `Table`.
        rows: Text<MAX_SAID>,
        /// What `diff -u` says; may be empty, which means no difference.
        diff: Option<Text<MAX_DIFF>>,
    },
    /// What became of it on some of its machines.
    Hosts(HostsTold),
}

impl Call {
    /// What has to be granted for it.
    pub fn verb(&self) -> Verb {
        match self {
            Call::Say { .. } => Verb::Say,
            Call::Reply { .. } => Verb::Reply,
            Call::Progress { .. } => Verb::Progress,
            Call::Param { .. } => Verb::Param,
            Call::Log { .. } => Verb::Log,
            Call::Remember { .. } => Verb::Remember,
            Call::Recall { .. } => Verb::Recall,
            Call::Checkout { .. } => Verb::Checkout,
            Call::File { .. } => Verb::File,
            Call::Table { .. } => Verb::Table,
            Call::Ask { user: None, place: AskedIn::Thread, .. } => Verb::Ask,
            Call::Ask { .. } => Verb::AskOthers,
            Call::Subscribe { .. } | Call::Unsubscribe => Verb::Subscribe,
            Call::Add { part, .. } => part.verb(),
            Call::Exclusive { .. } => Verb::Exclusive,
            Call::Attach { .. } => Verb::Attach,
            Call::Hosts(_) => Verb::Hosts,
        }
    }

    /// From the words of one message.
    ///
    /// # Errors
    /// [`Misread`], for the script to read.
    pub fn parse(payload: &[u8]) -> Result<Call, Misread> {
        let all = words(payload)?;
        let Some((verb, rest)) = all.split_first() else { return Err(Misread::Empty) };
        let name = String::from_utf8_lossy(verb).into_owned();
        let verb = Verb::named(&name).ok_or_else(|| Misread::Verb(name.chars().take(64).collect()))?;
        let mut fields = Fields::of(rest)?;
        let call = match verb {
            Verb::Say => Call::Say { text: fields.text("text")?, code: fields.flag("code")? },
            Verb::Reply => Call::Reply { text: fields.text("text")?, code: fields.flag("code")? },
            Verb::Progress => Call::Progress {
                percent: fields.number::<u8>("percent")?.map(|percent| percent.min(100)),
                text: fields.optional("text")?.unwrap_or_default(),
            },
            Verb::Param => Call::Param { name: fields.text("name")? },
            Verb::Log => Call::Log { text: fields.text("text")? },
            Verb::Remember => {
                Call::Remember { key: fields.key("key")?, value: fields.text("value")?, scope: fields.scope()? }
            }
            Verb::Recall => Call::Recall { key: fields.key("key")?, scope: fields.scope()? },
            Verb::Checkout => Call::Checkout { key: fields.key("key")?, back: fields.flag("back")? },
            Verb::File => Call::File {
                name: fields.key("name")?,
                text: fields.optional("text")?.unwrap_or_default(),
                content: Bytes::new(fields.need("content")?).map_err(|_| Misread::TooLong("content"))?,
            },
            Verb::Table => {
                Call::Table { title: fields.optional("title")?.unwrap_or_default(), rows: fields.text("rows")? }
            }
            // A grant, and no word of a message.
            Verb::AskOthers => return Err(Misread::Verb(name)),
            Verb::Ask => Call::Ask {
                question: fields.text("question")?,
                user: fields.optional("user")?,
                place: fields.place()?,
                anybody: fields.flag("anybody")?,
                choices: fields.optional("choices")?.unwrap_or_default(),
                pattern: fields.optional("pattern")?.unwrap_or_default(),
                default: fields.optional("default")?,
                seconds: fields.number("seconds")?.unwrap_or(45),
            },
            Verb::Subscribe if fields.flag("end")? => Call::Unsubscribe,
            Verb::Subscribe => {
                Call::Subscribe { anybody: fields.flag("anybody")?, seconds: fields.number("seconds")?.unwrap_or(3600) }
            }
            Verb::AddTask => Call::Add { part: Part::Task, command: fields.text("command")? },
            Verb::AddJob => Call::Add { part: Part::Job, command: fields.text("command")? },
            Verb::AddCommand => Call::Add { part: Part::Command, command: fields.text("command")? },
            Verb::FinalTask => Call::Add { part: Part::Final, command: fields.text("command")? },
            Verb::FailTask => Call::Add { part: Part::Fail, command: fields.text("command")? },
            Verb::SpawnJob => Call::Add { part: Part::Spawn, command: fields.text("command")? },
            Verb::Exclusive => Call::Exclusive { tag: fields.key("tag")?, wait: fields.flag("wait")? },
            Verb::Attach => Call::Attach {
                at_end: fields.flag("at-end")?,
                colour: fields.colour()?,
                title: fields.optional("title")?.unwrap_or_default(),
                text: fields.optional("text")?.unwrap_or_default(),
                fields: fields.optional("fields")?.unwrap_or_default(),
                rows: fields.optional("rows")?.unwrap_or_default(),
                diff: fields.optional("diff")?,
            },
            Verb::Hosts => Call::Hosts(crate::hosts::decode(fields.need("told")?).map_err(|_| Misread::Told)?),
        };
        fields.finish()?;
        Ok(call)
    }
}

/// What a script is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done, or will be.
    Done,
    /// This.
    Value(Text<MAX_SAID>),
    /// There is nothing: not remembered, cancelled, no answer in time.
    Nothing(Text<MAX_REASON>),
    /// No.
    Refused(Text<MAX_REASON>),
}

impl Answer {
    /// The whole message.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Answer::Done => frame(&[b"done"]),
            Answer::Value(value) => frame(&[b"value", value.as_bytes()]),
            Answer::Nothing(why) => frame(&[b"nothing", why.as_bytes()]),
            Answer::Refused(why) => frame(&[b"refused", why.as_bytes()]),
        }
    }

    /// From the words of one message.
    ///
    /// # Errors
    /// [`Misread`].
    pub fn parse(payload: &[u8]) -> Result<Answer, Misread> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match words(payload)?.as_slice() {
            [b"done"] => Ok(Answer::Done),
            [b"value", value] => Ok(Answer::Value(Text::cut(text(value)))),
            [b"nothing", why] => Ok(Answer::Nothing(Text::cut(text(why)))),
            [b"refused", why] => Ok(Answer::Refused(Text::cut(text(why)))),
            other => Err(Misread::Verb(other.first().map_or(String::new(), |word| text(word)))),
        }
    }
}

/// The script's side: hands one end of a new pair over.
///
/// # Errors
/// The socket's.
pub fn knock(inherited: BorrowedFd<'_>, theirs: BorrowedFd<'_>) -> io::Result<()> {
    send_descriptors(inherited, b"b", &[theirs]).map(drop)
}

/// What came over the socket that a script inherited.
#[derive(Debug)]
pub enum Knock {
    /// One end of a pair that a call comes over. Whatever it really is, it was the script's own.
    Call(OwnedFd),
    /// Nothing now.
    Nothing,
    /// Something else.
    Garbage,
    /// No process of the script holds the descriptor any more.
    End,
}

/// The worker's side; its end does not block.
pub fn receive_knock(own: BorrowedFd<'_>) -> Knock {
    let mut byte = [0; 8];
    match receive_descriptors(own, &mut byte) {
        Ok((0, fds)) if fds.is_empty() => Knock::End,
        Ok((1, mut fds)) if byte[0] == b'b' && fds.len() == 1 => fds.pop().map_or(Knock::Garbage, Knock::Call),
        Ok(_) => Knock::Garbage,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Knock::Nothing,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Knock::Garbage,
        Err(_) => Knock::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(all: &[&[u8]]) -> Result<Call, Misread> {
        Call::parse(&frame(all)[4..])
    }

    #[test]
    fn a_call_is_a_verb_with_names_and_values_in_any_order() {
        let said = Call::Say { text: Text::cut("hi"), code: true };
        assert_eq!(parse(&[b"say", b"code", b"yes", b"text", b"hi"]), Ok(said));
        let recall = Call::Recall { key: "it".parse().expect("a key"), scope: Scope::Mine };
        assert_eq!(parse(&[b"recall", b"key", b"it"]), Ok(recall));
    }

    #[test]
    fn what_is_missing_unknown_twice_too_long_or_no_text_is_named() {
        let long = vec![b'x'; MAX_SAID + 1];
        let calls: [(&[&[u8]], Misread); 8] = [
            (&[], Misread::Empty),
            (&[b"shout"], Misread::Verb("shout".to_owned())),
            (&[b"say"], Misread::Missing("text")),
            (&[b"say", b"text"], Misread::Odd),
            (&[b"say", b"text", b"x", b"to", b"@all"], Misread::Unknown("to".to_owned())),
            (&[b"say", b"text", b"x", b"text", b"y"], Misread::Twice("text".to_owned())),
            (&[b"say", b"text", &long], Misread::TooLong("text")),
            (&[b"say", b"text", b"\xff"], Misread::NotText("text")),
        ];
        for (call, expected) in calls {
            assert_eq!(parse(call), Err(expected));
        }
        assert_eq!(parse(&[b"remember", b"key", b"../x", b"value", b""]), Err(Misread::Key("key")));
        assert_eq!(parse(&[b"progress", b"percent", b"-1"]), Err(Misread::Number("percent")));
    }

    #[test]
    fn every_verb_has_a_name_of_its_own() {
        for verb in Verb::ALL {
            assert_eq!(Verb::named(verb.as_str()), Some(verb));
        }
        assert_eq!(Verb::named("Say"), None);
    }

    #[test]
    fn an_answer_comes_out_as_it_went_in() {
        for answer in [
            Answer::Done,
            Answer::Value(Text::cut("x")),
            Answer::Nothing(Text::cut("no")),
            Answer::Refused(Text::cut("never")),
        ] {
            let whole = answer.encode();
            let length = announced([whole[0], whole[1], whole[2], whole[3]]).expect("small");
            assert_eq!(length, whole.len() - 4);
            assert_eq!(Answer::parse(&whole[4..]), Ok(answer));
        }
    }
}
