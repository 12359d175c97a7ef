//! `schedule`, `pause`, `resume`, `paused` in chat, and the same list for the host.

use super::schedules::channel_of;
use super::{Core, CoreError};
use crate::audit::{Gate, Record};
use crate::command::Builtin;
use crate::command::parse::Command;
use crate::command::schedule::{is_here, may_see, read_pause};
use crate::config::{Schedule, When};
use crate::gate::Refusal;
use crate::policy::{Place, Policy, Requester};
use crate::store::schedules::Pause;
use crate::words;
use bartizan_proto::connector::Report;
use bartizan_proto::control::Answer;
use bartizan_proto::schedule::ScheduleRow;
use bartizan_proto::{List, Text, text};

impl Core {
    /// A command about schedules.
    pub(super) fn schedule_command(
        &mut self,
        report: &Report,
        builtin: Builtin,
        command: &Command,
        requester: &Requester,
        place: &Place,
    ) -> Result<(), CoreError> {
        if let Some(policy) = &self.policy
            && let Some((refusal, cause, gates)) = super::obey::not_for(builtin, requester, policy)
        {
            return self.refuse(report, refusal, &cause, gates);
        }
        match builtin {
            Builtin::Pause | Builtin::Resume => self.pause_command(report, builtin, command, requester, place),
            _list => {
                let text = self.list_schedules(builtin == Builtin::Paused, requester, place);
                self.answer(report, Vec::new(), text)
            }
        }
    }

    fn pause_command(
        &mut self,
        report: &Report,
        builtin: Builtin,
        command: &Command,
        requester: &Requester,
        place: &Place,
    ) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let Some((name, rest)) = command.words.split_first() else {
            let error = "the name of a schedule is wanted".to_owned();
            return self.refuse_usage(report, builtin, error, Vec::new());
        };
        let found = name.text.parse().ok().and_then(|name| policy.config.allowlist.schedule(&name)).cloned();
        let Some(schedule) = found.filter(|schedule| self.may_see_schedule(schedule, requester, place, policy)) else {
            let why = format!("I know no schedule {} that you may see", name.text);
            return self.refuse(report, Refusal::Denied(why.clone()), &why, Vec::new());
        };
        let now = policy.now_ms();
        let mut record = Record::Schedule {
            name: schedule.name.to_string(),
            action: builtin.name(),
            command: self.without_secrets(&schedule.line),
            due_ms: None,
            by: Some(requester.user),
            by_name: Some(requester.name.to_string()),
            error: None,
        };
        let text = if builtin == Builtin::Pause {
            let until_ms = match read_pause(rest, now, &schedule.zone) {
                Ok(until_ms) => until_ms,
                Err(error) => return self.refuse_usage(report, builtin, error, Vec::new()),
            };
            if let Record::Schedule { due_ms, .. } = &mut record {
                *due_ms = until_ms;
            }
            let pause = Pause { until_ms, by_name: requester.name.to_string() };
            self.store.pause(&schedule.name, &pause)?;
            self.schedules.pauses.insert(schedule.name.clone(), pause);
            let until = until_ms.map(|ms| words::in_zone(ms, &schedule.zone));
            words::schedules::paused(schedule.name.as_str(), until.as_deref())
        } else {
            if !rest.is_empty() {
                let error = "only a name is wanted".to_owned();
                return self.refuse_usage(report, builtin, error, Vec::new());
            }
            if !self.schedules.pauses.contains_key(&schedule.name) {
                let why = format!("schedule {} is not paused", schedule.name);
                return self.refuse(report, Refusal::Denied(why.clone()), &why, Vec::new());
            }
            // What was due until now was due while it was paused.
            self.look_at_schedules()?;
            self.schedules.pauses.remove(&schedule.name);
            self.store.resume(&schedule.name)?;
            words::schedules::resumed(schedule.name.as_str(), &self.next_in_words(&schedule, now))
        };
        self.record_first(&record);
        self.schedules_soon();
        self.answer(report, vec![Gate { name: "permission", passed: true }], text)
    }

    fn may_see_schedule(&self, schedule: &Schedule, requester: &Requester, place: &Place, policy: &Policy) -> bool {
        let channel = channel_of(&schedule.channel, policy);
        let is_private = channel.is_none_or(|channel| self.roster.is_private(channel));
        may_see(schedule, is_private, channel == Some(place.channel), requester, policy)
    }

    fn list_schedules(&self, paused_only: bool, requester: &Requester, place: &Place) -> String {
        let Some(policy) = &self.policy else { return String::new() };
        let now = policy.now_ms();
        let seen = policy.config.allowlist.schedules().filter(|schedule| {
            let wanted = !paused_only || self.schedules.pauses.contains_key(&schedule.name);
            wanted && self.may_see_schedule(schedule, requester, place, policy)
        });
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            seen.partition(|schedule| is_here(channel_of(&schedule.channel, policy), place));
        let mut here: Vec<(Option<u64>, &Schedule)> =
            here.into_iter().map(|schedule| (self.next_time(schedule, now), schedule)).collect();
        here.sort_by_key(|(next, schedule)| (next.unwrap_or(u64::MAX), schedule.name.clone()));
        let mut out = String::new();
        for (_, schedule) in &here {
            let paused = self.schedules.pauses.get(&schedule.name).map(|pause| {
                let until = pause.until_ms.map(|ms| words::in_zone(ms, &schedule.zone));
                words::schedules::paused_by(&pause.by_name, until.as_deref())
            });
            out.push_str(&words::schedules::line(
                schedule.name.as_str(),
                &self.without_secrets(&schedule.line),
                policy.channel_name(&schedule.channel),
                &schedule.rule,
                &schedule.zone_name,
                &self.next_in_words(schedule, now),
                paused.as_deref(),
            ));
        }
        if here.is_empty() {
            out.push_str(if paused_only { words::schedules::NONE_PAUSED } else { words::schedules::NONE });
        }
        if !elsewhere.is_empty() {
            out.push_str(&words::schedules::elsewhere(elsewhere.len()));
        }
        out
    }

    /// When it is due next, by its own clock; a pause with an end is looked past.
    fn next_in_words(&self, schedule: &Schedule, now: u64) -> String {
        if matches!(schedule.when, When::Start) {
            return "start of the service".to_owned();
        }
        let until = self.schedules.pauses.get(&schedule.name).and_then(|pause| pause.until_ms);
        self.next_time(schedule, until.unwrap_or(now).max(now))
            .map_or("not known yet".to_owned(), |ms| words::in_zone(ms, &schedule.zone))
    }

    /// `bartizan schedule`.
    pub(super) fn schedule_rows(&self) -> Answer {
        let now = self.policy.as_ref().map_or_else(crate::store::now_ms, Policy::now_ms);
        Answer::Schedule(List::cut(self.config.allowlist.schedules().map(|schedule| {
            let pause = self.schedules.pauses.get(&schedule.name);
            ScheduleRow {
                name: schedule.name.clone(),
                script: schedule.script.clone(),
                command: Text::cut(text::printable(&self.without_secrets(&schedule.line))),
                channel: Text::cut(schedule.channel.as_str()),
                when: Text::cut(schedule.rule.as_str()),
                time_zone: Text::cut(schedule.zone_name.as_str()),
                missed: Text::cut(schedule.missed.as_str()),
                next_ms: self.next_time(schedule, now),
                next: Text::cut(self.next_in_words(schedule, now)),
                paused_by: pause.map(|pause| Text::cut(pause.by_name.as_str())),
                paused_until_ms: pause.and_then(|pause| pause.until_ms),
            }
        })))
    }
}
