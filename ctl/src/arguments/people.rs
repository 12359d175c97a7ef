//! The command line about people, bans, second factors and admins.

use bartizan_proto::ids::FlagName;
use clap::Subcommand;

/// About people.
#[derive(Debug, Subcommand)]
pub enum People {
    /// List everybody who has a level or flags
    List,
    /// Show one person, listed or not
    Show {
        /// Name, @name or id
        #[arg(value_name = "USER")]
        who: String,
    },
    /// Give a level, flags, or both
    #[command(after_help = "Example: bartizan people set bob operator --flag deploy --no-flag on-call")]
    Set {
        /// Name, @name or id
        #[arg(value_name = "USER")]
        who: String,
        /// user, operator or admin
        #[arg(value_name = "LEVEL")]
        level: Option<String>,
        /// Give this flag; may be repeated
        #[arg(long = "flag", value_name = "FLAG")]
        flags: Vec<FlagName>,
        /// Take this flag away; may be repeated
        #[arg(long = "no-flag", value_name = "FLAG")]
        no_flags: Vec<FlagName>,
    },
    /// Take a person off the list: they count as user then
    Remove {
        /// Name, @name or id
        #[arg(value_name = "USER")]
        who: String,
    },
    /// Keys that people sign approvals with, outside of chat
    #[command(subcommand)]
    Key(Key),
}

/// About keys.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// List all of them
    List,
    /// Register one: for root and the service's own user
    #[command(after_help = "Example: bartizan people key add alice \"$(cat id_ed25519.pub)\"")]
    Add {
        /// Name, @name or id
        #[arg(value_name = "USER")]
        who: String,
        /// The line of a file like id_ed25519.pub: ssh-ed25519 AAAA…
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Take one away: what was approved by it, and has not started, does not run
    Remove {
        /// The key, or its fingerprint SHA256:…
        #[arg(value_name = "KEY")]
        key: String,
    },
}

/// About bans.
#[derive(Debug, Subcommand)]
pub enum Bans {
    /// List the bans in force
    List,
    /// Ban a person
    #[command(after_help = "Example: bartizan bans add mallory \"floods the channel\" 7d")]
    Add {
        /// Name, @name or id
        #[arg(value_name = "USER")]
        who: String,
        /// Why
        #[arg(value_name = "REASON")]
        reason: String,
        /// 30m, 1h, 7d, 2w or permanent
        #[arg(value_name = "DURATION")]
        duration: String,
    },
    /// End a ban
    Remove {
        /// Name, @name or id
        #[arg(value_name = "USER")]
        who: String,
    },
}

/// About second factors.
#[derive(Debug, Subcommand)]
pub enum Totp {
    /// Make a second factor for somebody who has none, and show it for their authenticator
    #[command(after_help = "It counts from its first code on, which they send to the bot: !elevate 123456")]
    Enroll {
        /// Name, @name or id
        #[arg(value_name = "USER")]
        who: String,
    },
    /// Take a second factor away: what waits by it does not run
    Reset {
        /// Name, @name or id
        #[arg(value_name = "USER")]
        who: String,
    },
    /// Say how somebody's second factor stands
    Status {
        /// Name, @name or id
        #[arg(value_name = "USER")]
        who: String,
    },
}

/// About admins.
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Make a person admin, where there is no admin yet
    Bootstrap {
        /// Name, @name or id
        #[arg(value_name = "USER")]
        who: String,
        /// Also where there is an admin already
        #[arg(long)]
        again: bool,
    },
}
