//! `bartizan script`: what whoever writes scripts needs, on the host and without chat: a beginning, and a trial in the sandbox.

mod calls;
mod new;
mod observe;
mod report;
mod trial;

use crate::arguments::DEFAULT_CONFIG;
use crate::commands::Out;
use crate::exit::{CtlError, Exit};
use crate::{installation, siblings};
use bartizan_proto::ids::ScriptName;
use bartizan_proto::text::printable;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::Output;

/// What to do with scripts.
#[derive(Debug, Subcommand)]
pub enum ScriptCommand {
    /// Make a script, its entry in the allowlist, and a transcript that tests it; nothing that is there is changed
    #[command(after_help = "Example: bartizan script new report --lang python")]
    New {
        /// Its name
        #[arg(value_name = "NAME")]
        name: ScriptName,
        /// In which language
        #[arg(long, value_enum, default_value = "bash")]
        lang: Language,
        /// Which configuration
        #[command(flatten)]
        config: ConfigChoice,
    },
    /// Run a script of the allowlist here, confined as a job is, and say what the sandbox refused and what would grant it
    #[command(after_help = "Example: bartizan script try report service=web-app")]
    Try {
        /// Which configuration
        #[command(flatten)]
        config: ConfigChoice,
        /// Its name
        #[arg(value_name = "NAME")]
        name: ScriptName,
        /// Its arguments, as in chat
        #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Begin a trial's worker where it can be watched; `try` starts this by itself
    #[command(hide = true)]
    Watched,
}

/// Which configuration.
#[derive(Debug, Args)]
pub struct ConfigChoice {
    /// The configuration [default: the installation's, else /etc/bartizan/bartizan.toml]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

/// What a new script is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// bash
    Bash,
    /// Python 3
    Python,
}

/// Runs one of them.
pub(crate) fn run(command: &ScriptCommand, out: &Out) -> Result<Exit, CtlError> {
    match command {
        ScriptCommand::New { name, lang, config } => new::make(name, *lang, config, out),
        ScriptCommand::Try { config, name, arguments } => trial::run(config, name, arguments, out),
        ScriptCommand::Watched => Err(observe::become_worker()),
    }
}

impl ConfigChoice {
    fn path(&self) -> Result<PathBuf, CtlError> {
        let installed = || installation::own().map(|found| found.config);
        let path = self.config.clone().or_else(installed).unwrap_or_else(|| DEFAULT_CONFIG.into());
        Ok(std::path::absolute(path)?)
    }

    /// The broker's words for it: an installed one reads its own configuration and no other.
    fn words(&self) -> Result<Vec<std::ffi::OsString>, CtlError> {
        match installation::own() {
            Some(_) => Ok(Vec::new()),
            None => Ok(vec!["--config".into(), self.path()?.into()]),
        }
    }

    /// What the broker says of it.
    fn ask_broker(&self, words: &[std::ffi::OsString]) -> Result<Output, CtlError> {
        siblings::broker(self.words()?.iter().chain(words))
    }
}

/// Something is not as it must be; nothing was changed, or everything is as it was again.
fn no(why: impl AsRef<str>) -> CtlError {
    CtlError::Script(printable(why.as_ref()))
}
