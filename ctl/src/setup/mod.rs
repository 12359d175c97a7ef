//! `bartizan setup`: the first day. Asks where the server is, for the bot's token, for the first admin and for the channels;
//! has each answer checked against the server itself; then writes the configuration and hands the token on.
//!
//! This process makes no connection of its own: `bartizan-egress` does, as it will for the service, confined and without
//! root ([`server`]). Nothing is overwritten: the change is shown, and the old file is kept beside the new one ([`files`]).

mod dialog;
mod files;
pub(crate) use files::replace;
mod server;

use crate::brain;
use crate::commands::Out;
use crate::exit::{CtlError, Exit};
use crate::{ask, installation};
use bartizan_proto::control::Request;
use bartizan_proto::text::printable;
use clap::Args;
use dialog::Dialog;
use serde::Serialize;
use server::{Asked, Server};
use std::path::{Path, PathBuf};

/// Most channels that may be named.
const MOST_CHANNELS: usize = 64;

/// What `bartizan setup` takes. What is given is not asked for; without a terminal all but the channels must be given, and
/// the token comes through standard input.
#[derive(Debug, Args)]
pub struct SetupArguments {
    /// The configuration to write to [default: the installation's]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the Mattermost server, like https://chat.example.com
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Certificates to believe instead of the system's (PEM), for a server with a CA of its own
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// An HTTP proxy that connects to the server, like http://proxy.example.com:3128
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// A certificate of ours (PEM), for a server that asks for one
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_certificate: Option<PathBuf>,
    /// Its key (PEM, mode 0400)
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    client_key: Option<PathBuf>,
    /// The team, as in the address of its channels
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Who is the first admin, by user name in Mattermost
    #[arg(long, value_name = "NAME")]
    admin: Option<String>,
    /// Take commands in this channel only; may be said several times [default: every channel of the team]
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,
    /// Check everything and show what would change; write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Why there is nothing set up. Whatever it says, nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No configuration to change.
    #[error("{path}: {error}; install Bartizan first (`make install`, or its package), as root")]
    NoConfig {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        error: std::io::Error,
    },
    /// The file is there and is no configuration.
    #[error("{path}: {why}; correct it by hand first")]
    BrokenConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Something was not given, and there is nobody to ask.
    #[error("{flag} is missing; give it, or run `bartizan setup` at a terminal")]
    Missing {
        /// The flag.
        flag: &'static str,
    },
    /// The server cannot be used.
    #[error("{url}: {why}")]
    Server {
        /// Its address.
        url: String,
        /// Why not, with what to do.
        why: String,
    },
    /// The token is none of that server's.
    #[error(
        "the server does not know this token: make one for the bot (Integrations, Bot Accounts, Create New Token) and copy it whole"
    )]
    Token,
    /// What stands in an example in the token's place.
    #[error(
        "that is an example's placeholder, not a token: make one for the bot (Integrations, Bot Accounts, Create New Token) and copy it whole"
    )]
    Placeholder,
    /// No such team, or the bot is not in it.
    #[error(
        "the server knows no team \"{0}\", or the bot is not in it: add the bot to the team, and use the name in its address"
    )]
    Team(String),
    /// Nobody who could be an admin.
    #[error("\"{name}\" cannot be an admin: {why}")]
    Admin {
        /// Who.
        name: String,
        /// Why not.
        why: String,
    },
    /// No channel that commands could be taken in.
    #[error("#{name}: {why}")]
    Channel {
        /// Which.
        name: String,
        /// Why not.
        why: String,
    },
    /// Somebody said no.
    #[error("given up; nothing was changed")]
    GivenUp,
}

/// What was done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Done {
    config: PathBuf,
    /// The configuration as it was; nothing where it was right already.
    kept: Option<PathBuf>,
    diff: String,
    server_version: String,
    bot: String,
    team: String,
    admin: String,
    channels: Vec<String>,
    token: String,
    warnings: Vec<String>,
    next: Vec<String>,
}

