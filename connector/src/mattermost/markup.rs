//! What a post says: the core's markdown as it is, a script's output inside a fence that it cannot break. Pure.
//!
//! The fence is longer than any run of backticks inside it. That holds for CommonMark (the server's parser, which
//! finds mentions, links and images) and for the web app's `marked`, which also closes a fence in mid-line.
//! What does not fit is refused (the core's markdown) or cut at a line and said so (output); never cut inside markup.

use bartizan_proto::Text;
use bartizan_proto::connector::Body;
use bartizan_proto::limits::MAX_MESSAGE;

/// The most code points that any Mattermost server stores (`model.PostMessageMaxRunesV2`).
const MOST_EVER: usize = 16_383;

/// The core's part alone is longer than a post may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text has {actual} characters, a post may have {limit}")]
pub struct TooLong {
    /// Code points.
    pub actual: usize,
    /// Code points.
    pub limit: usize,
}

/// The text of a post of at most `max_post` code points.
///
/// # Errors
/// [`TooLong`].
pub fn render(body: &Body, max_post: u32) -> Result<Text<MAX_MESSAGE>, TooLong> {
    let limit = usize::try_from(max_post).unwrap_or(MOST_EVER).min(MOST_EVER);
    let whole = match body {
        Body::Markup(markup) => markup.as_str().to_owned(),
        Body::Output { head, output } => fenced(head, &inert(output), limit),
        // It says all.
        Body::Card(_) => String::new(),
    };
    let actual = whole.chars().count();
    if actual > limit {
        return Err(TooLong { actual, limit });
    }
    Text::new(whole).map_err(|_| TooLong { actual, limit })
}

/// `head`, then as many lines of `output` as fit in `limit` code points, in a fence.
fn fenced(head: &str, output: &str, limit: usize) -> String {
    let head = head.trim_end_matches('\n');
    let output = output.trim_end_matches('\n');
    if output.is_empty() {
        return head.to_owned();
    }
    let fence = "`".repeat((longest_run(output) + 1).max(3));
    let gap = if head.is_empty() { "" } else { "\n" };
    let frame = head.chars().count() + gap.len() + 2 * fence.len() + "text\n\n".len();
    let (kept, note) = cut(output, limit.saturating_sub(frame));
    format!("{head}{gap}{fence}text\n{kept}\n{fence}{note}")
}

/// The most whole lines that fit in `room` code points together with the note that says how many are missing. A first
/// line that does not fit alone is cut at a character.
fn cut(output: &str, room: usize) -> (&str, String) {
    if output.chars().count() <= room {
        return (output, String::new());
    }
    let lines = output.lines().count();
    let note = |missing: usize| format!("\n*({missing} more lines do not fit here.)*");
    let room = room.saturating_sub(note(lines).len());
    let (end, in_line) = match output.char_indices().nth(room) {
        Some((at, _)) => (output[..at].rfind('\n').unwrap_or(at), !output[..at].contains('\n')),
        None => (output.len(), false),
    };
    let kept = &output[..end];
    if in_line {
        return (kept, "\n*(The rest does not fit here.)*".to_owned());
    }
    (kept, note(lines.saturating_sub(kept.lines().count())))
}

