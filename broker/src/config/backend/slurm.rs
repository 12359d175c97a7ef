//! `[scripts.slurm]`: a batch script, which Slurm runs where it has room.

use super::super::error::Wrong;
use super::super::raw;
use super::{Backend, Chosen, Targets, between};
use std::time::Duration;

/// What a batch script asks of the cluster. All else is the cluster's own choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slurm {
    /// `partition`.
    pub partition: Option<String>,
    /// `account`.
    pub account: Option<String>,
    /// `nodes`.
    pub nodes: u64,
    /// `tasks`.
    pub tasks: u64,
    /// `time-limit`: Slurm ends it then; the entry's `timeout` where it says nothing.
    pub time_limit: Option<Duration>,
}

pub(super) fn choose(raw: &raw::Script, targets: Targets) -> Result<Chosen, Wrong> {
    let table = raw.slurm.clone().unwrap_or_default();
    if !targets.is_empty() {
        let what = "Slurm chooses the machines";
        return Err(Wrong::new(what, "remove targets; slurm.partition may narrow the choice").within("targets"));
    }
    let word = |key: &'static str, text: Option<String>| match text {
        Some(text) if super::super::script::is_word(&text) => Ok(Some(text)),
        Some(text) => {
            let what = format!("\"{text}\" is not a name of Slurm's");
            Err(Wrong::new(what, "use letters, digits, - and _").within(key).within("slurm"))
        }
        None => Ok(None),
    };
    let time_limit = table.time_limit.as_ref().map(|amount| amount.time(None)).transpose();
    let slurm = Slurm {
        partition: word("partition", table.partition)?,
        account: word("account", table.account)?,
        nodes: between("slurm", "nodes", table.nodes, 1, (1, 10_000))?,
        tasks: between("slurm", "tasks", table.tasks, 1, (1, 100_000))?,
        time_limit: time_limit.map_err(|wrong| wrong.within("time-limit").within("slurm"))?,
    };
    let (file, secrets, reads) = (None, Vec::new(), Vec::new());
    Ok(Chosen { backend: Backend::Slurm(slurm), targets, file, secrets, reads })
}
