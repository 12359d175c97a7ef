//! Transcripts (`playground/src/transcript/parse.rs`): any text is a transcript or an error with a line in it.

use bartizan_playground::transcript::parse::parse;
use bartizan_playground::transcript::pattern::{Pattern, lines_of, seen};

/// # Panics
/// When an error names a line that is not there.
pub fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines = text.lines().count();
    match parse(&text) {
        Ok(transcript) => assert!(transcript.steps.len() <= lines),
        Err(error) => assert!((1..=lines.max(1)).contains(&error.line), "line {} of {lines}", error.line),
    }
    let half = text.len() / 2;
    if let Some((pattern, message)) = (half..text.len()).find_map(|at| text.split_at_checked(at))
        && let Ok(pattern) = Pattern::parse(&lines_of(pattern))
    {
        let _captures = pattern.captures_post(message, &Default::default());
    }
    let _seen = seen(&text);
}

/// As people write them.
pub fn corpus() -> Vec<Vec<u8>> {
    let whole = "# what a person sees\nconfig: bartizan.toml\nneeds: root\n\nalice #ops> !ping\n  bartizan> Pong!\n\
        bob #random> !deploy api-server staging\n  bartizan> [..]not here[..]#ops[..]\n  reacts> no_entry\n\
        bob #ops> !deploy api-server production\n  bartizan req> [..]approve [id=[a-z0-9]+][..]production[..]\n\
        alice reacts req> white_check_mark\n  bartizan> [..]exit 0[..]\nalice DM> !whoami\n  ...\n  bartizan> [..]admin[..]\n";
    let acts = "webhook alice #ops> !ping\n  (silence)\nalice edits> !ping\nwait 2s\nclock +15m\nfault 429\nrestart core\n\
        kill -9 worker\n$ bartizan status\n  [..]ok[..]\nalice #ops> one\n| two\n  within 30s\n  bartizan> a\n    b\n  file> output.txt x\n";
    let pattern = "[..]a[x=[0-9]+]\n...\n\\[b\\]\n\nxa17\nfoo\n[b]\n";
    [whole, acts, pattern].map(|text| text.as_bytes().to_vec()).into()
}
