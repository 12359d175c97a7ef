//! What chat is told on behalf of a job's script: the frame around what the script says.

use super::rough;
use bartizan_proto::ids::JobId;
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

/// A question that stands elsewhere than in its job's thread; `text` and `script` are escaped already.
pub fn question_elsewhere(to: &str, script: &str, job: JobId, by: Option<&str>, text: &str) -> String {
    let by = by.map_or(String::new(), |name| format!(" of {}", escape(name)));
    format!("{to}**{script}** (job {}{by}) asks: {text}", job.0)
}

/// The same when it is over.
pub fn question_ended(head: &str, end: &str) -> String {
    format!("{head}\n*{end}*")
}

/// Nobody answered a question.
pub const NO_ANSWER: &str = "No answer came.";
/// Who asked is gone.
pub const ASKED_NO_MORE: &str = "This is not asked any more.";

/// Somebody answered.
pub fn answered_by(name: &str) -> String {
    format!("{} answered.", escape(name))
}

/// Somebody did not want it.
pub fn cancelled_by(name: &str) -> String {
    format!("{} cancelled it.", escape(name))
}

/// In a thread that a script is subscribed to: whose words it hears, if not everybody's.
pub fn subscribed(script: &str, whose: Option<&str>, time: Duration) -> String {
    let (script, time) = (escape(script), rough(time));
    let whose = whose.map_or("whoever may run it writes".to_owned(), |name| format!("{} writes", escape(name)));
    format!("From now on **{script}** runs with what {whose} in this thread, for {time}. {} ends it.", code("-"))
}

/// It is not any more.
pub fn subscription_over(script: &str) -> String {
    format!("**{}** does not hear this thread any more.", escape(script))
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
