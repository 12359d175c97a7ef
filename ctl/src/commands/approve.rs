//! `bartizan approve`: signs what the block of a request says, and nothing that it does not show.
//!
//! Needs no service: what is signed is the text that was pasted. Where the post was changed on its way, it is not what the service
//! asks for, and the signature counts for nothing.

use super::Out;
use crate::exit::{CtlError, Exit};
use bartizan_audit::{CannotSign, NAMESPACE, PersonSignature, sign_as_person};
use bartizan_proto::control::Refusal;
use bartizan_proto::text::{is_hidden, printable, shown};
use bartizan_secret::Zeroizing;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// Longest block and longest key file, in bytes.
const MAX_BLOCK: u64 = 64 * 1024;
const MAX_KEY: u64 = 64 * 1024;

/// Prints what is to be sent to the bot.
pub(super) fn approve(number: &str, key: &Path, out: &Out) -> Result<Exit, CtlError> {
    if rustix::termios::isatty(rustix::stdio::stdin()) {
        eprintln!("Paste the block of the request, from `bartizan approval {number}` to its digest:");
    }
    let block = block(number, io::stdin().lock().take(MAX_BLOCK))?;
    let failed = |error| CtlError::File { path: key.to_owned(), error };
    let mut private = Zeroizing::new(Vec::new());
    std::fs::File::open(key).map_err(failed)?.take(MAX_KEY).read_to_end(&mut private).map_err(failed)?;
    let signature = match sign_as_person(&private, &block) {
        Ok(signature) => signature,
        Err(CannotSign::Algorithm) => return Err(usage(format!("{} is no ed25519 key", key.display()))),
        // It has a passphrase, or is the public half of one that an agent has.
        Err(CannotSign::Encrypted | CannotSign::NoKey) => by_ssh_keygen(key, &block)?,
    };
    let line = format!("approve {number} {signature}");
    out.give(&serde_json::json!({ "number": number, "signature": signature, "send": line }), |_| format!("{line}\n"))
}

/// The block, without what was pasted around it.
fn block(number: &str, input: impl io::Read) -> Result<String, CtlError> {
    let first = format!("bartizan approval {number}");
    let mut lines: Vec<String> = Vec::new();
    for line in io::BufReader::new(input).lines() {
        let line = line.map_err(|_| usage("what was pasted is not UTF-8".to_owned()))?;
        let line = line.trim_end_matches(['\r', ' ']).to_owned();
        if lines.is_empty() && line != first {
            if line.starts_with("bartizan approval ") {
                return Err(usage(format!("that is the block of another request than {number}: {}", printable(&line))));
            }
            continue;
        }
        if let Some(hidden) = line.chars().find(|c| is_hidden(*c)) {
            return Err(usage(format!("the block has the invisible character {}: it is not signed", shown(hidden))));
        }
        let last = line.strip_prefix("digest ").is_some_and(|digest| digest.len() == 64);
        lines.push(line);
        if last {
            return Ok(lines.join("\n"));
        }
    }
    Err(usage(format!("that is not the whole block of {number}: from `{first}` to the line with its digest")))
}

/// Asks for a passphrase where it is at it.
fn by_ssh_keygen(key: &Path, block: &str) -> Result<String, CtlError> {
    let failed = |why: String| usage(format!("{}: {why}", key.display()));
    let mut child = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", NAMESPACE, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("ssh-keygen, which knows keys with a passphrase, cannot be run: {error}")))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(block.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(failed("ssh-keygen did not sign with it".to_owned()));
    }
    let signature = PersonSignature::read(&String::from_utf8_lossy(&output.stdout));
    signature.map(|signature| signature.as_str().to_owned()).map_err(|error| failed(error.to_string()))
}

fn usage(why: String) -> CtlError {
    CtlError::Refused { refusal: Refusal::Usage, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: &str, text: &str) -> Result<String, String> {
        block(number, text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_block_is_taken_out_of_what_was_pasted_and_no_other_is_signed() {
        let whole = format!("bartizan approval a3\nscript deploy\ndigest {}", "0".repeat(64));
        assert_eq!(of("a3", &whole), Ok(whole.clone()));
        assert_eq!(of("a3", &format!("a3?\n```\n{}\r\n```\n", whole.replace('\n', "\r\n"))), Ok(whole.clone()));
        assert!(of("a4", &whole).expect_err("another").contains("another request"));
        assert!(of("a3", "").expect_err("nothing").contains("whole block"));
        assert!(of("a3", &whole[..whole.len() - 1]).expect_err("cut").contains("whole block"));
        let hidden = whole.replace("deploy", "de\u{202e}ploy");
        assert!(of("a3", &hidden).expect_err("hidden").contains("U+202E"));
    }
}
