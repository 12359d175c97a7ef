//! The core's own commands: their names, who they are for, how they are written.

use super::whom::{Whom, Wish};
use super::{adduser, audit, ban, chattr, deluser, elevate, parse, secret, unban, whois};
use crate::config::Level;

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
    /// What would this script change?
    DryRun,
    /// What would happen if I ran this?
    Explain,
    /// Which version, for how long, how well confined?
    About,
    /// Who is listed?
    Users,
    /// What may this person do?
    Whois,
    /// Who is banned?
    Banlist,
    /// Give a level.
    Adduser,
    /// Take somebody off the list.
    Deluser,
    /// Give and take flags.
    Chattr,
    /// Ban somebody.
    Ban,
    /// End a ban.
    Unban,
    /// What did this person do?
    Audit,
    /// What runs and what waits?
    Jobs,
    /// How is this job?
    Job,
    /// What did this job print last?
    Tail,
    /// End a job.
    Kill,
    /// Keep a secret.
    Secret,
    /// Which jobs have ended?
    History,
    /// What did this job print?
    Log,
    /// Agree to what somebody asks for.
    Approve,
    /// Say no to it.
    Deny,
    /// Take back what one asked for.
    Withdraw,
    /// What waits for approval?
    Approvals,
    /// Start nothing any more.
    Lockdown,
    /// The second factor.
    Elevate,
    /// What is due next?
    Schedule,
    /// Let a schedule rest.
    Pause,
    /// Let it go on.
    Resume,
    /// Which schedules rest?
    Paused,
    /// Run a script without the approvals that it needs.
    Breakglass,
    /// The receipt of a job.
    Receipt,
}

impl Builtin {
    /// Every one, in the order of `help`.
    pub const ALL: [Builtin; 35] = [
        Builtin::Run,
        Builtin::DryRun,
        Builtin::Help,
        Builtin::Explain,
        Builtin::Whoami,
        Builtin::About,
        Builtin::Ping,
        Builtin::Jobs,
        Builtin::Job,
        Builtin::Tail,
        Builtin::Kill,
        Builtin::History,
        Builtin::Log,
        Builtin::Approve,
        Builtin::Deny,
        Builtin::Withdraw,
        Builtin::Approvals,
        Builtin::Elevate,
        Builtin::Schedule,
        Builtin::Paused,
        Builtin::Pause,
        Builtin::Resume,
        Builtin::Breakglass,
        Builtin::Receipt,
        Builtin::Users,
        Builtin::Whois,
        Builtin::Banlist,
        Builtin::Adduser,
        Builtin::Deluser,
        Builtin::Chattr,
        Builtin::Ban,
        Builtin::Unban,
        Builtin::Audit,
        Builtin::Secret,
        Builtin::Lockdown,
    ];

    /// The least level that it is for. To everybody else it does not exist.
    pub fn level(self) -> Level {
        match self {
            Builtin::Ping
            | Builtin::Help
            | Builtin::Whoami
            | Builtin::Run
            | Builtin::DryRun
            | Builtin::Explain
            | Builtin::About
            | Builtin::Jobs
            | Builtin::Job
            | Builtin::Tail
            | Builtin::Kill
            | Builtin::History
            | Builtin::Log
            | Builtin::Approve
            | Builtin::Deny
            | Builtin::Withdraw
            | Builtin::Approvals
            | Builtin::Elevate
            | Builtin::Schedule
            | Builtin::Paused
            | Builtin::Breakglass
            | Builtin::Receipt => Level::User,
            Builtin::Users | Builtin::Whois | Builtin::Banlist | Builtin::Pause | Builtin::Resume => Level::Operator,
            Builtin::Adduser
            | Builtin::Deluser
            | Builtin::Chattr
            | Builtin::Ban
            | Builtin::Unban
            | Builtin::Audit
            | Builtin::Secret
            | Builtin::Lockdown => Level::Admin,
        }
    }

    /// Whom the words after it mean, and what is wanted of them; none for a command that is not about one person.
    pub fn read(self, words: &[parse::Word]) -> Option<Result<(Whom, Wish), String>> {
        Some(match self {
            Builtin::Ping
            | Builtin::Help
            | Builtin::Whoami
            | Builtin::Run
            | Builtin::DryRun
            | Builtin::Explain
            | Builtin::About
            | Builtin::Users
            | Builtin::Banlist
            | Builtin::Jobs
            | Builtin::Job
            | Builtin::Tail
            | Builtin::Kill
            | Builtin::Secret
            | Builtin::History
            | Builtin::Log
            | Builtin::Approve
            | Builtin::Deny
            | Builtin::Withdraw
            | Builtin::Approvals
            | Builtin::Lockdown
            | Builtin::Elevate
            | Builtin::Schedule
            | Builtin::Pause
            | Builtin::Resume
            | Builtin::Paused
            | Builtin::Breakglass
            | Builtin::Receipt => return None,
            Builtin::Whois => whois::read(words),
            Builtin::Adduser => adduser::read(words),
            Builtin::Deluser => deluser::read(words),
            Builtin::Chattr => chattr::read(words),
            Builtin::Ban => ban::read(words),
            Builtin::Unban => unban::read(words),
            Builtin::Audit => audit::read(words),
        })
    }

