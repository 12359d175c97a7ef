//! What chat is told on behalf of a job's script: the frame around what the script says.

use super::rough;
use bartizan_proto::text::{code, escape};
use std::time::Duration;

/// Before what is said to one person.
pub fn addressed(user: &str) -> String {
    format!("@{user}: ")
}

/// With a file, where the script says nothing.
pub fn attached(name: &str) -> String {
    format!("File {}.", code(name))
}

/// A question; `text` is escaped already.
pub fn question(to: &str, text: &str, wanted: &str, wait: Duration, direct: bool) -> String {
    let place = if direct { "here" } else { "in this thread" };
    let wanted = if wanted.is_empty() { String::new() } else { format!(" {wanted}") };
    format!("{to}{text}\n*Answer {place} within {}, {} cancels.{wanted}*", rough(wait), code("-"))
}

/// What is taken as an answer.
pub fn wanted_answer(choices: &[String], pattern: Option<&str>, default: Option<&str>) -> String {
    let mut out = String::new();
    if !choices.is_empty() {
        let all: Vec<String> = choices.iter().map(|choice| code(choice)).collect();
        out = format!("One of {}.", all.join(", "));
    } else if let Some(pattern) = pattern {
        out = format!("It has to match {}.", code(pattern));
    }
    if let Some(default) = default {
        out.push_str(&format!(" {} is {}.", code("="), code(default)));
    }
    out.trim().to_owned()
}

/// To an answer that is not taken.
pub fn does_not_fit(wanted: &str) -> String {
    format!("That is no answer to the question. {wanted} {} cancels.", code("-"))
}

/// In the output of a job that was stopped for what its script sent.
pub fn misused(why: &str) -> String {
    format!("bartizan: stopped, because the script misused its API: {why}")
}

/// How far a job says that it is, in its live post.
pub fn progress(percent: Option<u8>, text: &str) -> String {
    const BAR: u8 = 10;
    let bar = |percent: u8| {
        let full = usize::from(percent.min(100) / (100 / BAR));
        format!("{}{} {percent} %", "▰".repeat(full), "▱".repeat(usize::from(BAR) - full))
    };
    let parts = [percent.map(bar), Some(escape(text)).filter(|text| !text.is_empty())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_a_bar_a_number_and_what_is_done() {
        assert_eq!(progress(Some(40), "copying"), "▰▰▰▰▱▱▱▱▱▱ 40 % · copying");
        assert_eq!(progress(None, "@all"), "@\u{200b}all");
        assert_eq!(progress(Some(100), ""), "▰▰▰▰▰▰▰▰▰▰ 100 %");
    }
}
