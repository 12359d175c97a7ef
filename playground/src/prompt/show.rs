//! How what arrives is shown: in the form of a transcript. Pure functions.

use crate::transcript::report::{Paint, visible};

/// Lines of a post that are shown below its first.
const MOST_LINES: usize = 20;

/// A post whole, with nothing left out.
pub fn whole(message: &str) -> String {
    message.trim_end().split('\n').map(|line| format!("    {}", visible(line))).collect::<Vec<_>>().join("\n")
}

/// A post or an edit of the bot's: `who` is `bartizan` or `updates`.
pub fn post(who: &str, message: &str, paint: Paint) -> String {
    let mut lines = message.trim_end().split('\n').map(visible);
    let first = lines.next().unwrap_or_default();
    let mut out = format!("  {} {first}", paint.text("36", &format!("{who}>")));
    let rest: Vec<String> = lines.collect();
    // As a chat client folds long posts; what is over it by a few lines is not worth it.
    let shown = if rest.len() > MOST_LINES + 5 { MOST_LINES } else { rest.len() };
    for line in &rest[..shown] {
        out.push_str("\n    ");
        out.push_str(line);
    }
    if shown < rest.len() {
        out.push_str(
            &paint.text("2", &format!("\n    … {} more lines of this post; /more shows them", rest.len() - shown)),
        );
    }
    out
}

/// A reaction of the bot's.
pub fn reaction(emoji: &str, paint: Paint) -> String {
    let glyph = match emoji {
        "hourglass_flowing_sand" => "⏳ ",
        "white_check_mark" => "✅ ",
        "x" => "❌ ",
        "no_entry" => "⛔ ",
        _ => "",
    };
    format!("  {} {glyph}{}", paint.text("36", "reacts>"), visible(emoji))
}

/// A file.
pub fn file(name: &str, size: usize, paint: Paint) -> String {
    format!("  {} {} ({size} bytes)", paint.text("36", "file>"), visible(name))
}

/// The prompt's own words.
pub fn note(text: &str, paint: Paint) -> String {
    text.lines().map(|line| paint.text("2", &format!("  {line}"))).collect::<Vec<_>>().join("\n")
}

/// The beginning of a message.
pub fn start_of(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(40).collect();
    visible(&if cut.len() < line.len() { format!("{cut}…") } else { cut })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_look_as_in_a_transcript() {
        assert_eq!(post("bartizan", "head\n```\nx\n```", Paint::Plain), "  bartizan> head\n    ```\n    x\n    ```");
        assert!(
            post("bartizan", &"x\n".repeat(80), Paint::Plain)
                .ends_with("… 59 more lines of this post; /more shows them")
        );
        assert_eq!(reaction("x", Paint::Plain), "  reacts> ❌ x");
        assert_eq!(post("bartizan", "a\u{1b}[2J", Paint::Plain), "  bartizan> a\\u{1b}[2J");
    }
}
