//! `bartizan audit verify`.

use super::place::Place;
use crate::commands::Out;
use crate::exit::{CtlError, Exit};
use crate::show::Look;
use bartizan_audit::{PublicKey, Report, VerifyError, Witness, is_whole, verify_opened};
use bartizan_proto::text::printable;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Largest file with checkpoints, in bytes.
const MAX_CHECKPOINTS: u64 = 256 * 1024 * 1024;

pub(super) fn run(place: &Place, key: Option<&str>, checkpoints: &[PathBuf], out: &Out) -> Result<Exit, CtlError> {
    let known = match key {
        Some(key) => Some(read_key(key)?),
        None => place.key.clone(),
    };
    let mut witnesses: Vec<Witness> = place.witness.iter().cloned().collect();
    for path in checkpoints {
        let from = path.display().to_string();
        // Without a key that is known, and after a change of keys, any key's word is taken that the log's own chain leads to.
        witnesses.extend(Witness::all(&read(path, MAX_CHECKPOINTS)?, &from, None)?);
    }
    let trusted = known.is_some();
    match verify_opened(place.files()?, is_whole(&place.path), known, witnesses) {
        Ok(report) => {
            let mut told = serde_json::to_value(&report)?;
            told["ok"] = json!(true);
            told["key-is-known"] = json!(trusted);
            out.give(&told, |look| shown(&report, place, trusted, look))
        }
        Err(VerifyError::Fault(fault)) => {
            let told = json!({ "ok": false, "fault": fault });
            out.give(&told, |look| {
                format!("{}\n{}\n", look.bad("NOT AS IT WAS WRITTEN"), printable(&fault.to_string()))
            })?;
            Ok(Exit::Bad)
        }
        Err(VerifyError::Io { path, source }) => Err(CtlError::AuditFile { path, error: source }),
    }
}

fn shown(report: &Report, place: &Place, trusted: bool, look: &Look) -> String {
    let mut pairs = vec![
        ("Lines", format!("{}, {} to {}, in {} file(s)", report.lines, report.first, report.last, report.files)),
        ("Time", printable(&format!("{} to {}", report.from, report.to))),
        ("Keys", printable(&report.keys.join(", "))),
        ("Head", report.head.clone()),
        ("Checkpoints", format!("{} in the log, {} of witnesses agree", report.checkpoints, report.witnesses)),
    ];
    if let Some(through) = report.pruned_through {
        pairs.push(("Pruned", format!("up to line {through}")));
    }
    let mut text = format!("{}\n{}", look.good("As it was written."), look.pairs(&pairs));
    if !trusted {
        text.push_str(
            &look.doubtful("The key is the log's own word for itself. Give the one that you know with --key."),
        );
        text.push('\n');
    }
    if report.witnesses == 0 {
        text.push_str(
            &look.doubtful("Lines cut off at the end do not show without a witness: give one with --checkpoint."),
        );
        text.push('\n');
    }
    if !place.behind.is_empty() {
        text.push_str(&look.bad(&format!("The file is behind the service: {}", printable(&place.behind))));
        text.push('\n');
    }
    text
}

fn read_key(key: &str) -> Result<PublicKey, CtlError> {
    if let Ok(key) = key.parse() {
        return Ok(key);
    }
    let path = Path::new(key);
    read(path, 4096)?.parse().map_err(|error| CtlError::AuditKey { path: path.to_owned(), error })
}

fn read(path: &Path, most: u64) -> Result<String, CtlError> {
    use std::io::Read as _;
    let failed = |error| CtlError::AuditFile { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(most).read_to_end(&mut bytes).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
