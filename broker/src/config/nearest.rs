//! The name that somebody probably meant, or none: for keys, levels, scripts, arguments and values alike.

use std::borrow::Cow;

/// The one of `among` that is nearest to `name`, if any is near: about one mistake in three characters.
pub fn nearest<'a>(name: &str, among: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest_that(name, among.into_iter().map(|candidate| (candidate, ())), |()| true)
}

/// The same of those names whose `item` pleases, which is not asked of those that are far by their letters: there may be
/// thousands of names.
pub fn nearest_that<'a, T>(
    name: &str,
    among: impl IntoIterator<Item = (&'a str, T)>,
    mut pleases: impl FnMut(T) -> bool,
) -> Option<&'a str> {
    // Edit distance is quadratic: what is longer than any name of ours is near to none of them.
    if name.len() > 128 {
        return None;
    }
    let wanted = name.to_lowercase();
    let length = wanted.chars().count();
    let far = (length / 3).max(1);
    let letters = Letters::of(&wanted);
    let mut best: Option<(usize, &str)> = None;
    for (candidate, item) in among {
        let is_lower = candidate.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
        let lower: Cow<'_, str> = if is_lower { candidate.into() } else { candidate.to_lowercase().into() };
        // Only what would be nearer than the best so far is looked at; of equally near ones the first by name counts.
        let counts = |distance: usize| {
            distance <= far
                && best.is_none_or(|(least, name)| distance < least || (distance == least && candidate < name))
        };
        // The distance is never less than the difference of the lengths, nor than the letters that one of them lacks.
        let size = if candidate.is_ascii() { candidate.len() } else { candidate.chars().count() };
        if !counts(size.abs_diff(length)) || !counts(letters.apart(&Letters::of(&lower))) || !pleases(item) {
            continue;
        }
        let distance = strsim::osa_distance(&wanted, &lower);
        if counts(distance) && distance < size {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Which letters are in a word, whatever their case, number and order.
struct Letters(u128);

impl Letters {
    fn of(word: &str) -> Letters {
        let ascii = word.bytes().filter(u8::is_ascii);
        Letters(ascii.fold(0, |letters, letter| letters | 1 << letter.to_ascii_lowercase()))
    }

    /// At least so many letters have to be put in, taken out or exchanged to make one word of the other.
    fn apart(&self, other: &Letters) -> usize {
        let (more, less) = (self.0 & !other.0, other.0 & !self.0);
        usize::try_from(more.count_ones().max(less.count_ones())).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let keys = ["url", "team", "ca-file", "channels"];
        assert_eq!(nearest("tema", keys), Some("team"));
        assert_eq!(nearest("chanels", keys), Some("channels"));
        assert_eq!(nearest("URL", keys), Some("url"));
        assert_eq!(nearest("important", ["deploy", "hello", "report"]), None);
        assert_eq!(nearest("x", ["a", "b"]), None);
        assert_eq!(nearest(&"x".repeat(100_000), keys), None);
    }

    #[test]
    fn names_that_are_far_by_their_letters_are_not_asked_about_and_what_does_not_please_hides_nothing() {
        let names = ["deploy", "deplay", "report", "hello"];
        let mut asked = Vec::new();
        let found = nearest_that("deploi", names.map(|name| (name, name)), |name| {
            asked.push(name);
            name != "deploy"
        });
        assert_eq!((found, asked), (Some("deplay"), vec!["deploy", "deplay"]));
    }

    proptest! {
        /// The short ways leave nothing out that the plain search would find.
        #[test]
        fn it_is_what_the_plain_search_finds(name in "[a-zA-Zäß-]{0,9}", names in proptest::collection::vec("[a-dA-D-]{1,8}", 0..20)) {
            let wanted = name.to_lowercase();
            let far = (wanted.chars().count() / 3).max(1);
            let plain = names.iter()
                .map(|candidate| (strsim::osa_distance(&wanted, &candidate.to_lowercase()), candidate.as_str()))
                .filter(|(distance, candidate)| *distance <= far && *distance < candidate.chars().count())
                .min();
            prop_assert_eq!(nearest(&name, names.iter().map(String::as_str)), plain.map(|(_, candidate)| candidate));
        }
    }
}
