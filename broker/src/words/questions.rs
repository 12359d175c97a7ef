//! What somebody is asked, and told when they do not answer.

use crate::config::{Argument, Kind};
use crate::gate::NotGiven;
use bartizan_proto::text::{code, escape};
use std::time::Duration;

/// On a command whose author is asked something.
pub const ASKED: &str = "question";

/// Asks for an argument of a script. `again` is what was wrong with the last answer.
pub fn ask(script: &str, argument: &Argument, usage: &str, again: Option<&str>, within: Duration) -> String {
    let mut text = match again {
        Some(wrong) => format!("{}\n", escape(wrong)),
        None => String::new(),
    };
    text += &format!("**{script}**: {} is missing. What is it?", code(&argument.name));
    if let Some(description) = &argument.description {
        text += &format!(" ({})", escape(description));
    }
    text += &match &argument.kind {
        Kind::Enum(values) => {
            format!(" One of {}.", values.iter().map(|value| code(value)).collect::<Vec<_>>().join(", "))
        }
        Kind::Boolean => " `true` or `false`.".to_owned(),
        Kind::Number { min: Some(min), max: Some(max) } => format!(" A number from {min} to {max}."),
        Kind::Number { .. } => " A number.".to_owned(),
        Kind::Text { .. } => String::new(),
    };
    let time = crate::words::rough(within);
    text + &format!("\nAnswer in this thread within {time}; `-` cancels. Usage: {}", code(usage))
}

/// What "it" was taken for.
pub fn it_is(script: &str, stands: &[(String, String)]) -> String {
    let all: Vec<String> = stands.iter().map(|(name, value)| format!("{} {}", code(name), code(value))).collect();
    format!("**{script}**: {} is {}.", code("it"), all.join(", "))
}

/// Where "it" could be nothing.
pub fn nothing_named(argument: &str) -> String {
    format!("{argument}: nothing was named here that \"it\" could be")
}

/// To somebody who did not answer.
pub fn not_given(how: NotGiven) -> &'static str {
    match how {
        NotGiven::Cancelled => "Cancelled: nothing was run.",
        NotGiven::Late => "No answer came in time: nothing was run. Give the command again when you have it.",
        NotGiven::Unfit => "That did not fit three times: nothing was run. `!help NAME` shows what does.",
        NotGiven::Restarted => {
            "I was started again before you answered or sent a code: nothing was run. Please give the command again."
        }
    }
}
