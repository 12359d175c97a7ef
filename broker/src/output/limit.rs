//! Decides how much of the output stands in the post, and whether all of it goes along as a file.

/// How output is shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    /// What stands in the post.
    pub post: String,
    /// The file's content, when the post does not hold everything.
    pub file: Option<String>,
    /// Code points in all.
    pub characters: usize,
}

/// Splits stripped output. `limit` is in code points, as Mattermost counts.
pub fn limit(output: String, limit: usize) -> Shown {
    let output = output.trim_end().to_owned();
    let characters = output.chars().count();
    if characters <= limit {
        return Shown { post: output, file: None, characters };
    }
    let end = output.char_indices().nth(limit).map_or(output.len(), |(at, _)| at);
    // Cut at a line where that does not cost more than a quarter of the post.
    let end = output[..end].rfind('\n').filter(|at| *at > end / 4 * 3).unwrap_or(end);
    Shown { post: output[..end].to_owned(), file: Some(output), characters }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_up_to_the_limit_stands_in_the_post_counted_in_code_points() {
        let four = "é".repeat(4000);
        assert_eq!(limit(four.clone(), 4000), Shown { post: four.clone(), file: None, characters: 4000 });
        let shown = limit(four.clone() + "x", 4000);
        assert_eq!(shown.post, four);
        assert_eq!(shown.file.map(|file| file.chars().count()), Some(4001));
    }

    #[test]
    fn longer_output_is_cut_at_a_line() {
        let shown = limit("0123456789\n".repeat(10), 100);
        assert_eq!(shown.post.lines().count(), 9);
        assert!(shown.post.ends_with('9'));
    }
}
