//! What a line at the prompt means. Pure functions.

use crate::service::Role;
use std::time::Duration;

/// The prompt's own commands with what they do, for `/help` and completion.
pub const COMMANDS: [(&str, &str); 20] = [
    ("/as NAME", "be somebody else: alice (admin), bob (operator), carol (user), dave (unlisted), mallory (banned)"),
    ("/join CHANNEL", "go to another channel: ops, deployments, random, town-square"),
    ("/dm", "go to the direct messages with the bot, where the ! can be left out"),
    ("/thread", "go on in the thread of the bot's last post; /thread off leaves it"),
    ("/react EMOJI", "react to the bot's last post"),
    ("/edit TEXT", "change your last post"),
    ("/more", "show the whole of the bot's last post"),
    ("/file", "show the file of the bot's last post"),
    ("/webhook TEXT", "post here through an incoming webhook that you made"),
    ("/who", "who is who"),
    ("/bartizan ARGS", "the operator's command: /bartizan ps, status, inspect 1, kill 1, doctor"),
    ("/kill ROLE", "kill -9 core, launcher, connector, egress or worker, and watch"),
    ("/restart ROLE", "end one of them politely and wait until it is back"),
    ("/fault NAME", "let the chat server fail: 429, 500, drop, delay, duplicate, reorder, close, restart …"),
    ("/clock +15m", "move the chat server's clock"),
    ("/wait 2s", "let time pass: for scripts on standard input"),
    ("/log", "the end of Bartizan's log"),
    ("/state", "where this Bartizan keeps its things"),
    ("/help", "this list; !help is the bot's own"),
    ("/quit", "end everything"),
];

/// A line's meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    Empty,
    /// A message.
    Say(String),
    /// Be somebody else.
    As(String),
    /// Go to a channel.
    Join(String),
    /// Go to the direct channel.
    Direct,
    /// Go into a thread, or out of it.
    Thread(bool),
    /// React.
    React(String),
    /// Change the last post.
    Edit(String),
    /// Show a long post.
    More,
    /// Show a file.
    File,
    /// Post through a webhook.
    Webhook(String),
    /// Who is who.
    Who,
    /// The operator's command.
    Operator(String),
    /// Kill.
    Kill(Role),
    /// Restart.
    Restart(Role),
    /// A fault.
    Fault(String),
    /// Move the clock.
    Clock(Duration),
    /// Let time pass.
    Wait(Duration),
    /// The log.
    Log,
    /// Directories.
    State,
    /// The list of commands.
    Help,
    /// Leave.
    Quit,
    /// None of these: why.
    Wrong(String),
}

/// Reads a line.
pub fn read(line: &str) -> Input {
    let text = line.trim();
    if text.is_empty() {
        return Input::Empty;
    }
    if let Some(command) = text.strip_prefix("$ bartizan") {
        return Input::Operator(command.trim().to_owned());
    }
    let Some(command) = text.strip_prefix('/').filter(|command| !command.starts_with("me ")) else {
        return Input::Say(line.trim_end_matches(['\n', '\r']).to_owned());
    };
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    let need = |what: &str, input: fn(String) -> Input| match rest {
        "" => Input::Wrong(format!("/{name} needs {what}")),
        rest => input(rest.to_owned()),
    };
    let role = |input: fn(Role) -> Input| {
        Role::named(rest)
            .map_or_else(|| Input::Wrong(format!("/{name} needs broker, launcher, connector, egress or worker")), input)
    };
    let time = |input: fn(Duration) -> Input| {
        let time: Option<jiff::SignedDuration> = rest.trim_start_matches('+').parse().ok();
        let time = time.and_then(|time| Duration::try_from(time).ok());
        time.map_or_else(|| Input::Wrong(format!("/{name} needs a time like 2s or 15m")), input)
    };
    match name {
        "as" | "su" => need("a name", |name| Input::As(name.trim_start_matches('@').to_owned())),
        "join" | "j" | "channel" => {
            need("a channel", |name| Input::Join(name.trim_start_matches(['#', '~']).to_owned()))
        }
        "dm" | "msg" => Input::Direct,
        "thread" => Input::Thread(!["off", "leave", "out"].contains(&rest)),
        "react" => need("an emoji's name", |emoji| Input::React(emoji.trim_matches(':').to_owned())),
        "edit" => need("the new text", Input::Edit),
        "more" => Input::More,
        "file" => Input::File,
        "webhook" => need("a text", Input::Webhook),
        "who" | "people" | "channels" => Input::Who,
        "bartizan" | "ctl" => Input::Operator(rest.to_owned()),
        "kill" => role(Input::Kill),
        "restart" => role(Input::Restart),
        "fault" => need("a fault's name", Input::Fault),
        "clock" => time(Input::Clock),
        "wait" | "sleep" => time(Input::Wait),
        "log" => Input::Log,
        "state" => Input::State,
        "help" | "h" | "?" => Input::Help,
        "quit" | "q" | "exit" | "bye" => Input::Quit,
        _ => Input::Wrong(format!("there is no /{name}; /help lists what there is")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_a_slash_is_the_prompts_and_the_rest_is_said() {
        assert_eq!(read("!ping"), Input::Say("!ping".to_owned()));
        assert_eq!(read("  \n"), Input::Empty);
        assert_eq!(read("/as bob"), Input::As("bob".to_owned()));
        assert_eq!(read("/join #random"), Input::Join("random".to_owned()));
        assert_eq!(read("/kill broker"), Input::Kill(Role::Core));
        assert_eq!(read("/clock +15m"), Input::Clock(Duration::from_secs(900)));
        assert_eq!(read("/react :+1:"), Input::React("+1".to_owned()));
        assert_eq!(read("$ bartizan ps"), Input::Operator("ps".to_owned()));
        assert_eq!(read("/thread off"), Input::Thread(false));
    }

    #[test]
    fn what_is_wrong_says_what_would_be_right() {
        for line in ["/as", "/kill", "/kill everything", "/clock soon", "/nonsense"] {
            assert!(matches!(read(line), Input::Wrong(_)), "{line}");
        }
    }

    #[test]
    fn every_command_of_the_list_is_one() {
        for (usage, _) in COMMANDS {
            let line = usage.replace("ROLE", "core");
            assert!(!matches!(read(&line), Input::Wrong(_) | Input::Say(_)), "{usage}");
        }
    }
}
