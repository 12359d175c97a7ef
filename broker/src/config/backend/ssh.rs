//! `[scripts.ssh]`: the script itself, on each target, by `bartizan-remote`.

use super::super::error::Wrong;
use super::super::raw;
use super::{Backend, Chosen, Targets, between, keys};

/// How a script is run over SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// `fanout`: on so many targets at once.
    pub fanout: usize,
    /// `canary`: on so many first, alone; the rest only when all of these ended well.
    pub canary: usize,
    /// `stop-after`: after so many failures no further target is begun; 0 for never.
    pub stop_after: usize,
}

pub(super) fn choose(raw: &raw::Script, mut targets: Targets) -> Result<Chosen, Wrong> {
    let table = raw.ssh.clone().unwrap_or_default();
    if targets.is_empty() {
        let what = "the backend ssh without targets";
        return Err(Wrong::new(what, "name some of bartizan.toml's [[target]]: targets = [\"NAME\"]").within("backend"));
    }
    let number = |key, given, usual, bounds| -> Result<usize, Wrong> {
        between("ssh", key, given, usual, bounds).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
    };
    let ssh = Ssh {
        fanout: number("fanout", table.fanout, 10, (1, 64))?,
        canary: number("canary", table.canary, 0, (0, 64))?,
        stop_after: number("stop-after", table.stop_after, 1, (0, 1024))?,
    };
    let secrets = keys(table.key.as_deref(), "ssh", &mut targets)?;
    Ok(Chosen { backend: Backend::Ssh(ssh), targets, file: None, secrets, reads: Vec::new() })
}