/// Asks, checks, writes.
///
/// # Errors
/// [`CtlError`]; nothing was written unless the error names the file.
pub fn run(arguments: &SetupArguments, socket: &Path, out: &Out) -> Result<Exit, CtlError> {
    let mut dialog = Dialog::of_stdin();
    // 1. What there is to change.
    let installed = installation::own();
    let path = arguments.config.clone().or_else(|| installed.map(|found| found.config));
    let path = std::path::absolute(path.unwrap_or_else(|| crate::arguments::DEFAULT_CONFIG.into()))?;
    let before = files::Config::read(&path)?;

    // 2. The answers, each checked by the server.
    let asked = questions(arguments, &mut dialog, &before)?;

    // 3. The change, shown before it is made.
    let after = before.with(&asked.wanted)?;
    let diff = before.diff(&after);
    let mut done = Done {
        config: path.clone(),
        kept: None,
        diff,
        server_version: asked.server_version,
        bot: asked.bot,
        team: asked.wanted.team.clone(),
        admin: asked.wanted.admin.clone(),
        channels: asked.wanted.channels.clone(),
        token: "not kept (--dry-run)".to_owned(),
        warnings: asked.warnings,
        next: Vec::new(),
    };
    if arguments.dry_run {
        return out.give(&done, |_| shown(&done));
    }
    if dialog.is_terminal() {
        dialog.say(if done.diff.is_empty() { "The configuration is right already." } else { done.diff.trim_end() });
        if !dialog.confirm("Write this, and keep the token?")? {
            return Err(SetupError::GivenUp.into());
        }
    }

    // 4. The token first: a configuration without it would be a service without chat.
    let runs = ask::ask(socket, &Request::Status).is_ok();
    done.token = match runs {
        true => brain::store_token(socket, asked.token, false)?,
        false => files::write_token(&before, &asked.token)?,
    };
    if !done.diff.is_empty() {
        done.kept = Some(files::replace(&path, &after)?);
    }
    done.next = next(runs);
    out.give(&done, |_| shown(&done))
}

/// What all questions together give.
struct Answers {
    wanted: files::Wanted,
    token: bartizan_secret::Zeroizing<Vec<u8>>,
    server_version: String,
    bot: String,
    warnings: Vec<String>,
}

fn questions(arguments: &SetupArguments, dialog: &mut Dialog, before: &files::Config) -> Result<Answers, CtlError> {
    let client = arguments.client_certificate.as_deref().zip(arguments.client_key.as_deref());
    let server = Server::beside(arguments.ca_file.as_deref(), arguments.proxy.as_deref(), client)?;
    // 1. The server: it answers, and asks for a token.
    let url = Asked { flag: "--url", what: "Address of the Mattermost server", given: arguments.url.as_deref() };
    let url = dialog.until(&url, before.url().as_deref(), |url| {
        let url = url.trim_end_matches('/').to_owned();
        server.answers(&url).map(|()| url)
    })?;
    dialog.say(&format!("  {url} answers."));
    // 2. The token: the server knows it.
    let token = dialog.token(|token| match is_placeholder(token) {
        true => Err(SetupError::Placeholder),
        false => server.knows(&url, token),
    })?;
    dialog.say("  The server knows the token.");
    // 3. The team, with the bot in it. From here on one egress stays.
    let team =
        Asked { flag: "--team", what: "Team, as in the address of its channels", given: arguments.team.as_deref() };
    let mut session = dialog.until(&team, before.team().as_deref(), |team| server.open(&url, &token, team))?;
    dialog.say(&format!("  The bot is @{} in {}.", session.bot(), session.team));
    // 4. The first admin: a person of that server.
    let admin = Asked { flag: "--admin", what: "First admin, by user name", given: arguments.admin.as_deref() };
    let admin = dialog.until(&admin, None, |name| session.person(name))?;
    dialog.say(&format!("  @{admin} is there."));
    // 5. The channels: those that the bot sees.
    let given = (!arguments.channels.is_empty()).then(|| arguments.channels.join(","));
    let given = given.or_else(|| (!dialog.is_terminal()).then(String::new));
    let channels = Asked {
        flag: "--channel",
        what: "Channels where commands are taken, by name (nothing: every channel of the team)",
        given: given.as_deref(),
    };
    let channels = dialog.until(&channels, Some(""), |list| channels_of(list, &mut session))?;
    if !channels.is_empty() {
        dialog.say(&format!(
            "  The bot sees {}.",
            channels.iter().map(|name| format!("#{name}")).collect::<Vec<_>>().join(", ")
        ));
    }
    let mut warnings = Vec::new();
    if session.bot_is_admin() {
        warnings.push("the bot is a system administrator of the server; an ordinary bot account is enough".to_owned());
    }
    let by = session.may_mention_channels();
    if !by.is_empty() {
        warnings.push(format!(
            "the bot may notify whole channels (@channel, @all, @here), by the role {}, and has no use for it",
            by.join(", ")
        ));
    }
    if url.starts_with("http://") && !server::is_loopback(&url) {
        warnings.push("plain http to another machine: the token can be read on the way".to_owned());
    }
    Ok(Answers {
        bot: session.bot().to_owned(),
        server_version: session.version().to_owned(),
        wanted: files::Wanted {
            url,
            team: session.team.clone(),
            ca_file: arguments.ca_file.as_deref().map(std::path::absolute).transpose()?,
            proxy: arguments.proxy.clone(),
            client: match client {
                None => None,
                Some((certificate, key)) => Some((std::path::absolute(certificate)?, std::path::absolute(key)?)),
            },
            admin,
            channels,
        },
        token,
        warnings,
    })
}

