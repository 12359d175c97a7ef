//! The words about a pause.

use crate::store::pause::Pause;
use bartizan_proto::ids::JobId;
use bartizan_proto::text::{code, escape};

/// To a command whose script waits for its end.
pub fn waits(name: &str, job: JobId, pause: &Pause) -> String {
    format!("Bartizan is paused{}. **{}** waits as job {job} and starts when it goes on.", by(pause), escape(name))
}

/// To the admins: it begins.
pub fn begun(pause: &Pause, running: usize) -> String {
    let runs = match running {
        0 => "No job runs.".to_owned(),
        1 => "The job that runs goes on.".to_owned(),
        more => format!("The {more} jobs that run go on."),
    };
    format!("**Paused**{}. What is asked for waits, also after a restart. {runs} `bartizan resume` ends it.", by(pause))
}

/// To the admins: it is over.
pub fn over(by: &str, waiting: usize) -> String {
    let waited = match waiting {
        0 => "Nothing waited.".to_owned(),
        1 => "The job that waited starts now.".to_owned(),
        more => format!("The {more} jobs that waited start now, in their order."),
    };
    format!("The pause is **over**, by {}. {waited}", code(by))
}

fn by(Pause { reason, by_name, since_ms: _ }: &Pause) -> String {
    match reason.is_empty() {
        true => format!(" by {}", code(by_name)),
        false => format!(" by {}: {}", code(by_name), escape(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_mentions_nobody_is_no_markup_and_may_be_missing() {
        let mut pause = Pause { reason: "@all **now** `x`".into(), by_name: "the host (alice)".into(), since_ms: 1 };
        let said = waits("hello", JobId(7), &pause);
        assert!(!said.contains("@all") && !said.contains("**now**") && said.contains("job 7"), "{said}");
        pause.reason.clear();
        assert!(waits("hello", JobId(7), &pause).starts_with("Bartizan is paused by `the host (alice)`. "));
    }
}
