//! `explain COMMAND`: asks the gates and does nothing. In chat up to the first refusal; admins see its cause, too.

use crate::audit::Gate;
use crate::command::parse::Command;
use crate::config::Level;
use crate::gate::{self, Refusal, Verdict, file};
use crate::policy::{Place, Policy, Requester};
use bartizan_proto::text::{code, escape};

/// The answer.
pub fn answer(
    command: &Command,
    requester: &Requester,
    place: &Place,
    policy: &Policy,
    opener: &file::Opener,
) -> String {
    let decision = gate::decide(command, requester, place, policy);
    let admin = policy.level(requester) == Level::Admin;
    let mut out = String::new();
    for Gate { name, passed } in &decision.gates {
        out.push_str(&format!("- {name}: {}\n", if *passed { "pass" } else { "**refuse**" }));
    }
    match decision.outcome {
        Err((refusal, cause)) => {
            // To others than admins a forbidden name must look like an unknown one, gate by gate.
            if matches!(refusal, Refusal::Unknown { .. }) && !admin {
                out = "- ban: pass\n- allowlist: **refuse**\n".to_owned();
            }
            out.push_str(&refusal.words(&policy.config.bot.prefix).unwrap_or_default());
            if admin {
                out.push_str(&format!("\nCause: {}", escape(&cause.0)));
            }
        }
        Ok((script, values)) => match file::check(script, opener) {
            Verdict::Pass(file) => {
                out.push_str("- file: pass\n");
                let arguments: Vec<String> =
                    values.iter().map(|value| format!("{}={}", escape(&value.name), code(&value.text))).collect();
                let with = if arguments.is_empty() { "no arguments".to_owned() } else { arguments.join(", ") };
                out.push_str(&format!("It would run {} with {with}. Nothing was run.", code(script.name.as_str())));
                if admin {
                    out.push_str(&format!(
                        "\nFile {}, SHA-256 {}.",
                        code(&script.path.display().to_string()),
                        code(&file.sha256)
                    ));
                }
            }
            Verdict::Refuse(refusal, cause) => {
                out.push_str("- file: **refuse**\n");
                out.push_str(&refusal.words(&policy.config.bot.prefix).unwrap_or_default());
                if admin {
                    out.push_str(&format!("\nCause: {}", escape(&cause.0)));
                }
            }
        },
    }
    out
}
