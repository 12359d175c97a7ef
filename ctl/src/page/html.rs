//! HTML by pieces. What is markup stands in this program's own text; everything else is escaped, because there is no other way to
//! put it in: names, arguments, channels and what scripts say are chosen by whoever likes to.

use bartizan_proto::text::printable;

/// A page, or a part of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// Markup of ours.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text of anybody's: for between tags and inside quoted attributes. Characters that are not seen or turn others around are
    /// shown as code points.
    pub(super) fn text(&mut self, foreign: &str) -> &mut Self {
        for c in printable(foreign).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '`' => self.0.push_str("&#96;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// The same with line breaks kept, for what stands in `pre`.
    pub(super) fn lines(&mut self, foreign: &str) -> &mut Self {
        for (number, line) in foreign.lines().enumerate() {
            if number > 0 {
                self.0.push('\n');
            }
            self.text(line);
        }
        self
    }

    /// A number.
    pub(super) fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        self.0.push_str(&number.into().to_string());
        self
    }

    /// A coordinate in a picture, to one digit.
    pub(super) fn point(&mut self, number: f64) -> &mut Self {
        self.0.push_str(&format!("{number:.1}"));
        self
    }

    /// Another part.
    pub(super) fn part(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// A word of anybody's that must not run into what is around it, whatever its script's direction.
    pub(super) fn word(&mut self, foreign: &str) -> &mut Self {
        self.raw("<bdi>").text(foreign).raw("</bdi>")
    }

    /// A point in time, as the log writes it.
    pub(super) fn time(&mut self, time: &str) -> &mut Self {
        let shown = time.get(..19).map_or_else(|| time.to_owned(), |time| time.replace('T', " "));
        self.raw("<time datetime=\"").text(time).raw("\">").text(&shown).raw("</time>")
    }

    /// A row with a heading of its own.
    pub(super) fn fact(&mut self, name: &str, value: &str) -> &mut Self {
        if value.is_empty() {
            return self;
        }
        self.raw("<tr><th scope=\"row\">").text(name).raw("</th><td>").word(value).raw("</td></tr>\n")
    }

    pub(super) fn finished(self) -> String {
        self.0
    }
}

/// A page around its content. `up` leads to the first page: nothing, or `../`.
pub(super) fn page(title: &str, up: &'static str, content: &Html) -> String {
    let mut html = Html::default();
    html.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
        .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
        .raw("<meta name=\"color-scheme\" content=\"light dark\">\n<title>")
        .text(title)
        .raw("</title>\n<link rel=\"stylesheet\" href=\"")
        .raw(up)
        .raw("page.css\">\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">To the content</a>\n<header><h1><a href=\"")
        .raw(if up.is_empty() { "./" } else { up })
        .raw("\">Bartizan: who ran what</a></h1></header>\n<main id=\"main\">\n")
        .part(content)
        .raw("</main>\n<footer><p>Read-only. Times are UTC. What is written here is from the signed audit log, nothing is from chat.</p></footer>\n</body>\n</html>\n");
    html.finished()
}

/// A value in an address.
pub(super) fn encoded(value: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_text_and_nothing_else() {
        let mut html = Html::default();
        html.text("<script>alert('x')</script>\" onload=\"x` &amp; \u{202e}gpj.exe\u{1b}[2J\r\n");
        let text = html.finished();
        assert!(!text.contains(['<', '>', '"', '\'', '`', '\u{202e}', '\u{1b}', '\n', '\r']), "{text}");
        assert!(
            text.contains("&lt;script&gt;") && text.contains("&amp;amp;") && text.contains("&lt;U+202E&gt;"),
            "{text}"
        );
    }

    #[test]
    fn an_address_holds_any_value() {
        assert_eq!(encoded("a b&c=\"<é"), "a%20b%26c%3D%22%3C%C3%A9");
    }
}
