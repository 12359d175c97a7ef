//! `approve NUMBER [SIGNATURE]`: a signature is pasted as `ssh-keygen` prints it, in lines.

use std::borrow::Cow;

/// How such a signature begins.
const ARMOR: &str = "-----BEGIN SSH SIGNATURE-----";

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
    fn only_a_signature_may_follow_in_lines_and_only_after_approve() {
        let pasted = format!("approve a3\n```\n{ARMOR}\nU1NI\n-----END SSH SIGNATURE-----\n```");
        assert_eq!(on_one_line(&pasted), format!("approve a3 {ARMOR} U1NI -----END SSH SIGNATURE-----"));
        for other in ["approve a3", "approve a3\nhello", "hello\nworld", &pasted.replacen("approve", "deploy", 1)] {
            assert_eq!(on_one_line(other), other);
        }
    }
}
