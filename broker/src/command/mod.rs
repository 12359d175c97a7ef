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

    /// The people whom a command of this name mentions, as [`user_name`] writes them: they are looked up on the server
    /// before the command is obeyed.
    pub fn people(self, _command: &parse::Command) -> Vec<String> {
        match self {
            Builtin::Ping | Builtin::Help | Builtin::Whoami | Builtin::Run | Builtin::Explain | Builtin::About => {
                Vec::new()
            }
        }
    }

    /// The command of that name.
    pub fn named(name: &str) -> Option<Builtin> {
        Builtin::ALL.into_iter().find(|builtin| builtin.name() == name)
    }
}

/// A user name as people write it, `@` or not, as the server has it; `None` for what cannot be one.
pub fn user_name(word: &str) -> Option<String> {
    let name = word.strip_prefix('@').unwrap_or(word).to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    (!name.is_empty() && name.len() <= 64 && name.bytes().all(plain)).then_some(name)
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
