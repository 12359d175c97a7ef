//! A running job from outside: `/proc/PID` of the script and of what it started.

use crate::confine::namespaces::Namespaces;
use crate::descendants;
use bartizan_confine::files::in_force;
use bartizan_confine::readback::{Status, StatusFile};
use bartizan_proto::worker::{InForce, Layer, LayerState, Usage};
use nix::sys::resource::{UsageWho, getrusage};
use rustix::process::Pid;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// The layers that were proved at the start, read again where the kernel shows them from outside.
pub(crate) fn layers(proved: &[InForce], script: Option<Pid>, outside: &Namespaces) -> Vec<InForce> {
    let Some(pid) = script.map(|pid| pid.as_raw_nonzero().get().unsigned_abs()) else { return proved.to_vec() };
    // A script that has just ended shows nothing any more; then what was proved is the last word.
    let Ok(status) = StatusFile::of(pid).and_then(|status| status.read()) else { return proved.to_vec() };
    let inside = Namespaces::of(&pid.to_string()).other_than(outside);
    proved.iter().map(|line| again(line, pid, &status, &inside)).collect()
}

fn again(proved: &InForce, pid: u32, status: &Status, inside: &[(Layer, Option<u64>)]) -> InForce {
    let now = |holds: bool, detail: &str| {
        let state = match proved.state {
            LayerState::On if holds => LayerState::On,
            // It was on and is not: the report must not hide that.
            LayerState::On => LayerState::Off,
            other => other,
        };
        in_force(proved.layer, state, detail)
    };
    match proved.layer {
        Layer::NoNewPrivileges => {
            now(status.no_new_privileges, &format!("NoNewPrivs: {}", u8::from(status.no_new_privileges)))
        }
        Layer::Capabilities => now(
            status.capabilities == 0 && (status.bounding == 0 || status.no_new_privileges),
            &format!("held: {:x}, CapBnd: {:x}", status.capabilities, status.bounding),
        ),
        Layer::Seccomp => now(status.seccomp == 2, &status.seccomp_shown()),
        Layer::UserNamespace
        | Layer::PidNamespace
        | Layer::MountNamespace
        | Layer::NetworkNamespace
        | Layer::IpcNamespace
        | Layer::UtsNamespace
            if proved.state == LayerState::On =>
        {
            let number = inside.iter().find(|entry| entry.0 == proved.layer).and_then(|entry| entry.1);
            now(number.is_some(), &number.map_or("the same as outside".to_owned(), |number| number.to_string()))
        }
        Layer::Limits => std::fs::read_to_string(format!("/proc/{pid}/limits"))
            .map_or_else(|_| proved.clone(), |text| now(true, &limits_shown(&text))),
        Layer::Environment => std::fs::read(format!("/proc/{pid}/environ"))
            .map_or_else(|_| proved.clone(), |bytes| now(true, &names_shown(&bytes))),
        // The kernel shows these only to the process itself: as proved at the start.
        Layer::UserNamespace
        | Layer::PidNamespace
        | Layer::MountNamespace
        | Layer::NetworkNamespace
        | Layer::IpcNamespace
        | Layer::UtsNamespace
        | Layer::Descriptors
        | Layer::LandlockFiles
        | Layer::LandlockNetwork
        | Layer::LandlockScope
        | Layer::OwnUser => proved.clone(),
    }
}

/// The hard limits that a profile sets, from `/proc/PID/limits`.
fn limits_shown(text: &str) -> String {
    let wanted = ["Max cpu time", "Max file size", "Max processes", "Max open files", "Max address space"];
    let shown = text.lines().filter_map(|line| {
        let name = wanted.iter().find(|name| line.starts_with(**name))?;
        let hard = line.strip_prefix(name)?.split_ascii_whitespace().nth(1)?;
        Some(format!("{name} {hard}"))
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// The names of the variables that the script was started with. Not their values: the order may have brought secrets.
fn names_shown(environ: &[u8]) -> String {
    let names = environ.split(|byte| *byte == 0).filter_map(|pair| pair.split(|byte| *byte == b'=').next());
    let names: Vec<_> = names.filter(|name| !name.is_empty()).map(String::from_utf8_lossy).collect();
    names.join(" ")
}

/// What the job has used so far, without its output.
pub(crate) fn usage(init: Pid, since: Option<Instant>) -> Usage {
    let (user_us, system_us) = descendants::processor_time(init);
    let peak = |pid: u32| StatusFile::of(pid).and_then(|status| status.read()).map_or(0, |status| status.peak_memory);
    Usage {
        elapsed_us: since.map_or(0, |since| u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)),
        user_us,
        system_us,
        max_rss: processes(init).into_iter().map(peak).max().unwrap_or(0),
        output: 0,
    }
}

/// What the kernel counted for everything that was waited for, and at least what was seen before a kill.
pub(crate) fn final_usage(seen: Usage, elapsed: Duration, output: u64) -> Usage {
    let microseconds =
        |time: nix::sys::time::TimeVal| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0);
    let counted = getrusage(UsageWho::RUSAGE_CHILDREN).map_or_else(
        |_| Usage::default(),
        |usage| Usage {
            user_us: microseconds(usage.user_time()),
            system_us: microseconds(usage.system_time()),
            max_rss: u64::try_from(usage.max_rss()).unwrap_or(0) * 1024,
            ..Usage::default()
        },
    );
    Usage {
        elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        user_us: counted.user_us.max(seen.user_us),
        system_us: counted.system_us.max(seen.system_us),
        max_rss: counted.max_rss.max(seen.max_rss),
        output,
    }
}

/// The job's processes, without its init.
pub(crate) fn processes(init: Pid) -> Vec<u32> {
    descendants::of(init).into_iter().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()).collect()
}

/// The process that a handle from inside stands for, by its number out here; none once it is gone (the kernel then says
/// -1, which as a number of a process would mean every process).
pub(crate) fn number_of(handle: &OwnedFd) -> Option<Pid> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", handle.as_raw_fd())).ok()?;
    let number = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    number.trim().parse().ok().filter(|number| *number > 0).and_then(Pid::from_raw)
}
