//! `approve NUMBER [SIGNATURE]`: a signature is pasted as `ssh-keygen` prints it, in lines.

use std::borrow::Cow;

/// How such a signature begins.
const ARMOR: &str = "-----BEGIN SSH SIGNATURE-----";

/// How one begins in base64: its first six bytes are `SSHSIG`.
const MAGIC: &str = "U1NIU0lH";

/// Whether a line is this command with a signature: that is meant for nothing else, whatever its author was asked.
pub fn is_signed(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next() == Some(super::Builtin::Approve.name())
        && (line.contains(ARMOR) || words.any(|word| word.starts_with(MAGIC)))
}

/// The command on one line, where it is this one with a signature in lines after it. A command is one line otherwise, so that
/// nothing of what follows it is part of it by accident.
pub fn on_one_line(line: &str) -> Cow<'_, str> {
    let is_approve = line.split_whitespace().next() == Some(super::Builtin::Approve.name());
    if !is_approve || !line.contains('\n') || !line.contains(ARMOR) {
        return Cow::Borrowed(line);
    }
    // As code, perhaps.
    let lines = line.lines().map(str::trim).filter(|line| !line.starts_with("```"));
    Cow::Owned(lines.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_seen_in_each_form_and_an_answer_that_only_begins_so_is_none() {
        let pasted = format!("approve a3\n```\n{ARMOR}\nU1NI\n-----END SSH SIGNATURE-----\n```");
        for signed in ["approve a3 U1NIU0lHAAAAAQ==", "approve a3 U1NIU0lHAAAAAQ== U1NI", &pasted] {
            assert!(is_signed(signed), "{signed}");
        }
        for other in ["approve", "approve a3", "yes, approve a3 U1NIU0lHAAAA", "U1NIU0lHAAAA", "approved U1NIU0lHAAAA"]
        {
            assert!(!is_signed(other), "{other}");
        }
    }

    #[test]
    fn only_a_signature_may_follow_in_lines_and_only_after_approve() {
        let pasted = format!("approve a3\n```\n{ARMOR}\nU1NI\n-----END SSH SIGNATURE-----\n```");
        assert_eq!(on_one_line(&pasted), format!("approve a3 {ARMOR} U1NI -----END SSH SIGNATURE-----"));
        for other in ["approve a3", "approve a3\nhello", "hello\nworld", &pasted.replacen("approve", "deploy", 1)] {
            assert_eq!(on_one_line(other), other);
        }
    }
}
