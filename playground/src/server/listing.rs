//! Reading posts: one, a thread, and a channel's by page, `before`, `after` and `since`. The quirks are the real
//! server's: `since` goes by update time, ends at 1000 and shows deleted posts; a reply's root is among the
//! posts of a list without being in its order.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State as Shares};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, ApiError, json as reply};
use super::caller::Caller;
use super::ids::is_id;
use super::posts::{Post, PostView};
use super::state::{Shared, State};

/// The most that `since` returns.
const MOST: usize = 1_000;

/// The largest page.
const LARGEST_PAGE: usize = 200;

/// A list of posts as the API shows it.
#[derive(Debug, Default, Serialize)]
struct List {
    order: Vec<String>,
    posts: BTreeMap<String, PostView>,
    next_post_id: String,
    prev_post_id: String,
}

/// Which posts of a channel are wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Which {
    since: Option<String>,
    before: Option<String>,
    after: Option<String>,
    page: Option<usize>,
    per_page: Option<usize>,
}

/// `GET /posts/{post_id}`
pub(crate) async fn one(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let state = shared.lock();
    let post = state.readable(&caller, &id)?;
    Ok(reply(&state.view(post, 0, "")))
}

/// `GET /posts/{post_id}/thread`: the post that was asked for first, then the thread.
pub(crate) async fn thread(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let state = shared.lock();
    let asked = state.readable(&caller, &id)?;
    let root_id = if asked.root_id.is_empty() { &asked.id } else { &asked.root_id };
    let mut thread: Vec<&Post> = state.posts.replies(root_id).chain(state.posts.any(root_id)).collect();
    thread.retain(|post| post.delete_at == 0);
    thread.sort_by_key(|post| post.update_at);
    let mut list = List::default();
    for post in std::iter::once(asked).chain(thread) {
        list.order.push(post.id.clone());
        list.posts.insert(post.id.clone(), state.view(post, state.reply_count(post), ""));
    }
    Ok(reply(&list))
}

/// `GET /channels/{channel_id}/posts`
pub(crate) async fn of_channel(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Answer {
    if !is_id(&id) {
        return Err(ApiError::bad_url("channel_id"));
    }
    let since = match which.since.as_deref().filter(|since| !since.is_empty()) {
        Some(since) => since.parse::<u64>().map_err(|_| ApiError::bad_body("since"))?,
        None => 0,
    };
    for (name, anchor) in [("after", &which.after), ("before", &which.before)] {
        if anchor.as_ref().is_some_and(|anchor| !anchor.is_empty() && !is_id(anchor)) {
            return Err(ApiError::bad_body(name));
        }
    }
    let state = shared.lock();
    state.must_be_member(&caller, &id)?;
    if since > 0 {
        return Ok(reply(&state.since(&id, since)));
    }
    let per_page = which.per_page.unwrap_or(60).min(LARGEST_PAGE);
    let skip = which.page.unwrap_or(0) * per_page;
    let newest_first: Vec<&Post> = state.posts.of_channel(&id).rev().filter(|post| post.delete_at == 0).collect();
    let anchored = |anchor: Option<String>| anchor.filter(|anchor| !anchor.is_empty());
    let page = match (anchored(which.after), anchored(which.before)) {
        (Some(after), _) => {
            // The page next to the anchor: counted from it, shown newest first.
            let Some(end) = newest_first.iter().position(|post| post.id == after) else {
                return Ok(reply(&List { prev_post_id: after, ..List::default() }));
            };
            end.saturating_sub(skip + per_page)..end.saturating_sub(skip)
        }
        (None, Some(before)) => {
            let Some(start) = newest_first.iter().position(|post| post.id == before) else {
                return Ok(reply(&List { next_post_id: before, ..List::default() }));
            };
            let start = (start + 1 + skip).min(newest_first.len());
            start..(start + per_page).min(newest_first.len())
        }
        (None, None) => {
            let start = skip.min(newest_first.len());
            start..(start + per_page).min(newest_first.len())
        }
    };
    Ok(reply(&state.list(&newest_first, page)))
}

/// `GET /channels/{channel_id}/pinned`
pub(crate) async fn pinned(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let state = shared.lock();
    state.channel(&id)?;
    state.must_be_member(&caller, &id)?;
    let pinned: Vec<&Post> =
        state.posts.of_channel(&id).rev().filter(|post| post.delete_at == 0 && post.is_pinned).collect();
    let all = 0..pinned.len();
    Ok(reply(&state.list(&pinned, all)))
}

impl State {
    /// A post that is there and that the caller may read.
    pub(crate) fn readable(&self, caller: &Caller, id: &str) -> Result<&Post, ApiError> {
        if !is_id(id) {
            return Err(ApiError::bad_url("post_id"));
        }
        let missing = || ApiError::not_found("app.post.get.app_error", "Unable to get the post.");
        let post = self.posts.alive(id).ok_or_else(missing)?;
        self.must_be_member(caller, &post.channel_id)?;
        Ok(post)
    }

    fn since(&self, channel_id: &str, since: u64) -> List {
        let mut list = List::default();
        let changed = self.posts.of_channel(channel_id).filter(|post| post.update_at > since).take(MOST);
        for post in changed {
            list.order.push(post.id.clone());
            list.posts.insert(post.id.clone(), self.view(post, 0, ""));
            if let Some(root) = self.posts.alive(&post.root_id) {
                list.posts.entry(root.id.clone()).or_insert_with(|| self.view(root, 0, ""));
            }
        }
        // Newest first by creation; an old wording counts from when the post itself was made.
        let created = |id: &String| self.posts.any(id).map_or(0, |post| post.create_at);
        list.order.reverse();
        list.order.sort_by_key(|id| std::cmp::Reverse(created(id)));
        list
    }

    fn list(&self, newest_first: &[&Post], page: std::ops::Range<usize>) -> List {
        let mut list = List::default();
        let shown = newest_first.get(page.clone()).unwrap_or_default();
        for post in shown {
            list.order.push(post.id.clone());
            for post in [Some(*post), self.posts.alive(&post.root_id)].into_iter().flatten() {
                let view = || self.view(post, self.reply_count(post), "");
                list.posts.entry(post.id.clone()).or_insert_with(view);
            }
        }
        if !shown.is_empty() {
            let id = |index: Option<usize>| index.and_then(|index| newest_first.get(index)).map(|post| post.id.clone());
            list.next_post_id = id(page.start.checked_sub(1)).unwrap_or_default();
            list.prev_post_id = id(Some(page.end)).unwrap_or_default();
        }
        list
    }
}
