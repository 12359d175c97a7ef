//! The script API, as a driver uses it: how far it is, and a card at the end. Nobody waits for it: what cannot be said is printed anyway.

use crate::system;
use bartizan_proto::card::Colour;
use bartizan_proto::hosts::{self, HostsTold};
use bartizan_proto::limits::{MAX_PROGRESS, MAX_REASON};
use bartizan_proto::script::{Answer, VARIABLE, ask, frame};
use std::os::fd::AsFd as _;

/// In the job's live post.
pub(crate) fn progress(text: &str) {
    let text = cut(text, MAX_PROGRESS);
    let _unheard = call(&[b"progress", b"text", text.as_bytes()]);
}

/// A line in the job's thread.
pub(crate) fn say(text: &str) {
    let _unheard = call(&[b"say", b"text", cut(text, MAX_REASON).as_bytes()]);
}

/// A card with a table. `Err` is why there is none.
pub(crate) fn card(colour: Colour, title: &str, text: &str, rows: &str) -> Result<(), String> {
    let colour = match colour {
        Colour::Plain => "plain",
        Colour::Good => "good",
        Colour::Warning => "warning",
        Colour::Danger => "danger",
    };
    let title = cut(title, MAX_REASON);
    let words: [&[u8]; 9] = [
        b"attach",
        b"colour",
        colour.as_bytes(),
        b"title",
        title.as_bytes(),
        b"text",
        text.as_bytes(),
        b"rows",
        rows.as_bytes(),
    ];
    match call(&words)? {
        Answer::Done | Answer::Value(_) | Answer::Nothing(_) => Ok(()),
        Answer::Refused(why) => Err(why.to_string()),
    }
}

/// What became of some machines.
pub(crate) fn hosts(told: &HostsTold) {
    if let Ok(value) = hosts::encode(told) {
        let _unheard = call(&[b"hosts", b"told", &value]);
    }
}

fn call(words: &[&[u8]]) -> Result<Answer, String> {
    let inherited = system::given(VARIABLE).ok_or("this job may call nothing")?;
    ask(inherited.as_fd(), &frame(words)).map_err(|error| error.to_string())
}

/// So many bytes at most, whole characters.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    text.get(..most).unwrap_or_else(|| {
        let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.get(..end).unwrap_or_default()
    })
}
