//! Pages out of a log that strangers wrote into: nothing of theirs is markup, and nothing is endless.

use super::book::Book;
use super::filter::Filter;
use super::list::{json, list};
use super::row::Spot;
use crate::audit::Fields;

/// What somebody would call themselves, a script's argument, a channel, an error.
const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title></svg><script>alert(1)</script>",
    "\u{202e}txt.exe\u{2066}",
    "\u{1b}[2J\u{0}\r\nSet-Cookie: a=b",
    "&lt;script&gt;",
    "javascript:alert(1)",
];

fn book() -> Book {
    let mut book = Book::default();
    for (number, text) in (1u64..).zip(HOSTILE) {
        for (at, event) in [(number * 3, "decision"), (number * 3 + 1, "job-start"), (number * 3 + 2, "job-end")] {
            let mut fields = Fields::new();
            for name in
                ["userId", "userName", "channelId", "postId", "command", "scriptName", "error", "ending", "actor"]
            {
                fields.insert(name.to_owned(), format!("{text}{number}").into());
            }
            fields.insert("event".to_owned(), event.into());
            fields.insert("timestamp".to_owned(), format!("2026-01-01T00:00:{at:02}.000Z").into());
            fields.insert("sequence".to_owned(), at.into());
            fields.insert("executionId".to_owned(), number.into());
            fields.insert("success".to_owned(), (number % 2 == 0).into());
            book.take(&fields, Spot { file: 0, offset: 0, length: 1, line: 0 });
        }
        book.name_channel(number, text);
    }
    book
}

/// Every tag of a page, without what stands in quotes.
fn tags(page: &str) -> Vec<String> {
    page.split('<').skip(1).map(|rest| rest.split(['>', ' ', '\n']).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn no_word_of_a_stranger_is_markup() {
    let filter = Filter { person: HOSTILE[0].to_owned(), script: HOSTILE[1].to_owned(), ..Filter::default() };
    for page in [list(&book(), &Filter::default()), list(&book(), &filter)] {
        let known = tags(&list(&Book::default(), &Filter::default()));
        for tag in tags(&page) {
            let ours = [
                "svg", "/svg", "rect", "/rect", "line", "text", "/text", "desc", "/desc", "defs", "pattern",
                "/pattern", "/defs",
            ];
            let table = [
                "details", "/details", "summary", "/summary", "ul", "/ul", "li", "/li", "span", "/span", "bdi", "/bdi",
                "code", "/code", "time", "/time", "section", "/section", "option", "/option", "caption", "h2", "/h2",
            ];
            assert!(
                known.contains(&tag) || ours.contains(&tag.as_str()) || table.contains(&tag.as_str()),
                "<{tag}> in {page}"
            );
        }
        for never in [
            "<script",
            "<img",
            "onerror=alert(1)>",
            "onmouseover='",
            "\u{202e}",
            "\u{2066}",
            "\u{1b}",
            "\u{0}",
            "href=\"javascript",
        ] {
            assert!(!page.contains(never), "{never:?} in {page}");
        }
        assert!(page.contains("&lt;script&gt;alert(1)"), "it is shown as what it is: {page}");
    }
    assert!(
        list(&book(), &Filter::default()).contains("&lt;U+202E&gt;"),
        "what turns text around is shown as a code point"
    );
}

#[test]
fn json_is_the_same_to_a_program_and_nothing_to_a_browser() {
    let text = json(&book(), &Filter::default());
    assert!(!text.contains(['<', '>', '&', '\u{202e}', '\u{1b}']), "{text}");
    let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(read["matching"], HOSTILE.len());
    assert_eq!(read["runs"][7]["command"], format!("{}1", HOSTILE[0]));
    assert_eq!(read["runs"][0]["verdict"], "succeeded");
}

#[test]
fn pages_are_of_bounded_length_and_lead_to_each_other() {
    let mut book = Book::default();
    for number in 1u64..=120 {
        let line = format!(
            r#"{{"event":"decision","sequence":{number},"timestamp":"2026-01-01T00:00:00.000Z","postId":"p{number}","userId":"u","command":"!c{number}","success":true}}"#
        );
        let fields: Fields = serde_json::from_str(&line).expect("json");
        book.take(&fields, Spot { file: 0, offset: 0, length: 1, line: 0 });
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let filter = Filter { before, ..Filter::default() };
        let read: serde_json::Value = serde_json::from_str(&json(&book, &filter)).expect("JSON");
        let rows = read["runs"].as_array().expect("rows");
        assert!(rows.len() <= 50);
        seen.extend(rows.iter().map(|row| row["line"].as_u64().expect("a number")));
        before = read["next"].as_u64();
        let page = list(&book, &filter);
        assert_eq!(page.contains("rel=\"next\""), before.is_some());
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=120).rev().collect::<Vec<u64>>());
}

#[test]
fn a_page_is_one_that_everybody_can_read() {
    let page = list(&book(), &Filter::default());
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
    for part in [
        "<title>",
        "<caption>",
        "scope=\"col\"",
        "class=\"skip\"",
        "<main id=\"main\">",
        "role=\"status\"",
        "role=\"img\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("<input").count() + page.matches("<select").count(), page.matches("<label>").count());
    assert!(!page.contains("style=\""), "the policy lets no style inside");
}

#[test]
fn colours_can_be_read_in_the_light_and_in_the_dark() {
    let css = super::CSS;
    let (light, dark) = css.split_once("prefers-color-scheme: dark").expect("both");
    for half in [light, dark] {
        let colour = |name: &str| {
            let at = half.find(&format!("--{name}: #")).expect("a colour") + name.len() + 5;
            let digits: String = half[at..].chars().take_while(char::is_ascii_hexdigit).collect();
            let wide = if digits.len() == 3 { digits.chars().flat_map(|c| [c, c]).collect() } else { digits };
            (0..3)
                .map(|at| u8::from_str_radix(&wide[at * 2..at * 2 + 2], 16).expect("hexadecimal"))
                .collect::<Vec<u8>>()
        };
        // WCAG 2.1, 1.4.3.
        let light_of = |name: &str| {
            let linear = |part: u8| {
                let part = f64::from(part) / 255.0;
                if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
            };
            let parts = colour(name);
            0.2126 * linear(parts[0]) + 0.7152 * linear(parts[1]) + 0.0722 * linear(parts[2])
        };
        for paper in ["paper", "raised"] {
            for ink in ["ink", "soft", "link", "good", "bad", "refused", "running", "allowed"] {
                let (a, b) = (light_of(ink), light_of(paper));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= 4.5, "{ink} on {paper}: {contrast:.2}");
            }
        }
    }
}
