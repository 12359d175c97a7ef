//! The name that somebody probably meant, or none: for keys, levels, scripts, arguments and values alike.

/// The one of `among` that is nearest to `name`, if any is near: about one mistake in three characters.
pub fn nearest<'a>(name: &str, among: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Edit distance is quadratic: what is longer than any name of ours is near to none of them.
    if name.len() > 128 {
        return None;
    }
    let wanted = name.to_lowercase();
    let far = (wanted.chars().count() / 3).max(1);
    let length = wanted.chars().count();
    among
        .into_iter()
        // The distance is never less than the difference of the lengths.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= far)
        .map(|candidate| (strsim::osa_distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= far && *distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
