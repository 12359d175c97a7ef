//! `history [NAME]` and `log NUMBER [PAGE]`: jobs that have ended, and what they printed. Pure.

use crate::store::history::{Past, Printed};
use crate::words;
use bartizan_proto::ids::JobId;
use bartizan_proto::text::{code, escape};

/// So many are listed.
const SHOWN: usize = 20;

/// What is asked of a log.
///
/// # Errors
/// In words.
pub fn read_log(words: &[super::parse::Word]) -> Result<(JobId, usize), String> {
    let (job, page) = match words {
        [job] => (job, None),
        [job, page] => (job, Some(page)),
        _none_or_many => return Err("the number of one job is wanted, and perhaps a page".to_owned()),
    };
    let number = super::jobs::number(std::slice::from_ref(job))?;
    let page = match page {
        None => 1,
        Some(word) => match word.text.parse() {
            Ok(page) if page > 0 => page,
            _no_number => return Err(format!("{} is not the number of a page", word.text)),
        },
    };
    Ok((number, page))
}

/// The list; `elsewhere` counts those that this place does not show.
pub fn list(here: &[Past], elsewhere: usize) -> String {
    let mut out = if here.is_empty() { "**No job that ended here is kept.**\n".to_owned() } else { String::new() };
    for past in here.iter().take(SHOWN) {
        out.push_str(&format!(
            "- {}: **{}** by {}, {}: {}\n",
            past.job,
            escape(past.script.as_str()),
            code(&past.user_name),
            words::time(past.ended_ms),
            escape(&past.ending)
        ));
    }
    if here.len() > SHOWN {
        out.push_str(&format!("… and {} more.\n", here.len() - SHOWN));
    }
    if elsewhere > 0 {
        out.push_str(&words::past_elsewhere(elsewhere));
    }
    out
}

/// One page of what a job printed, with what stands above it. The page is one that there is.
pub fn page(past: &Past, printed: &Printed, page: usize, characters: usize) -> (String, String) {
    let pages = pages(&printed.output, characters);
    let page = page.min(pages.len().max(1));
    let mut head = format!(
        "**{}**, job {}, asked by {}: {}",
        escape(past.script.as_str()),
        past.job,
        code(&past.user_name),
        escape(&past.ending)
    );
    if pages.len() > 1 {
        head.push_str(&format!(" · page {page} of {}", pages.len()));
    }
    if printed.is_cut && page == pages.len() {
        head.push_str(" · more was printed and is not kept");
    }
    let output = pages.get(page - 1).copied().unwrap_or_default();
    if output.is_empty() {
        head.push_str(words::NO_OUTPUT);
    }
    (head, output.to_owned())
}

/// Pieces of at most so many characters, cut at lines where that is not wasteful.
fn pages(text: &str, characters: usize) -> Vec<&str> {
    let mut rest = text.trim_end();
    let mut pages = Vec::new();
    while !rest.is_empty() {
        let end = rest.char_indices().nth(characters.max(1)).map_or(rest.len(), |(at, _)| at);
        let end = if end == rest.len() {
            end
        } else {
            rest[..end].rfind('\n').map(|at| at + 1).filter(|at| *at > end / 2).unwrap_or(end)
        };
        let (page, more) = rest.split_at(end);
        pages.push(page.trim_end_matches('\n'));
        rest = more;
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pages_are_cut_at_lines() {
        assert_eq!(pages("one\ntwo\nthree\n", 8), ["one\ntwo", "three"]);
        assert_eq!(pages("", 8), [""; 0]);
        assert_eq!(pages("0123456789", 4), ["0123", "4567", "89"]);
    }

    proptest! {
        #[test]
        fn no_page_is_too_long_and_nothing_but_line_ends_is_lost(text in "[aé\n]{0,80}", size in 1usize..12) {
            let pages = pages(&text, size);
            prop_assert!(pages.iter().all(|page| page.chars().count() <= size));
            let kept: String = pages.concat().chars().filter(|c| *c != '\n').collect();
            let given: String = text.chars().filter(|c| *c != '\n').collect();
            prop_assert_eq!(kept, given);
        }
    }
}