    /// Its name in chat.
    pub fn name(self) -> &'static str {
        match self {
            Builtin::Ping => "ping",
            Builtin::Help => "help",
            Builtin::Whoami => "whoami",
            Builtin::Run => "run",
            Builtin::DryRun => "dry-run",
            Builtin::Explain => "explain",
            Builtin::About => "about",
            Builtin::Users => "users",
            Builtin::Whois => "whois",
            Builtin::Banlist => "banlist",
            Builtin::Adduser => "adduser",
            Builtin::Deluser => "deluser",
            Builtin::Chattr => "chattr",
            Builtin::Ban => "ban",
            Builtin::Unban => "unban",
            Builtin::Audit => "audit",
            Builtin::Jobs => "jobs",
            Builtin::Job => "job",
            Builtin::Tail => "tail",
            Builtin::Kill => "kill",
            Builtin::Secret => secret::NAME,
            Builtin::History => "history",
            Builtin::Log => "log",
            Builtin::Approve => "approve",
            Builtin::Deny => "deny",
            Builtin::Withdraw => "withdraw",
            Builtin::Approvals => "approvals",
            Builtin::Lockdown => "lockdown",
            Builtin::Elevate => elevate::NAME,
            Builtin::Schedule => "schedule",
            Builtin::Pause => "pause",
            Builtin::Resume => "resume",
            Builtin::Paused => "paused",
            Builtin::Breakglass => "breakglass",
            Builtin::Receipt => "receipt",
        }
    }

    /// What follows the name.
    pub fn usage(self) -> &'static str {
        match self {
            Builtin::Ping
            | Builtin::Whoami
            | Builtin::About
            | Builtin::Users
            | Builtin::Banlist
            | Builtin::Jobs
            | Builtin::Approvals
            | Builtin::Schedule
            | Builtin::Paused => "",
            Builtin::Pause => " NAME [UNTIL]",
            Builtin::Resume => " NAME",
            Builtin::Job | Builtin::Tail | Builtin::Kill | Builtin::Withdraw => " NUMBER",
            Builtin::Approve => " NUMBER [SIGNATURE]",
            Builtin::Deny => " NUMBER [REASON]",
            Builtin::Elevate => " [CODE [NAME]|enroll|end]",
            Builtin::Breakglass => " NAME [ARGUMENT…] \"REASON\"",
            Builtin::Receipt => " NUMBER",
            Builtin::History => " [NAME]",
            Builtin::Log => " NUMBER [PAGE]",
            Builtin::Whois | Builtin::Deluser | Builtin::Unban => " @USER",
            Builtin::Adduser => " @USER user|operator|admin",
            Builtin::Chattr => " @USER +FLAG -FLAG…",
            Builtin::Ban => " @USER \"REASON\" 30m|1h|7d|2w|permanent",
            Builtin::Audit => " @USER [24h]",
            Builtin::Secret => " set NAMESPACE/NAME VALUE",
            Builtin::Help => " [NAME]",
            Builtin::Run | Builtin::DryRun => " NAME [ARGUMENT…]",
            Builtin::Explain => " COMMAND",
            Builtin::Lockdown => " \"REASON\" [--kill]",
        }
    }

    /// What it does, in a line.
    pub fn description(self) -> &'static str {
        match self {
            Builtin::Ping => "answers Pong!",
            Builtin::Help => "lists what you can run here, or shows one command",
            Builtin::Whoami => "shows who you are to me",
            Builtin::Run => "runs a script; its name alone works too",
            Builtin::DryRun => "shows what a script would change, and changes nothing; for playbooks",
            Builtin::Explain => "shows whether a command would be let through, and runs nothing",
            Builtin::About => "shows my version, uptime and the layers around scripts",
            Builtin::Users => "lists everybody who has a level or flags",
            Builtin::Whois => "shows level, flags and ban of a person",
            Builtin::Banlist => "lists the bans in force",
            Builtin::Adduser => "gives a person a level",
            Builtin::Deluser => "takes a person off the list: they count as user then",
            Builtin::Chattr => "gives flags to a person and takes them away",
            Builtin::Ban => "bans a person: nothing of theirs runs until it ends",
            Builtin::Unban => "ends a ban",
            Builtin::Audit => "shows what the audit log has about a person",
            Builtin::Jobs => "lists what runs and what waits; `ps` works too",
            Builtin::Job => "shows one job",
            Builtin::Tail => "shows what a job printed last",
            Builtin::Kill => "stops a job",
            Builtin::Secret => "keeps a secret for scripts; in a direct message, which you delete afterwards",
            Builtin::History => "lists jobs that have ended, of all scripts or of one",
            Builtin::Log => "shows what a job printed that has ended",
            Builtin::Approve => "approves what somebody else asks for",
            Builtin::Deny => "says no to it",
            Builtin::Withdraw => "takes back what you asked for and nobody has approved yet",
            Builtin::Lockdown => "emergency stop: nothing is started until the host lifts it; `--kill` stops what runs",
            Builtin::Breakglass => {
                "in an emergency: runs a script without its approvals, where it allows that; the admins are told"
            }
            Builtin::Receipt => "gives the signed receipt of a job that has ended",
            Builtin::Elevate => {
                "takes a code of your second factor, enrolls one, says how it stands; in a direct message"
            }
            Builtin::Approvals => "lists what waits for approval: yours, and what you may approve",
            Builtin::Schedule => "lists what is scheduled here, and when it is due next",
            Builtin::Pause => "lets a schedule rest, for good or until `2h`, `18:00`, `2026-12-24`",
            Builtin::Resume => "lets a schedule go on",
            Builtin::Paused => "lists the schedules that rest",
        }
    }

    /// The command of that name; `ps` is another one for `jobs`, `totp` for `elevate`.
    pub fn named(name: &str) -> Option<Builtin> {
        let name = match name {
            "ps" => Builtin::Jobs.name(),
            elevate::OTHER_NAME => elevate::NAME,
            name => name,
        };
        Builtin::ALL.into_iter().find(|builtin| builtin.name() == name)
    }
}