/// Whether it is what an example or a fresh installation has in the token's place. Never so of a token, which is 26 lower-case
/// letters and digits.
fn is_placeholder(token: &[u8]) -> bool {
    let token = String::from_utf8_lossy(token).to_ascii_lowercase();
    let is_one = token.len() == 26 && token.bytes().all(|b| b.is_ascii_alphanumeric());
    let alike = token.bytes().collect::<std::collections::BTreeSet<u8>>().len() <= 1;
    let words = [
        "put-the-token",
        "your",
        "bot-token",
        "bot_token",
        "token-here",
        "token_here",
        "<token",
        "changeme",
        "change-me",
        "change_me",
        "replace",
        "placeholder",
        "example",
        "xxx",
        "todo",
        "...",
    ];
    alike || (!is_one && words.iter().any(|word| token.contains(word)))
}

fn channels_of(list: &str, session: &mut server::Session) -> Result<Vec<String>, SetupError> {
    let mut channels: Vec<String> = Vec::new();
    for name in list.split([',', ' ']).filter(|name| !name.is_empty()) {
        let name = session.channel(name)?;
        if channels.len() == MOST_CHANNELS {
            return Err(SetupError::Channel {
                name,
                why: format!("more than {MOST_CHANNELS} channels; name none for all"),
            });
        }
        if !channels.contains(&name) {
            channels.push(name);
        }
    }
    Ok(channels)
}

/// What is to be typed next.
fn next(runs: bool) -> Vec<String> {
    let start = match (runs, Path::new("/run/systemd/system").exists()) {
        (true, _) => "bartizan restart",
        (false, true) => "systemctl enable --now bartizan-broker",
        (false, false) => "start bartizan-broker as the service's user, from whatever starts services here",
    };
    vec![start.to_owned(), "bartizan doctor".to_owned()]
}

fn shown(done: &Done) -> String {
    let mut text = String::new();
    let mut line = |what: &str, is: &str| text.push_str(&format!("{what:<9} {}\n", printable(is)));
    line("Server", &format!("version {}", done.server_version));
    line("Bot", &format!("@{} in team {}", done.bot, done.team));
    line("Admin", &format!("@{}", done.admin));
    let channels = done.channels.iter().map(|name| format!("#{name}")).collect::<Vec<_>>().join(", ");
    line("Channels", if channels.is_empty() { "every channel of the team" } else { &channels });
    let config = done.config.display().to_string();
    match &done.kept {
        Some(kept) => line("Written", &format!("{config}; as it was: {}", kept.display())),
        None if done.diff.is_empty() => line("Written", &format!("nothing: {config} is right already")),
        None => line("Written", "nothing (--dry-run)"),
    }
    line("Token", &done.token);
    for warning in &done.warnings {
        line("Warning", warning);
    }
    for next in &done.next {
        line("Next", next);
    }
    if done.kept.is_none() && !done.diff.is_empty() {
        text.push_str(&done.diff);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::is_placeholder;

    #[test]
    fn an_examples_placeholder_is_no_token_and_a_token_is_none() {
        for placeholder in [
            "put-the-token-of-the-bot-here",
            "your-bot-token",
            "YOUR_BOT_TOKEN_HERE",
            "<token>",
            "changeme",
            "xxxxxxxxxxxxxxxxxxxxxxxxxx",
            "...",
            "",
            "replace-me",
            "********",
        ] {
            assert!(is_placeholder(placeholder.as_bytes()), "{placeholder}");
        }
        for token in ["9xuqwrwgstrb3mzrxb83nb357a", "tokenbotyourxxx1234567890a", "short", "abc123"] {
            assert!(!is_placeholder(token.as_bytes()), "{token}");
        }
    }
}
