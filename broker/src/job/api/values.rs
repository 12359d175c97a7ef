//! `param` and `log`.

use super::refused;
use crate::job::Job;
use bartizan_proto::Text;
use bartizan_proto::ids::JobId;
use bartizan_proto::script::Answer;
use bartizan_proto::text::printable;

/// Lines that one job may write into the service's log.
const MOST_LINES: u32 = 500;

/// An argument by its name.
pub(super) fn param(params: &[(String, String)], name: &str) -> Answer {
    match params.iter().find(|(other, _)| other == name) {
        Some((_, value)) => Answer::Value(Text::cut(value.clone())),
        None => {
            let names: Vec<&str> = params.iter().map(|(name, _)| name.as_str()).collect();
            let has = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
            refused(format!("there is no argument {name:?}: {has}"))
        }
    }
}

/// A line for the log: of one job, by its number, and nothing in it can begin another line.
pub(super) fn log(id: JobId, job: &mut Job, text: &str) -> Answer {
    if job.api.logged >= MOST_LINES {
        return refused(format!("this job has written its {MOST_LINES} lines into the log"));
    }
    job.api.logged += 1;
    let said = printable(job.cleaned(text).trim_end());
    tracing::info!(job = id.0, script = %job.intent.script, said, "its script says");
    Answer::Done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_given_by_its_name_and_another_name_is_answered_with_those_there_are() {
        let params = [("service".to_owned(), "db".to_owned()), ("tag".to_owned(), String::new())];
        assert_eq!(param(&params, "tag"), Answer::Value(Text::default()));
        assert!(matches!(param(&params, "Tag"), Answer::Refused(why) if why.contains("service, tag")));
        assert!(matches!(param(&[], "x"), Answer::Refused(why) if why.contains("none")));
    }
}
