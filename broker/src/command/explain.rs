//! `explain COMMAND`: asks the gates and does nothing. Up to the first refusal; admins see every verdict and its cause.

use super::Builtin;
use crate::argument::Value;
use crate::command::parse::{self, Command};
use crate::config::{Level, Script};
use crate::elevation::Standing;
use crate::gate::rate::Limiter;
use crate::gate::survey::{Seen, Survey, survey};
use crate::gate::{self, Refusal, file};
use crate::policy::{Place, Policy, Requester};
use bartizan_proto::people::GateVerdict;
use bartizan_proto::text::{code, escape};

/// The answer.
pub fn answer(
    command: &Command,
    requester: &Requester,
    place: &Place,
    policy: &Policy,
    opener: &file::Opener,
    (limiter, standing): (&Limiter, Standing),
) -> String {
    let level = policy.level(requester);
    if Builtin::named(&command.name).is_some_and(|builtin| builtin.level() <= level) {
        return format!("{} is a command of my own, and you may give it. Nothing was done.", code(&command.name));
    }
    let survey = survey(command, requester, place, policy, opener, (limiter, standing));
    let admin = level == Level::Admin;
    let mut out = gates(&survey, admin);
    if let Some(refusal) = &survey.refusal {
        out.push_str(&refusal.words(&policy.config.bot.prefix).unwrap_or_default());
        return out;
    }
    let arguments: Vec<String> = survey
        .values
        .iter()
        .flatten()
        .map(|value| {
            format!("{}={}", escape(&value.name), code(if value.sensitive { "(sensitive)" } else { &value.text }))
        })
        .collect();
    let with = if arguments.is_empty() { "no arguments".to_owned() } else { arguments.join(", ") };
    let run = if command.dry { "show what would change by" } else { "run" };
    out.push_str(&format!("It would {run} {} with {with}. Nothing was run.", code(&command.name)));
    if let Some(place) = survey.script.and_then(|script| script.place(survey.values.as_deref().unwrap_or_default())) {
        out.push_str(&format!("\nIt runs by {}.", escape(&place)));
    }
    if let (Some(script), Some(values)) = (survey.script, &survey.values) {
        out.push_str(&steps(script, values, requester, place, policy));
    }
    if let (true, Some(script), Some(sha256)) = (admin, survey.script, &survey.sha256) {
        let path = code(&script.path.display().to_string());
        out.push_str(&format!("\nFile {path}, SHA-256 {}.", code(sha256)));
    }
    out
}

/// What would be run after it, and whether it may be: a step passes the gates by itself.
fn steps(script: &Script, values: &[Value], requester: &Requester, place: &Place, policy: &Policy) -> String {
    let hidden: Vec<Value> = values
        .iter()
        .map(|value| Value {
            text: if value.sensitive { "(sensitive)".to_owned() } else { value.text.clone() },
            ..value.clone()
        })
        .collect();
    let mut out = String::new();
    let admin = policy.level(requester) == Level::Admin;
    for (when, step) in script.steps.told() {
        let passes = match parse::command(&step.line(values)) {
            Ok(Some(command)) => gate::decide(&command, requester, place, policy).outcome.is_ok(),
            Ok(None) | Err(_) => false,
        };
        out.push_str(&match (passes, admin) {
            (true, _) => format!("\n- {when} {}: pass", code(&step.line(&hidden))),
            (false, true) => format!("\n- {when} {}: **refuse**", code(&step.line(&hidden))),
            // What they may not run is not named to them.
            (false, false) => format!("\n- {when} a command that you may not give: **refuse**"),
        });
    }
    out
}

/// The gates' lines. To others than admins a forbidden name must look like an unknown one, gate by gate.
fn gates(survey: &Survey<'_>, admin: bool) -> String {
    let mut out = String::new();
    let forbidden = matches!(survey.refusal, Some(Refusal::Unknown { .. }));
    for Seen { name, verdict, cause } in &survey.gates {
        let verdict_word = match verdict {
            GateVerdict::Pass => "pass",
            GateVerdict::Refuse => "**refuse**",
            GateVerdict::Unknown => "asked when the command is given",
        };
        if admin {
            let cause = if cause.is_empty() { String::new() } else { format!(" ({})", escape(cause)) };
            out.push_str(&format!("- {name}: {verdict_word}{cause}\n"));
            continue;
        }
        if forbidden && *name == "allowlist" {
            out.push_str("- allowlist: **refuse**\n");
            break;
        }
        out.push_str(&format!("- {name}: {verdict_word}\n"));
        if *verdict == GateVerdict::Refuse {
            break;
        }
    }
    out
}
