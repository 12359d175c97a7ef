//! `attach`: a post with a coloured line at its side: a text, a table, a diff, names and values. All of it was chosen by the
//! script: it is masked and made inert here, and only the colour is taken as it is, since it is one of four.

use super::posts::{MOST_MARKUP, table};
use super::refused;
use crate::core::{Core, CoreError};
use crate::job::Job;
use bartizan_proto::card::{Card, Colour, Field, MOST, json_size};
use bartizan_proto::connector::Body;
use bartizan_proto::ids::JobId;
use bartizan_proto::limits::MAX_CARD_FIELDS;
use bartizan_proto::script::Answer;
use bartizan_proto::script::Call;
use bartizan_proto::text::{escape, fence, label};
use bartizan_proto::worker::CallId;
use bartizan_proto::{List, Text};

/// Characters of a title and of a field's name.
const MOST_NAME: usize = 100;
/// Characters of a field's value. Longer ones than [`SHORT`] have a line of their own.
const MOST_VALUE: usize = 500;
const SHORT: usize = 40;
/// What is kept free for the note of what is missing in a diff, and for its counts.
const NOTE: usize = 120;

/// Cards of one job that are posted at its end.
const MOST_AT_END: usize = 3;

/// A card that waits for its job's end.
#[derive(Debug)]
pub(super) struct Waiting {
    card: Card,
    /// Its colour is not the script's choice.
    by_result: bool,
}

impl Core {
    /// Keeps a card for the job's end.
    pub(super) fn attach_at_end(&mut self, job: JobId, call: CallId, what: Call) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
        let by_result = matches!(what, Call::Attach { colour: None, .. });
        let answer = if entry.api.at_end.len() >= MOST_AT_END {
            refused(format!("a job attaches {MOST_AT_END} cards at its end, at most"))
        } else {
            match card(entry, what) {
                Ok(card) => {
                    entry.api.at_end.push(Waiting { card, by_result });
                    Answer::Done
                }
                Err(why) => refused(why),
            }
        };
        self.answer_call(job, call, answer)
    }

    /// The job is over: its cards, green where it ended well, and red where it did not.
    pub(in crate::job) fn post_cards_at_end(&mut self, job: JobId, well: bool) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
        let (channel, post, root) = (entry.intent.channel, entry.intent.post, entry.intent.root);
        for (number, mut waiting) in std::mem::take(&mut entry.api.at_end).into_iter().enumerate() {
            if waiting.by_result {
                waiting.card.colour = if well { Colour::Good } else { Colour::Danger };
            }
            let kind = format!("end-{}-{number}", job.0);
            self.reply_with(channel, post, root, &kind, Body::Card(Box::new(waiting.card)), None)?;
        }
        Ok(())
    }
}

/// The card that a call asks for. `Err` is for the script.
pub(super) fn card(job: &Job, what: Call) -> Result<Card, String> {
    build(&|text| job.cleaned(text), what)
}

fn build(clean: &dyn Fn(&str) -> String, what: Call) -> Result<Card, String> {
    let Call::Attach { at_end: _, colour, title, text, fields, rows, diff } = what else {
        return Err("not a card".to_owned());
    };
    let title = one_line(&clean(&title));
    if title.chars().count() > MOST_NAME {
        return Err(format!("a title has at most {MOST_NAME} characters"));
    }
    let mut card = Card { title: Text::cut(label(&title)), fields: named(clean, &fields)?, ..Card::default() };
    let mut parts = Vec::new();
    let said = clean(&text);
    if !said.trim().is_empty() {
        parts.push(said.trim_matches('\n').lines().map(escape).collect::<Vec<_>>().join("\n"));
    }
    if !rows.trim().is_empty() {
        parts.push(table(clean, "", &rows)?);
    }
    let mut fitting = Colour::Plain;
    if let Some(diff) = diff {
        let taken = card.size() + parts.iter().map(|part| json_size(part) + 4).sum::<usize>() + NOTE;
        let (shown, colour) = compared(&clean(&diff), MOST.saturating_sub(taken));
        parts.push(shown);
        fitting = colour;
    }
    if parts.is_empty() && card.fields.is_empty() {
        return Err("there is nothing to attach: give a text, fields, a table or a diff".to_owned());
    }
    let text = parts.join("\n\n");
    if text.chars().count() > 2 * MOST_MARKUP {
        return Err(too_large());
    }
    card.text = Text::new(text).map_err(|_| too_large())?;
    card.colour = colour.unwrap_or(fitting);
    if card.size() > MOST {
        return Err(too_large());
    }
    Ok(card)
}

