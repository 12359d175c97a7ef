//! Jobs that have ended: kept with what they printed, and shown to those who may see them, where they may be shown.

use super::{Core, CoreError};
use crate::command::Builtin;
use crate::command::history::{list, page, read_log};
use crate::command::jobs::{Asked, is_here, may_see};
use crate::command::parse::Command;
use crate::gate::Refusal;
use crate::job::Job;
use crate::policy::{Place, Requester};
use crate::store::history::{Past, Printed};
use crate::store::now_ms;
use bartizan_proto::connector::{Body, Report};
use bartizan_proto::control::Answer;
use bartizan_proto::history::{PastJob, PastRow};
use bartizan_proto::ids::JobId;
use bartizan_proto::limits::{MAX_MESSAGE, MAX_ROWS};
use bartizan_proto::{List, Text, text};

/// So many of the newest are looked through for those that somebody may see.
const LOOKED_AT: usize = 2000;

impl From<&Past> for Asked {
    fn from(past: &Past) -> Self {
        let Past { user, direct, private, channel, .. } = *past;
        Asked { user, direct, private, channel, script: past.script.clone() }
    }
}

impl Core {
    /// Keeps a job that has just ended.
    pub(crate) fn keep_past(&mut self, id: JobId, job: &Job, ending: String) -> Result<(), CoreError> {
        let whole = !job.output.is_cut(0);
        let mut output = job.shown(!whole);
        let is_cut = !whole || output.len() > MAX_MESSAGE;
        output.truncate(output.floor_char_boundary(MAX_MESSAGE));
        let intent = &job.intent;
        let past = Past {
            job: id,
            script: intent.script.clone(),
            user: intent.user,
            user_name: intent.user_name.clone(),
            channel: intent.channel,
            channel_name: intent.channel_name.clone(),
            direct: intent.direct,
            private: intent.private,
            command: text::printable(&self.without_secrets(&intent.command)),
            ended_ms: now_ms(),
            ending,
        };
        let keep = self.config.limits.history;
        Ok(self.store.put_past(&past, &Printed { output, is_cut }, keep)?)
    }

    /// `history` and `log`.
    pub(super) fn history_command(
        &mut self,
        report: &Report,
        builtin: Builtin,
        command: &Command,
        requester: &Requester,
        place: &Place,
    ) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        if builtin == Builtin::History {
            let script = command.words.first().map(|word| word.text.as_str());
            let mut mine = self.store.past(script, LOOKED_AT)?;
            mine.retain(|past| may_see(&past.into(), requester, place, policy));
            let all = mine.len();
            mine.retain(|past| is_here(&past.into(), place));
            let text = list(&mine, all - mine.len());
            return self.answer(report, Vec::new(), text);
        }
        let (id, number) = match read_log(&command.words) {
            Ok(read) => read,
            Err(error) => return self.refuse_usage(report, builtin, error, Vec::new()),
        };
        let found = self.store.past_job(id)?.filter(|(past, _)| may_see(&past.into(), requester, place, policy));
        let Some((past, printed)) = found else {
            let cause = format!("job {id} is not kept, or not for {}", requester.user);
            return self.refuse(report, Refusal::NoLog(id), &cause, Vec::new());
        };
        if !is_here(&(&past).into(), place) {
            let cause = format!("job {id} was asked in another place");
            return self.refuse(report, Refusal::JobElsewhere(id), &cause, Vec::new());
        }
        let (head, output) = page(&past, &printed, number, self.config.limits.output);
        let body = match output.is_empty() {
            true => Body::Markup(Text::cut(head)),
            false => Body::Output { head: Text::cut(head), output: Text::cut(output) },
        };
        self.answer_with(report, body)
    }

    /// The same list for the host: all of it.
    pub(super) fn past_rows(&self, script: Option<&str>) -> Result<Answer, CoreError> {
        let rows = self.store.past(script, MAX_ROWS)?;
        Ok(Answer::History(List::cut(rows.iter().map(row))))
    }

    /// One job that has ended, for the host.
    pub(super) fn past_for_host(&self, job: JobId) -> Result<Option<Answer>, CoreError> {
        Ok(self.store.past_job(job)?.map(|(past, printed)| {
            let output = Text::cut(printed.output);
            Answer::Log(Box::new(PastJob { row: row(&past), output, is_cut: printed.is_cut }))
        }))
    }
}

fn row(past: &Past) -> PastRow {
    PastRow {
        job: past.job,
        script: past.script.clone(),
        user: past.user,
        user_name: past.user_name.clone(),
        channel: past.channel_name.clone(),
        ended_ms: past.ended_ms,
        ending: Text::cut(past.ending.as_str()),
        command: Text::cut(past.command.as_str()),
    }
}
