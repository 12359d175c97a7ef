//! An audit log that somebody may have written (`audit/src/`): reading and verifying end in a verdict, whatever it holds, and
//! what verifies is what was signed.

use bartizan_audit::{Entry, Verifier, Witness};

const LOG: &str = include_str!("../../../audit/tests/format-1.jsonl");

/// # Panics
/// When a line is taken for another than it is.
pub fn target(data: &[u8]) {
    let mut verifier = Verifier::new(None, Vec::new(), true);
    verifier.begin_file("audit.jsonl");
    let mut lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let rest = lines.pop().unwrap_or_default();
    for line in &lines {
        if let Ok(entry) = Entry::read(line) {
            assert!(line.starts_with(entry.signed) && entry.line.as_bytes() == *line);
            let _fields = entry.fields();
        }
        if verifier.line(line).is_err() {
            return;
        }
    }
    if let Ok(report) = verifier.finish(rest) {
        let begins = LOG.as_bytes().starts_with(data);
        assert!(begins, "nobody has the key, so only what was written verifies: {report:?}");
    }
    let _verdict = Witness::all(&String::from_utf8_lossy(data), "x", None);
}

/// A log of the first version, whole, in parts, and as a witness keeps it.
pub fn corpus() -> Vec<Vec<u8>> {
    let lines: Vec<&str> = LOG.lines().collect();
    vec![
        LOG.into(),
        format!("{}\n", lines[0]).into_bytes(),
        format!("{}\n{}\n", lines[1], lines[0]).into_bytes(),
        format!("Jan 1 core: audit checkpoint {}\n", lines[2]).into_bytes(),
    ]
}