/// The length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Without control characters (but line feeds and tabs), line separators that some renderers take for line ends, and
/// characters that reorder others. The core has removed them already; this is the second lock.
fn inert(output: &str) -> String {
    output
        .chars()
        .filter(|&c| {
            matches!(c, '\n' | '\t')
                || !(c.is_control()
                    || matches!(u32::from(c), 0x61C | 0x200E..=0x200F | 0x2028..=0x202E | 0x2066..=0x2069))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn output(head: &str, output: &str) -> Body {
        Body::Output { head: Text::cut(head), output: Text::cut(output) }
    }

    fn shown(head: &str, out: &str) -> String {
        render(&output(head, out), 16_383).expect("fits").into_string()
    }

    /// A reader of fenced code after CommonMark 0.31 §4.5: the lines before the fence, inside it, after it.
    fn read(post: &str) -> (Vec<&str>, Vec<&str>, Vec<&str>) {
        let (mut before, mut inside, mut after) = (vec![], vec![], vec![]);
        let mut fence = 0;
        let mut closed = false;
        for line in post.split('\n') {
            let indent = line.len() - line.trim_start_matches(' ').len();
            let run = line.trim_start_matches(' ').chars().take_while(|&c| c == '`').count();
            let rest = line.trim_start_matches(' ').trim_start_matches('`');
            if closed {
                after.push(line);
            } else if fence > 0 {
                if indent < 4 && run >= fence && rest.trim_matches([' ', '\t']).is_empty() {
                    closed = true;
                } else {
                    inside.push(line);
                }
            } else if indent < 4 && run >= 3 && !rest.contains('`') {
                fence = run;
            } else {
                before.push(line);
            }
        }
        assert!(closed || fence == 0, "the fence is not closed: {post:?}");
        (before, inside, after)
    }

    #[test]
    fn markup_passes_as_it_is() {
        let markup = "**done** `x` @alice\n```\nx\n```";
        assert_eq!(render(&Body::Markup(Text::cut(markup)), 16_383).expect("fits").as_str(), markup);
    }

    #[test]
    fn markup_that_does_not_fit_is_refused_and_never_cut_open() {
        assert_eq!(
            render(&Body::Markup(Text::cut("`@all`")), 5).map(Text::into_string),
            Err(TooLong { actual: 6, limit: 5 })
        );
    }

    #[test]
    fn output_stands_in_a_fence_under_its_head() {
        assert_eq!(shown("exit 0", "a\nb\n"), "exit 0\n```text\na\nb\n```");
        assert_eq!(shown("", "a"), "```text\na\n```");
        assert_eq!(shown("exit 0", "\n\n"), "exit 0");
    }

    #[test]
    fn the_fence_is_longer_than_any_run_of_backticks_inside() {
        assert_eq!(shown("x", "```\n@all\n`````"), "x\n``````text\n```\n@all\n`````\n``````");
    }

    #[test]
    fn carriage_returns_escapes_and_reordering_characters_are_gone() {
        assert_eq!(
            shown("x", "a\r\n\u{1b}[1m\u{9b}b\u{202e}c\u{2066}\u{2028}```\td\0"),
            "x\n````text\na\n[1mbc```\td\n````"
        );
    }

    #[test]
    fn what_does_not_fit_is_cut_at_a_line_and_said() {
        let post = render(&output("exit 0", &"0123456789\n".repeat(50)), 200).expect("fits").into_string();
        assert!(post.chars().count() <= 200, "{post}");
        let (before, inside, after) = read(&post);
        assert_eq!(before, ["exit 0"]);
        assert!(inside.iter().all(|line| *line == "0123456789"), "{post}");
        assert_eq!(after, [format!("*({} more lines do not fit here.)*", 50 - inside.len())]);
    }

    #[test]
    fn one_endless_line_is_cut_at_a_character() {
        let post = render(&output("h", &"日".repeat(500)), 100).expect("fits").into_string();
        let (_, inside, after) = read(&post);
        assert!(inside[0].chars().count() > 20, "{post}");
        assert_eq!(after, ["*(The rest does not fit here.)*"]);
    }

    #[test]
    fn characters_are_counted_as_mattermost_counts_them() {
        let text = "😀".repeat(16_383 - 14);
        assert!(render(&output("h", &text), 16_383).is_ok_and(|post| post.chars().count() == 16_383));
    }

    proptest! {
        #[test]
        fn no_line_of_any_output_leaves_the_fence(
            out in prop::collection::vec(
                prop_oneof!["[` ~\t\r]{0,9}", "`{1,40}", " {0,4}`{3,9} ?", ".{0,30}",
                    Just("@all @here @channel".to_owned()), Just("![x](http://a/b)".to_owned()), Just(":smile:".to_owned())],
                0..30),
            limit in 120u32..2000,
        ) {
            let out = out.join("\n");
            if let Ok(post) = render(&output("**head**", &out), limit) {
                prop_assert!(post.chars().count() <= limit as usize);
                let (before, inside, after) = read(&post);
                prop_assert_eq!(before, ["**head**"]);
                prop_assert!(after.is_empty() || (after.len() == 1 && after[0].ends_with("fit here.)*")), "{:?}", after);
                let clean = inert(&out);
                prop_assert!(inside.is_empty() || clean.starts_with(&inside.join("\n")));
                // `marked` closes at the first run of that length, wherever it stands.
                let fence = post.lines().nth(1).map_or(0, |line| line.chars().take_while(|&c| c == '`').count());
                prop_assert!(inside.iter().all(|line| longest_run(line) < fence.max(1)));
            }
        }
    }
}