fn too_large() -> String {
    "this is too large for a card; attach a file".to_owned()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lines of a name, a tab and a value.
fn named(clean: &dyn Fn(&str) -> String, lines: &str) -> Result<List<Field, MAX_CARD_FIELDS>, String> {
    let mut all = Vec::new();
    for line in clean(lines).lines().filter(|line| !line.trim().is_empty()) {
        let (name, value) = line.split_once('\t').unwrap_or((line, ""));
        let (name, value) = (one_line(name), one_line(&value.replace('\t', " ")));
        if name.is_empty() || name.chars().count() > MOST_NAME || value.chars().count() > MOST_VALUE {
            return Err(format!(
                "a field has a name of at most {MOST_NAME} characters and a value of at most {MOST_VALUE}"
            ));
        }
        let shown = if value.is_empty() { "-".to_owned() } else { escape(&value) };
        let value_fits = Text::new(shown).map_err(|_| too_large())?;
        let short = value.chars().count() <= SHORT;
        all.push(Field { name: Text::cut(label(&name)), value: value_fits, short });
    }
    List::new(all).map_err(|_| format!("a card has at most {MAX_CARD_FIELDS} fields"))
}

/// A diff with its counts, cut at a line to so many characters of JSON, and the colour that fits it.
fn compared(diff: &str, room: usize) -> (String, Colour) {
    let of = |sign: char, head: &str| diff.lines().filter(|l| l.starts_with(sign) && !l.starts_with(head)).count();
    let (added, removed) = (of('+', "+++ "), of('-', "--- "));
    if diff.trim().is_empty() {
        return ("No difference.".to_owned(), Colour::Good);
    }
    let mut left = room;
    let mut kept = Vec::new();
    for line in diff.lines() {
        let size = json_size(line) + 2;
        if size > left {
            break;
        }
        left -= size;
        kept.push(line);
    }
    let missing = diff.lines().count() - kept.len();
    let mut out = format!("\u{1f7e9} {added} added, \u{1f7e5} {removed} removed\n{}", fence("diff", &kept.join("\n")));
    if missing > 0 {
        out.push_str(&format!("\n*({missing} more lines do not fit here.)*"));
    }
    (out, Colour::Warning)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attach(title: &str, text: &str, fields: &str, diff: Option<&str>) -> Result<Card, String> {
        let call = Call::Attach {
            at_end: false,
            colour: None,
            title: Text::cut(title),
            text: Text::cut(text),
            fields: Text::cut(fields),
            rows: Text::default(),
            diff: diff.map(Text::cut),
        };
        build(&|text| text.replace("hunter2", "[redacted]"), call)
    }

    #[test]
    fn nothing_in_a_card_is_markup_a_link_or_a_mention_and_secrets_are_masked() {
        let card = attach("@all hunter2", "[x](http://x.org) hunter2", "a_b\t@here <http://x.org>\nkey\thunter2", None);
        let card = card.expect("a card");
        for text in [card.title.as_str(), &card.text, &card.fields[0].name, &card.fields[0].value] {
            assert!(!text.contains("@a") && !text.contains("@h"), "{text}");
            assert!(!text.replace("\\://", "").contains("://"), "{text}");
            assert!(!text.replace("\\](", "").contains("]("), "{text}");
        }
        assert!(!format!("{card:?}").contains("hunter2"));
    }

    #[test]
    fn a_diff_is_counted_and_its_colour_fits() {
        let card = attach("", "", "", Some("--- a\n+++ b\n@@ -1 +1,2 @@\n-x\n+y\n+```\n")).expect("a card");
        assert_eq!(card.colour, Colour::Warning);
        assert_eq!(
            card.text.as_str(),
            "\u{1f7e9} 2 added, \u{1f7e5} 1 removed\n````diff\n--- a\n+++ b\n@@ -1 +1,2 @@\n-x\n+y\n+```\n````"
        );
        let none = attach("", "", "", Some("\n")).expect("a card");
        assert_eq!((none.colour, none.text.as_str()), (Colour::Good, "No difference."));
    }

    #[test]
    fn a_long_diff_is_cut_at_a_line_and_whatever_is_in_it_fits_a_post() {
        for line in ["+abc\n", "+<\"\\\n", "+\u{1f600}\u{1f600}\n"] {
            let card = attach("a title", "a text", "a\tb", Some(&line.repeat(10_000))).expect("a card");
            assert!(card.size() <= MOST, "{}", card.size());
            assert!(card.size() > MOST - 300, "{}", card.size());
            assert!(card.text.ends_with("more lines do not fit here.)*"), "{}", card.text.as_str());
        }
    }

    #[test]
    fn what_is_too_much_or_nothing_is_refused() {
        assert!(attach("only a title", " ", "\n", None).is_err());
        assert!(attach(&"x".repeat(MOST_NAME + 1), "y", "", None).is_err());
        assert!(attach("", &"x".repeat(7_000), "", None).is_err());
        assert!(attach("", &"<".repeat(1_000), "", None).is_err());
        assert!(attach("", "", &"a\tb\n".repeat(MAX_CARD_FIELDS + 1), None).is_err());
        assert!(attach("", "", &format!("a\t{}", "x".repeat(MOST_VALUE + 1)), None).is_err());
    }
}
