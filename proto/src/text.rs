//! Making foreign text inert, for chat and for terminals. One place, used by every process that writes either.

/// Characters that Mattermost's markdown gives a meaning to wherever they stand.
const MARKDOWN: &[char] = &['\\', '`', '*', '_', '[', ']', '#', '|', '<', '>', '~', '$'];

/// Text that a person or script chose, made safe to stand inside the core's own markdown: every character that means
/// something where it stands is escaped, mentions and links are broken, line breaks and control characters become
/// visible.
pub fn escape(foreign: &str) -> String {
    let mut out = String::with_capacity(foreign.len() + 8);
    let mut chars = foreign.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match c {
            '@' => out.push_str("@\u{200b}"),
            c if MARKDOWN.contains(&c) || (out.is_empty() && begins_a_block(c)) || joins(&out, c, next) => {
                out.push('\\');
                out.push(c);
            }
            c if is_hidden(c) => out.push_str(&shown(c)),
            c => out.push(c),
        }
    }
    out
}

/// Characters that make a list, a heading or a quote of the line that they begin. Line breaks do not survive, so only
/// the first character of the text can begin a line.
fn begins_a_block(c: char) -> bool {
    matches!(c, '-' | '+' | '=')
}

/// Characters that mean something with what is around them: `http://` and `:emoji:`, `&amp;`, `www.` and `1.`.
fn joins(before: &str, c: char, next: Option<char>) -> bool {
    match c {
        ':' => next.is_some_and(|next| !next.is_whitespace()),
        '&' => next.is_some_and(|next| next == '#' || next.is_ascii_alphanumeric()),
        '.' => {
            let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
            word.to_ascii_lowercase().ends_with("www") || (before.chars().all(|c| c.is_ascii_digit()))
        }
        _ => false,
    }
}

/// Foreign text for a place that some clients show with markup and others without: nothing in it is markup, a link or a
/// mention, and no backslash is added. What would mean something stands between zero-width spaces.
pub fn label(foreign: &str) -> String {
    let mut out = String::with_capacity(foreign.len() + 8);
    let mut chars = foreign.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        if c == '@' || MARKDOWN.contains(&c) || (out.is_empty() && begins_a_block(c)) || joins(&out, c, next) {
            out.extend(['\u{200b}', c, '\u{200b}']);
        } else if is_hidden(c) {
            out.push_str(&shown(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// A text in a fence that it cannot leave: the fence is longer than any run of backticks in it.
pub fn fence(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}{language}\n{}\n{fence}", text.trim_end_matches('\n'))
}

/// Foreign text as inline code: nothing in it is parsed, mentions included. Backticks become U+02CB.
pub fn code(foreign: &str) -> String {
    if foreign.is_empty() {
        return "(empty)".to_owned();
    }
    let mut out = String::with_capacity(foreign.len() + 2);
    out.push('`');
    for c in foreign.chars() {
        match c {
            '`' => out.push('\u{2cb}'),
            c if is_hidden(c) => out.push_str(&shown(c)),
            c => out.push(c),
        }
    }
    out.push('`');
    out
}

/// Foreign text for one line of a terminal or a log: every control, bidirectional and invisible character is shown as
/// its code point, so that nothing can move the cursor, change colours or begin a new line.
pub fn printable(foreign: &str) -> String {
    let mut out = String::with_capacity(foreign.len());
    for c in foreign.chars() {
        if is_hidden(c) { out.push_str(&shown(c)) } else { out.push(c) }
    }
    out
}

/// A code point as people write it: `<U+202E>`.
pub fn shown(c: char) -> String {
    format!("<U+{:04X}>", u32::from(c))
}

/// Control characters (C0, DEL, C1), line separators, and characters that are not seen or reorder others: soft
/// hyphen, zero-width, bidirectional controls, variation selectors, tags, interlinear annotation (Unicode 16, general
/// categories Cc, Cf, Zl, Zp and the default-ignorable ones).
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xAD | 0x34F | 0x600..=0x605 | 0x61C | 0x6DD | 0x70F | 0x890..=0x891 | 0x8E2 | 0x115F..=0x1160
            | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164
            | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x110BD | 0x110CD | 0x13430..=0x1343F
            | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_has_no_mention_link_or_emphasis_left() {
        assert_eq!(escape("@all"), "@\u{200b}all");
        assert_eq!(escape("[x](y)"), "\\[x\\](y)");
        assert_eq!(escape("see http://x.org or www.x.org"), "see http\\://x.org or www\\.x.org");
        assert_eq!(escape("- a :tada: &amp; b"), "\\- a \\:tada: \\&amp; b");
        assert_eq!(escape("exit 0: no-new-privileges in 0.1.0"), "exit 0: no-new-privileges in 0.1.0");
        assert!(escape("a\nb\u{202e}").contains("<U+000A>"));
        assert!(escape("a\nb\u{202e}").contains("<U+202E>"));
    }

    #[test]
    fn a_label_has_no_mention_link_or_markup_and_no_backslash() {
        assert_eq!(label("disk free (GB): 12.5"), "disk free (GB): 12.5");
        assert_eq!(label("@all"), "\u{200b}@\u{200b}all");
        assert_eq!(label("[x](y)"), "\u{200b}[\u{200b}x\u{200b}]\u{200b}(y)");
        assert_eq!(label("www.x.org"), "www\u{200b}.\u{200b}x.org");
        assert_eq!(label("http://x"), "http\u{200b}:\u{200b}//x");
        assert!(label("a\nb").contains("<U+000A>"));
    }

    #[test]
    fn a_fence_cannot_be_left() {
        assert_eq!(fence("diff", "+a\n````\n@all\n"), "`````diff\n+a\n````\n@all\n`````");
    }

    #[test]
    fn code_cannot_be_left() {
        assert_eq!(code("a`b"), "`a\u{2cb}b`");
        assert_eq!(code("a\r\nb"), "`a<U+000D><U+000A>b`");
    }

    #[test]
    fn a_terminal_sees_escape_sequences_as_text() {
        assert_eq!(printable("\u{1b}]52;c;x\u{7}\u{9b}1m"), "<U+001B>]52;c;x<U+0007><U+009B>1m");
    }
}
