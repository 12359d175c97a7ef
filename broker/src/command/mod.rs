//! Commands that the core answers itself, one file each, and the reading of command lines.

pub mod about;
pub mod explain;
pub mod help;
pub mod parse;
pub mod whoami;

/// A command of the core's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builtin {
    /// Is it alive?
    Ping,
    /// What can I run here?
    Help,
    /// Who am I to it?
    Whoami,
    /// Run a script by its name.
    Run,
    /// What would happen if I ran this?
    Explain,
    /// Which version, for how long, how well confined?
    About,
}

impl Builtin {
    /// Every one, in the order of `help`.
    pub const ALL: [Builtin; 6] =
        [Builtin::Run, Builtin::Help, Builtin::Explain, Builtin::Whoami, Builtin::About, Builtin::Ping];

    /// Its name in chat.
    pub fn name(self) -> &'static str {
        match self {
            Builtin::Ping => "ping",
            Builtin::Help => "help",
            Builtin::Whoami => "whoami",
            Builtin::Run => "run",
            Builtin::Explain => "explain",
            Builtin::About => "about",
        }
    }

    /// What follows the name.
    pub fn usage(self) -> &'static str {
        match self {
            Builtin::Ping | Builtin::Whoami | Builtin::About => "",
            Builtin::Help => " [NAME]",
            Builtin::Run => " NAME [ARGUMENT…]",
            Builtin::Explain => " COMMAND",
        }
    }

    /// What it does, in a line.
    pub fn description(self) -> &'static str {
        match self {
            Builtin::Ping => "answers Pong!",
            Builtin::Help => "lists what you can run here, or shows one command",
            Builtin::Whoami => "shows who you are to me",
            Builtin::Run => "runs a script; its name alone works too",
            Builtin::Explain => "shows whether a command would be let through, and runs nothing",
            Builtin::About => "shows my version, uptime and the layers around scripts",
        }
    }

    /// The command of that name.
    pub fn named(name: &str) -> Option<Builtin> {
        Builtin::ALL.into_iter().find(|builtin| builtin.name() == name)
    }
}

/// The command that the words after the name make: of `run deploy x`, `deploy x`.
pub fn inner(command: &parse::Command) -> Option<parse::Command> {
    let (name, words) = command.words.split_first()?;
    Some(parse::Command { name: name.text.clone(), words: words.to_vec() })
}

/// The command itself, without a `run` before it.
pub fn without_run(command: parse::Command) -> parse::Command {
    let inside = if command.name == Builtin::Run.name() { inner(&command) } else { None };
    inside.unwrap_or(command)
}
