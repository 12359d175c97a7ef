//! What can be written on the command line: the verbs.

use crate::chart::Kind;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// What a job's script may ask of Bartizan. Every verb but `secret` has to be granted: api = ["say", …] in the script's entry of
/// the allowlist. Exit 0: done; 1: refused; 2: wrong use; 3: there is nothing (not remembered, cancelled, no answer in time).
#[derive(Debug, Parser)]
#[command(name = "bz", version, disable_help_subcommand = false)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Post in the job's thread. Nothing in the text is markup.
    Say {
        /// In a fence, as output is shown.
        #[arg(long)]
        code: bool,
        /// The words; `-` alone reads them from the standard input.
        #[arg(required = true, allow_hyphen_values = true)]
        text: Vec<String>,
    },
    /// The same, with the name of who asked for the job before it.
    Reply {
        /// In a fence, as output is shown.
        #[arg(long)]
        code: bool,
        /// The words; `-` alone reads them from the standard input.
        #[arg(required = true, allow_hyphen_values = true)]
        text: Vec<String>,
    },
    /// Show in the job's live post how far it is.
    Progress {
        /// A percentage as `40` or `40%`, a part as `3/8`, or `-` for none.
        done: String,
        /// What it does now.
        text: Vec<String>,
    },
    /// Print an argument by its name in the schema.
    Param {
        /// The name.
        name: String,
    },
    /// Print a secret that the allowlist attaches to this script.
    Secret {
        /// NAMESPACE/NAME, or NAME.
        name: String,
    },
    /// Write a line into the service's log.
    Log {
        /// The words.
        #[arg(required = true, allow_hyphen_values = true)]
        text: Vec<String>,
    },
    /// Remember a value: 14 minutes in a channel, 7 days in a thread or a direct message. An empty one forgets.
    Remember {
        /// For everybody in this place, not only for who asked for the job.
        #[arg(long, conflicts_with = "lasting")]
        shared: bool,
        /// For good, encrypted, for every job of this script. Checks in what `bz checkout` has checked out.
        #[arg(long)]
        lasting: bool,
        /// Its name.
        key: String,
        /// The value; `-` reads it from the standard input.
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Print what was remembered. Exit 3 where nothing was.
    Recall {
        /// As it was remembered.
        #[arg(long, conflicts_with = "lasting")]
        shared: bool,
        /// As it was remembered.
        #[arg(long)]
        lasting: bool,
        /// Its name.
        key: String,
    },
    /// Print a lasting memory, and let no other job change it for 30 s, until `bz remember --lasting` or `--release`.
    Checkout {
        /// Check it in as it is.
        #[arg(long)]
        release: bool,
        /// Its name.
        key: String,
    },
    /// Attach a file to a post in the job's thread.
    File {
        /// The file's name in chat, where it is not its own.
        #[arg(long)]
        name: Option<String>,
        /// The file.
        path: PathBuf,
        /// What the post says.
        #[arg(allow_hyphen_values = true)]
        text: Vec<String>,
    },
    /// Post a table: lines from the standard input, cells separated by tabs, the first line is the head.
    Table {
        /// What stands above it.
        #[arg(long)]
        title: Option<String>,
        /// What separates cells, instead of a tab.
        #[arg(long)]
        separator: Option<String>,
    },
    /// Post a card: a text, a table, names and values beside a coloured line. 7,000 characters, 20 fields.
    Attach {
        /// Post it when this script has ended: green where it ended well, red where it did not, unless a colour is given.
        #[arg(long)]
        at_end: bool,
        /// `plain`, `good` (green), `warning` (yellow) or `danger` (red).
        #[arg(long, visible_alias = "color")]
        colour: Option<String>,
        /// What stands above it, 100 characters.
        #[arg(long)]
        title: Option<String>,
        /// A name (100 characters) and a value (500); several times for several.
        #[arg(long = "field", value_name = "NAME=VALUE")]
        fields: Vec<String>,
        /// A table from the standard input, as `bz table` takes it.
        #[arg(long)]
        table: bool,
        /// What separates cells, instead of a tab.
        #[arg(long, requires = "table")]
        separator: Option<String>,
        /// The words; `-` alone reads them from the standard input.
        #[arg(allow_hyphen_values = true)]
        text: Vec<String>,
    },
    /// Post a difference with its counts: `diff -u OLD NEW | bz diff`. Needs `attach`. What does not fit is left out.
    Diff {
        /// As in `bz attach`.
        #[arg(long)]
        at_end: bool,
        /// `plain`, `good`, `warning` or `danger`; green where there is no difference and yellow where there is one.
        #[arg(long, visible_alias = "color")]
        colour: Option<String>,
        /// What stands above it, 100 characters.
        #[arg(long)]
        title: Option<String>,
        /// A text before it.
        #[arg(allow_hyphen_values = true)]
        text: Vec<String>,
    },
    /// Draw a chart of at most 60 lines with a label and a number each, from the standard input, and attach it. Needs `file`.
    Chart {
        /// Bars, or a line.
        #[arg(long, value_enum, default_value = "bar")]
        kind: Kind,
        /// As in `bz attach`.
        #[arg(long, visible_alias = "color")]
        colour: Option<String>,
        /// What stands above it.
        #[arg(long)]
        title: Option<String>,
    },
    /// Ask in the job's thread, wait, print the answer. `-` in chat cancels, `=` is the default. Exit 3: cancelled, or none in time.
    Ask {
        /// Whoever may see this job may answer, not only who asked for the job.
        #[arg(long, conflicts_with_all = ["user", "direct"])]
        anybody: bool,
        /// Ask somebody else, who may run this script, by name. Needs `ask-others`.
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Ask in a direct message. Needs `ask-others`.
        #[arg(long, conflicts_with = "channel")]
        direct: bool,
        /// Ask in a new thread of another channel, in which this script may be run. Needs `ask-others`.
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// An answer that is taken; several times for several.
        #[arg(long = "choice")]
        choices: Vec<String>,
        /// A regular expression that the whole answer must match.
        #[arg(long, conflicts_with = "choices")]
        pattern: Option<String>,
        /// What `=` stands for.
        #[arg(long)]
        default: Option<String>,
        /// Wait so long, in seconds.
        #[arg(long, default_value_t = 45)]
        timeout: u32,
        /// The question.
        #[arg(required = true, allow_hyphen_values = true)]
        question: Vec<String>,
    },
    /// From now on run this script again with each line that who asked for it writes in the job's thread; `-` there ends it.
    Subscribe {
        /// Whoever may run this script is heard, not only who asked for the job.
        #[arg(long)]
        anybody: bool,
        /// For so long, in seconds; a week at most.
        #[arg(long = "for", value_name = "SECONDS", default_value_t = 3600)]
        seconds: u32,
        /// End it.
        #[arg(long, conflicts_with_all = ["anybody", "seconds"])]
        end: bool,
    },
    /// Run a script after this one: in its turn, and only if this one ends well. It passes the same gates as a command.
    AddTask(Task),
    /// The same, as a pipeline of its own: what it adds, and what cleans up after it, is done before the next task.
    AddJob(Task),
    /// The same with a command as it is written in chat, in one word.
    #[command(name = "add-command")]
    AddLine {
        /// The command, without the prefix.
        command: String,
    },
    /// Run a script in the end, whatever becomes of the pipeline. The last one added is the first one run.
    FinalTask(Task),
    /// Run a script if something in the pipeline fails. The first one added is the first one run.
    FailTask(Task),
    /// Run a script now, beside this one. It may fail by itself.
    SpawnJob(Task),
    /// Have a lock until the pipeline ends. Exit 3: another one has it.
    Exclusive {
        /// Wait until it is free.
        #[arg(long)]
        wait: bool,
        /// Its name: what `exclusive` of an entry names is the same lock.
        tag: String,
    },
}

/// A script to be run, with its arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Task {
    /// Its name in the allowlist.
    pub(crate) name: String,
    /// Its arguments, in their order or as NAME=VALUE.
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    pub(crate) arguments: Vec<String>,
}
