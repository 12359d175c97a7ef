//! What chat is told on behalf of a job's script: the frame around what the script says.

use bartizan_proto::text::{code, escape};

/// Before what is said to one person.
pub fn addressed(user: &str) -> String {
    format!("@{user}: ")
}

/// With a file, where the script says nothing.
pub fn attached(name: &str) -> String {
    format!("File {}.", code(name))
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
