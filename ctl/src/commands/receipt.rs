//! `bartizan receipt`: prints one of the service's, or verifies one with nothing but the public key.

use super::Out;
use crate::exit::{CtlError, Exit};
use bartizan_audit::{MAX_RECEIPT, PublicKey, verify_receipt};
use bartizan_proto::control::{Answer, Refusal, Request};
use bartizan_proto::ids::JobId;
use bartizan_proto::text::printable;
use serde_json::json;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// To whoever verifies without a key.
const OWN_KEY: &str = "bartizan: WARNING: without --key this says only that the file is whole. Whoever wrote it may have signed it with a key of their own: \
                       give the one that `bartizan audit verify` names";

/// As it is: a pipe into a file keeps what was signed.
pub(super) fn print(job: Option<JobId>, ask: &dyn Fn(Request) -> Result<Answer, CtlError>) -> Result<Exit, CtlError> {
    let job = job.ok_or_else(|| usage("the number of a job is wanted".to_owned()))?;
    let Answer::Receipt(receipt) = ask(Request::Receipt { job })? else { return Err(CtlError::WrongAnswer) };
    match writeln!(io::stdout(), "{}", receipt.as_str()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other?,
    }
    Ok(Exit::Ok)
}

/// Exit code 1 where it is not as it was written, or not signed by the key that is given, or none is given.
pub(super) fn verify(file: &Path, key: Option<&str>, out: &Out) -> Result<Exit, CtlError> {
    let known = key.map(read_key).transpose()?;
    let bytes = read(file, MAX_RECEIPT)?;
    match verify_receipt(&bytes, known.as_ref()) {
        Ok(receipt) => {
            let told = json!({ "ok": known.is_some(), "whole": true, "key-is-known": known.is_some(), "receipt": receipt.fields });
            // Anybody can sign one with a key of their own: a file that proves nothing must not look like one that does.
            if known.is_none() {
                eprintln!("{}", printable(OWN_KEY));
            }
            out.give(&told, |look| {
                let mut text = match known {
                    Some(_) => format!("{}\n", look.good("As it was written.")),
                    None => format!("{}\n", look.bad("NOT VERIFIED: the key is the receipt's own.")),
                };
                for (name, value) in receipt.fields.iter().filter(|(name, _)| *name != "signature") {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    text.push_str(&printable(&format!("{name:18} {value}")));
                    text.push('\n');
                }
                text
            })?;
            Ok(if known.is_some() { Exit::Ok } else { Exit::Bad })
        }
        Err(error) => {
            let told = json!({ "ok": false, "error": error.to_string() });
            let text = printable(&error.to_string());
            out.give(&told, |look| format!("{}\n{text}\n", look.bad("NOT AS IT WAS WRITTEN")))?;
            Ok(Exit::Bad)
        }
    }
}

fn read_key(key: &str) -> Result<PublicKey, CtlError> {
    if let Ok(key) = key.parse() {
        return Ok(key);
    }
    let path = Path::new(key);
    let text = String::from_utf8_lossy(&read(path, 4096)?).into_owned();
    text.parse().map_err(|error| CtlError::AuditKey { path: path.to_owned(), error })
}

/// One byte more than there may be, so that what is too long is not read as if it were whole.
fn read(path: &Path, most: usize) -> Result<Vec<u8>, CtlError> {
    let failed = |error| CtlError::AuditFile { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX) + 1;
    std::fs::File::open(path).map_err(failed)?.take(most).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn usage(why: String) -> CtlError {
    CtlError::Refused { refusal: Refusal::Usage, why }
}
