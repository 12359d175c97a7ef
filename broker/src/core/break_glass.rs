//! `breakglass NAME … "REASON"`: one person runs alone what others would have to approve, and everybody who should knows.
//!
//! Only approvals are skipped, and only where the script allows it: level, channel, arguments, second factor and authorizer are
//! asked as ever. It is on record by its post, asked for again at the start, told to the admins each time, and in the receipt.

use super::obey::Given;
use super::{Core, CoreError, Topic};
use crate::audit::{Gate, Record};
use crate::command::{Builtin, glass, parse::Command};
use crate::policy::{Place, Requester};
use crate::store::jobs::Intent;
use crate::words;
use bartizan_proto::connector::Report;
use bartizan_proto::text::{is_hidden, shown};

/// Shortest and longest reason, in bytes.
const REASON: std::ops::RangeInclusive<usize> = 4..=500;

impl Core {
    /// `breakglass …`.
    pub(super) fn glass_command(
        &mut self,
        (report, line): (&Report, &str),
        command: &Command,
        requester: Requester,
        place: Place,
    ) -> Result<(), CoreError> {
        let read = glass(command).ok_or_else(|| "a command and a reason in quotes are wanted".to_owned());
        let checked = read.and_then(|(command, reason)| check(reason).map(|()| (command, reason)));
        match checked {
            Ok((command, reason)) => {
                let given = Given { glass: Some(reason), ..Given::default() };
                self.run((report, line), &command, requester, place, given)
            }
            Err(error) => self.refuse_usage(report, Builtin::Breakglass, error, Vec::new()),
        }
    }

    /// It passed everything else.
    pub(super) fn break_glass(
        &mut self,
        report: &Report,
        intent: Intent,
        reason: &str,
        mut gates: Vec<Gate>,
    ) -> Result<(), CoreError> {
        tracing::warn!(user = %intent.user, script = %intent.script, reason, "break-glass");
        gates.push(Gate { name: "break-glass", passed: true });
        self.record_decision(report, &intent.command, None, gates);
        self.store.break_glass(intent.post, intent.user, reason)?;
        self.record_first(&Record::BreakGlass { intent: Box::new(intent.clone()), reason: reason.to_owned() });
        self.store.decided(report.post)?;
        let where_ =
            if intent.direct { "a direct message".to_owned() } else { format!("#{}", intent.channel_name.as_str()) };
        let what = words::break_glass(&intent.user_name, intent.script.as_str(), &where_, reason);
        self.alert(Topic::BreakGlass, &what)?;
        self.queue_job(intent)
    }
}

fn check(reason: &str) -> Result<(), String> {
    if let Some(hidden) = reason.chars().find(|c| is_hidden(*c)) {
        return Err(format!("the reason has the invisible character {}", shown(hidden)));
    }
    if !REASON.contains(&reason.trim().len()) {
        return Err(format!("the last word is the reason, in quotes: {} to {} bytes", REASON.start(), REASON.end()));
    }
    Ok(())
}
