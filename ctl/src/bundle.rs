//! `bartizan support-bundle`: what somebody needs who is to help, and nothing that is secret.
//!
//! It is one file of JSON, so that whoever hands it on can read it first. It is put together from what the control socket
//! answers, none of which has a secret in it, and leaves out more: what people typed, what scripts printed, who asked. Names stand in it only where the
//! configuration has a name that the server does not know.

use crate::ask::ask;
use crate::commands::kernel;
use crate::exit::{CtlError, Exit};
use crate::{installation, show, siblings};
use bartizan_proto::control::{Answer, Request};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Asks everything, and writes what was answered. A service that does not answer is part of the answer.
///
/// # Errors
/// [`CtlError::File`] where there is such a file already, or none can be made.
pub fn write(path: Option<&Path>, socket: &Path) -> Result<Exit, CtlError> {
    let said = |answer: Result<Value, CtlError>| answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
    let get = |request: Request| ask(socket, &request).and_then(|answer| Ok(told(&answer)?));
    let installation = installation::own().map(|found| installation::check(&found));
    let bundle = json!({
        "bartizan": env!("CARGO_PKG_VERSION"),
        "kernel": kernel(),
        "installation": installation,
        "sandbox": said(siblings::probe().and_then(|probe| Ok(serde_json::to_value(probe)?))),
        "status": said(get(Request::Status)),
        "doctor": said(get(Request::Doctor)),
        "configuration": said(get(Request::CheckConfig)),
        "jobs": said(get(Request::Ps)),
        "audit": said(get(Request::AuditHead)),
        "metrics": said(get(Request::Metrics)),
    });
    let text = show::json(&bundle)?;
    let Some(path) = path else {
        io::stdout().write_all(text.as_bytes())?;
        return Ok(Exit::Ok);
    };
    let failed = |error| CtlError::File { path: path.to_owned(), error };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    Ok(Exit::Ok)
}

/// An answer without what people typed and who they are.
fn told(answer: &Answer) -> serde_json::Result<Value> {
    Ok(match answer {
        Answer::Status(status) => {
            let mut status = serde_json::to_value(status)?;
            // An alert may repeat what somebody wrote.
            let alerts = status["alerts"].as_array().map_or(0, Vec::len);
            status["alerts"] = json!(alerts);
            status["lockdown"] = json!(!status["lockdown"].is_null());
            status["paused"] = json!(!status["paused"].is_null());
            status
        }
        Answer::Ps(rows) => {
            let row = |row: &bartizan_proto::control::JobRow| json!({ "job": row.job, "script": row.script, "state": row.state, "age-ms": row.age_ms });
            json!(rows.iter().map(row).collect::<Vec<_>>())
        }
        Answer::Metrics(text) => json!(text.lines().collect::<Vec<_>>()),
        Answer::Doctor(doctor) => serde_json::to_value(doctor)?,
        // Of differences only how many: they name people, and may quote what stands in a file.
        Answer::Config(report) => json!({
            "path": report.path,
            "error": report.error.is_some(),
            "differences": report.differences.len(),
            "warnings": report.warnings,
        }),
        Answer::AuditHead(head) => serde_json::to_value(head)?,
        _not_asked => Value::Null,
    })
}
