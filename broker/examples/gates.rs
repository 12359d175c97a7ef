//! What the gates cost: 10,000 people, 1,000 scripts, a mix of commands, each timed by itself. `make bench` runs it and
//! prints its figures; attestation, files and the disk are left out.
//!
//! Prints `p50 NANOSECONDS p99 NANOSECONDS`, and fails when a command of the mix is not decided as it must be.

use bartizan_broker::command::parse;
use bartizan_broker::config::{Config, Level, Trust};
use bartizan_broker::gate::rate::Limiter;
use bartizan_broker::gate::{self, Verdict};
use bartizan_broker::people::{Ban, People, Person};
use bartizan_broker::policy::{Place, Policy, Requester};
use bartizan_proto::Text;
use bartizan_proto::ids::{ChannelId, PostId, UserId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::error::Error;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

const PEOPLE: u64 = 10_000;
const SCRIPTS: u64 = 1_000;
const COMMANDS: u64 = 40_000;

/// Commands, who says them, and whether they pass. `N` is a script's number.
const MIX: [(&str, Who, bool); 10] = [
    ("run-job-N production replicas=3", Who::Operator, true),
    ("run-job-N staging --replicas 12 note=\"before lunch\"", Who::Operator, true),
    ("run-job-N staging", Who::Operator, true),
    // A slip: the nearest of a thousand names is looked for.
    ("run-jbo-N staging", Who::Operator, false),
    ("rnu-job-N staging", Who::User, false),
    // Not for this person, which sounds like a slip.
    ("run-job-N staging", Who::User, false),
    ("run-job-N elsewhere", Who::Operator, false),
    ("run-job-N staging replicas=900", Who::Operator, false),
    ("run-job-N staging", Who::Banned, false),
    ("something-else entirely", Who::Unlisted, false),
];

#[derive(Debug, Clone, Copy)]
enum Who {
    Operator,
    User,
    Banned,
    Unlisted,
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let policy = policy(folder.path())?;
    let channel: ChannelId = id('c', 1)?;
    let place = Place { channel, name: Text::cut("ops"), direct: false, private: false };
    let rates = policy.config.rates;
    let mut limiter = Limiter::default();
    let mut taken = Vec::with_capacity(usize::try_from(COMMANDS)?);
    for number in 0..COMMANDS {
        let (text, who, passes) = MIX[usize::try_from(number)? % MIX.len()];
        let text = text.replace('N', &format!("{:03}", number * 7 % SCRIPTS));
        let user: UserId = match who {
            Who::Operator => id('o', number % (PEOPLE / 2))?,
            Who::User => id('u', number % (PEOPLE / 4))?,
            Who::Banned => id('b', number % (PEOPLE / 4))?,
            Who::Unlisted => id('x', number)?,
        };
        let requester = Requester { user, name: Text::cut("somebody"), restricted: false };
        let thread: PostId = id('p', number)?;

        let begun = Instant::now();
        let claimed = limiter.claimed(user, thread, channel, &rates);
        let attested = limiter.attested(user, channel, &rates);
        let command = parse::command(&text)?.ok_or("no command")?;
        let decision = gate::decide(&command, &requester, &place, &policy);
        let script = decision.outcome.as_ref().ok().map(|(script, _)| limiter.script(&script.name, script.rate));
        taken.push(begun.elapsed().as_nanos());

        let passed = decision.outcome.is_ok()
            && [Some(claimed), Some(attested), script]
                .iter()
                .flatten()
                .all(|verdict| matches!(verdict, Verdict::Pass(())));
        if passed != passes {
            return Err(format!("{text:?} by {who:?}: {:?}", decision.outcome).into());
        }
    }
    taken.sort_unstable();
    let at = |percent: usize| taken[taken.len() * percent / 100];
    println!("p50 {} p99 {}", at(50), at(99));
    Ok(())
}

/// An id of the server's form.
fn id<T: std::str::FromStr>(kind: char, number: u64) -> Result<T, String> {
    format!("{kind}{number:0>25}").parse().map_err(|_| "an id".to_owned())
}

fn policy(folder: &Path) -> Result<Policy, Box<dyn Error>> {
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755))?;
    let write = |name: &str, mode: u32, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
        Ok::<_, std::io::Error>(path)
    };
    let mut allowlist = String::new();
    for number in 0..SCRIPTS {
        write!(
            allowlist,
            "[[scripts]]\nname = \"run-job-{number:03}\"\npath = \"job\"\nrequired-permission = \"operator\"\n\
             allowed-channels = [\"ops\"]\nrate = \"1000000/s\"\n[scripts.arguments.where]\ntype = \"enum\"\n\
             values = [\"staging\", \"production\"]\nrequired = true\n[scripts.arguments.replicas]\ntype = \"number\"\n\
             min = 1\nmax = 100\n[scripts.arguments.note]\ntype = \"string\"\nregex = \"[a-z ]{{1,80}}\"\n"
        )?;
    }
    write("token", 0o600, "abcdefghijklmnopqrstuvwxyz\n")?;
    write("job", 0o755, "#!/bin/sh\n")?;
    write("allowlist.toml", 0o644, &allowlist)?;
    let config = write(
        "bartizan.toml",
        0o644,
        "[server]\nurl = \"http://127.0.0.1:1\"\nteam = \"t\"\n[bot]\ntoken-file = \"token\"\n[state]\ndirectory = \"state\"\n\
         [scripts]\nallowlist = \"allowlist.toml\"\ndirectories = [\".\"]\n\
         [rate]\nchannel = \"1000000/s\"\nchannel-replies = \"1000000/s\"\n",
    )?;
    let config = Config::load(&config, &Trust::single_user())?;
    let (mut listed, mut bans) = (HashMap::new(), HashMap::new());
    let name = String::from("somebody");
    for (kind, count, level) in [('o', PEOPLE / 2, Level::Operator), ('u', PEOPLE / 4, Level::User)] {
        for number in 0..count {
            let person =
                Person { name: name.clone(), level, flags: BTreeSet::new(), by: "bench".to_owned(), since_ms: 1 };
            listed.insert(id(kind, number)?, person);
        }
    }
    for number in 0..PEOPLE / 4 {
        let (reason, by) = ("bench".to_owned(), "bench".to_owned());
        bans.insert(id('b', number)?, Ban { name: name.clone(), reason, by, since_ms: 1, until_ms: None });
    }
    Ok(Policy {
        generation: 1,
        config,
        bot: id('z', 1)?,
        bot_name: Text::cut("bartizan"),
        team: id('t', 1)?,
        people: People::new(listed, bans),
        names: BTreeMap::new(),
        groups: HashMap::<String, HashSet<UserId>>::new(),
        channels: [("ops".to_owned(), id('c', 1)?)].into(),
        lockdown: None,
        server_ahead_ms: 0,
    })
}
