//! A no-op on twenty machines over SSH: a whole job of the backend `ssh` beside twenty clients of OpenSSH's at once, and beside
//! `ansible -m raw` with twenty forks, the same daemons on the other side. And the near side alone with simulated targets: what each takes must not depend on how many there are.

use super::numbers::median;
use super::progress::Progress;
use super::side::Programs;
use super::table::{Goal, Table};
use super::{BenchError, Effort, io};
use crate::remote::{Fleet, Wish};
use bartizan_playground::service::hosts;
use bartizan_proto::remote::{FromRemote, PlannedTarget, SignedOrder};
use bartizan_proto::worker::{Ending, Usage};
use bartizan_proto::{Bytes, List, Text, frame};
use bartizan_remote::fleet::{Report, Rules, roll_out};
use bartizan_remote::host::{HostResult, Outcome, visit};
use bartizan_remote::ssh::Place;
use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

/// Machines.
const MACHINES: u8 = 20;

/// Simulated targets, few and many.
const SIMULATED: [usize; 2] = [100, 1000];

/// Both figures; where there can be no machines, only the second.
pub(super) fn measure(
    effort: Effort,
    programs: &Programs,
    table: &mut Table,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    match hosts::missing() {
        Some(why) => println!("no figures over SSH: {why}"),
        None => machines(effort, programs, table, progress)?,
    }
    simulated(table, progress)
}

fn machines(effort: Effort, programs: &Programs, table: &mut Table, progress: &mut Progress) -> Result<(), BenchError> {
    let fleet = Fleet::start(&programs.folder, MACHINES).map_err(io("twenty machines"))?;
    let wish = Wish::of("exit 0");
    let has_ansible = Path::new("/usr/bin/ansible").exists();
    let (mut ours, mut plain, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..effort.starts * 2 {
        progress.say("twenty machines over SSH", round, effort.starts * 2);
        let begun = Instant::now();
        let (_, output) = fleet.roll_out(&wish).map_err(io("a roll-out"))?;
        ours.push(begun.elapsed());
        if !output.contains("20 ok") {
            return Err(BenchError::Missing(format!("a roll-out in which all did it: {output}")));
        }
        plain.push(fleet.plainly("true").map_err(io("plain ssh"))?);
        if has_ansible {
            raw.push(fleet.by_ansible("true").map_err(io("ansible -m raw"))?);
        }
    }
    table.times("a no-op on 20 hosts, beside 20 plain ssh", median(&ours), median(&plain), Goal::AtMost(1.3));
    match has_ansible {
        true => {
            table.times("the same, beside ansible -m raw, 20 forks", median(&ours), median(&raw), Goal::AtMost(1.3))
        }
        false => println!("no figure beside ansible -m raw: needs /usr/bin/ansible (Debian: ansible-core)"),
    }
    Ok(())
}

/// A client that says at once what a far side that did it says.
fn simulated(table: &mut Table, progress: &mut Progress) -> Result<(), BenchError> {
    let folder = tempfile::Builder::new().prefix("bartizan-").tempdir().map_err(io("a directory"))?;
    let client = folder.path().join("ssh");
    let said = [
        FromRemote::Running { layers: List::default(), given: List::default() },
        FromRemote::Output(Bytes::new(vec![b'x'; 200]).unwrap_or_default()),
        FromRemote::Finished {
            ending: Ending::Ended(bartizan_proto::launcher::ExitStatus::Code(0)),
            usage: Usage::default(),
        },
    ];
    let frames: Vec<u8> = said.iter().flat_map(|message| frame::encode(message).unwrap_or_default()).collect();
    let answer = folder.path().join("answer");
    std::fs::write(&answer, frames).map_err(io("an answer"))?;
    std::fs::write(&client, format!("#!/bin/sh\nexec cat {}\n", answer.display())).map_err(io("a client"))?;
    std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o755)).map_err(io("a client"))?;
    let place = Place { program: client, ..Place::new(folder.path()) };
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for count in SIMULATED {
        progress.say("simulated targets", count, SIMULATED[1]);
        let before = resident();
        let begun = Instant::now();
        let results = rolled(&place, count);
        times.push(begun.elapsed() / u32::try_from(count).unwrap_or(1));
        memory.push(resident().saturating_sub(before) as f64 / count as f64);
        let done = results.iter().filter(|result| result.outcome == Outcome::Done).count();
        if done != count {
            return Err(BenchError::Missing(format!("{count} simulated targets that did it; {done} did")));
        }
    }
    table.times("a target of 1,000, beside one of 100", times[1], times[0], Goal::AtMost(1.2));
    let shown = |bytes: f64| format!("{bytes:.0} B");
    let (few, many) = (memory[0], memory[1]);
    table.absolute("  memory for each of 1,000", shown(many), shown(few), many / 1024.0, Goal::AtMost(8.0), " KiB");
    Ok(())
}

fn rolled(place: &Place, count: usize) -> Vec<HostResult> {
    struct Nobody;
    impl Report for Nobody {
        fn line(&mut self, _: &str, _: &[u8]) {}
        fn ended(&mut self, _: &HostResult, _: usize, _: usize) {}
    }
    let order = Fleet::order_of("web-1");
    let target = |n: usize| PlannedTarget {
        name: format!("web-{n}").parse().expect("a name"),
        host: Text::cut("192.0.2.1"),
        port: 22,
        user: Text::cut("deploy"),
        key: "ssh/deploy".parse().expect("a name"),
        host_keys: List::cut([Text::cut("ssh-ed25519 AAAA")]),
        order: SignedOrder { format: 1, order: order.clone(), signature: Bytes::default() },
    };
    let targets = (0..count).map(|n| Ok::<_, Infallible>(target(n)));
    let visit = |target: PlannedTarget, tell: &_| visit(place, target, b"#!/bin/sh\n", 1024, tell);
    let rules = Rules { fanout: 10, canary: 0, stop_after: 0 };
    roll_out(rules, count, targets, &visit, &mut Nobody).unwrap_or_else(|never| match never {})
}

/// What this process holds in memory, in bytes (`proc_pid_statm(5)`).
fn resident() -> u64 {
    let statm = std::fs::read_to_string(Path::new("/proc/self/statm")).unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * u64::try_from(rustix::param::page_size()).unwrap_or(4096)
}
