//! Whom a post mentions: `@name`, `@all`, `@channel` and `@here` in its message and in the pretext and text of
//! its attachments, but not in code. In a direct channel the other one is always mentioned.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::channels::Kind;
use super::posts::Post;
use super::state::State;

/// Inline code: as many backticks close it as opened it.
static INLINE_CODE: LazyLock<Vec<Regex>> =
    LazyLock::new(|| [r"``[^`]+``", r"`[^`\n]+`"].iter().filter_map(|pattern| Regex::new(pattern).ok()).collect());

static MENTION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?:^|[^\w@])@([A-Za-z0-9][\w.\-]*)").ok());

static HASHTAG: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?:^|\s)(#\p{L}[\w\-.]*[\w])").ok());

/// The hashtags of a message, as the post carries them.
pub(crate) fn hashtags(message: &str) -> String {
    let Some(pattern) = &*HASHTAG else { return String::new() };
    let found: Vec<_> = pattern.captures_iter(&without_code(message)).map(|found| found[1].to_owned()).collect();
    found.join(" ")
}

impl State {
    /// The ids of everyone the post mentions, never its author's.
    pub(crate) fn mentioned(&self, post: &Post) -> Vec<String> {
        let Some(members) = self.members.get(&post.channel_id) else { return Vec::new() };
        let mut found: Vec<String> = Vec::new();
        let mut add = |id: &str| {
            if id != post.user_id && !found.iter().any(|known| known == id) {
                found.push(id.to_owned());
            }
        };
        if self.channels.get(&post.channel_id).is_some_and(|channel| channel.kind == Kind::Direct) {
            members.keys().for_each(|id| add(id));
        }
        if let Some(id) = post.props.get("addedUserId").and_then(Value::as_str).filter(|_| post.is_system()) {
            add(id);
        }
        if post.is_system() {
            return found;
        }
        let everybody = self.may_mention_channel(&post.user_id, &post.channel_id);
        for word in texts(post).iter().flat_map(|text| words(text)) {
            match word.as_str() {
                "all" | "channel" | "here" if !everybody => {}
                "all" | "channel" => members.keys().for_each(|id| add(id)),
                "here" => members.keys().filter(|id| self.status_of(id).status == "online").for_each(|id| add(id)),
                name => {
                    // A name may be followed by a full stop that is the sentence's.
                    let user =
                        self.user_named(name).or_else(|| self.user_named(name.trim_end_matches(['.', '-', '_'])));
                    if let Some(user) = user.filter(|user| members.contains_key(&user.id)) {
                        add(&user.id);
                    }
                }
            }
        }
        found
    }
}

fn texts(post: &Post) -> Vec<String> {
    let mut texts = vec![post.message.clone()];
    for attachment in post.props.get("attachments").and_then(Value::as_array).into_iter().flatten() {
        for part in ["pretext", "text"] {
            texts.extend(attachment.get(part).and_then(Value::as_str).map(str::to_owned));
        }
    }
    texts
}

fn words(text: &str) -> Vec<String> {
    let Some(pattern) = &*MENTION else { return Vec::new() };
    pattern.captures_iter(&without_code(text)).map(|found| found[1].to_lowercase()).collect()
}

/// The text without fenced and inline code.
fn without_code(text: &str) -> String {
    let text = without_fences(text);
    INLINE_CODE.iter().fold(text, |text, pattern| pattern.replace_all(&text, " ").into_owned())
}

/// A fence of three or more backticks or tildes is closed by a line of at least as many of the same and nothing else, or by
/// the end of the text (CommonMark 4.5).
fn without_fences(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut open: Option<(char, usize)> = None;
    for line in text.lines() {
        let mark = line.trim_start_matches(' ');
        let indented = line.len() - mark.len() > 3;
        let fence = mark.chars().next().filter(|c| !indented && matches!(c, '`' | '~'));
        let length = fence.map_or(0, |fence| mark.chars().take_while(|c| *c == fence).count());
        let rest = &mark[length..];
        match (open, fence) {
            (Some((kind, least)), Some(fence)) if kind == fence && length >= least && rest.trim().is_empty() => {
                open = None;
            }
            (Some(_), _) => {}
            (None, Some(fence)) if length >= 3 && (fence == '~' || !rest.contains('`')) => open = Some((fence, length)),
            (None, _) => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_mentions_nobody() {
        assert_eq!(words("@alice `@bob` and\n```\n@carol\n```\n(@dave). me@mallory"), ["alice", "dave"]);
    }

    #[test]
    fn a_longer_fence_is_not_closed_by_a_shorter_one() {
        assert_eq!(words("`````text\n```\n@all\n```\n`````\n@alice"), ["alice"]);
        assert_eq!(words("```\n@all and no end"), [""; 0]);
        assert_eq!(words("~~~\n```\n@all\n~~~\n@bob"), ["bob"]);
    }

    #[test]
    fn hashtags_are_listed() {
        assert_eq!(hashtags("see #deploy-web, not `#this` or a#b #x"), "#deploy-web");
    }
}
