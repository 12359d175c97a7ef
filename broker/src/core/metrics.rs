//! What operators' monitoring is told: the counts since the start, and how it is now.

use super::{Core, Topic};
use crate::metrics::Gauge;
use bartizan_proto::control::{Answer, Health};
use bartizan_proto::{Role, Text};

impl Core {
    /// All of it, in Prometheus' text format.
    pub(super) fn metrics_answer(&self) -> Answer {
        let health = self.health(&self.problems());
        let (sequence, _) = self.audit.head();
        let mut now = Vec::new();
        let mut put = |name: &str, value: u64| now.push(Gauge { name: name.to_owned(), value });
        put("bartizan_healthy", u64::from(health == Health::Ok));
        put("bartizan_connected", u64::from(self.supervisor.is_connected()));
        put("bartizan_locked_down", u64::from(self.lockdown.is_some()));
        put("bartizan_paused", u64::from(self.paused.is_some()));
        put("bartizan_brain_open", u64::from(self.brain.has_token()));
        put("bartizan_uptime_seconds", self.started.elapsed().as_secs());
        put("bartizan_jobs{state=\"running\"}", count(self.jobs.running()));
        put("bartizan_jobs{state=\"queued\"}", count(self.jobs.queue.len()));
        put("bartizan_commands_undecided", self.posts.undecided());
        put("bartizan_replies_undelivered", self.outbox.undelivered());
        put("bartizan_approvals_waiting", count(self.approvals.requests.iter().count()));
        put("bartizan_audit_lines_total", sequence);
        put("bartizan_audit_unwritten_lines", count(self.audit.unrecorded().len()));
        put("bartizan_audit_blocked", u64::from(self.audit.cannot_record().is_some()));
        for role in [Role::Egress, Role::Connector] {
            if let Some(seen) = self.supervisor.seen(role) {
                put(&format!("bartizan_process_restarts_total{{process=\"{role}\"}}"), seen.restarts);
            }
        }
        Answer::Metrics(Text::cut(self.metrics.text(&now)))
    }
}

impl Topic {
    /// As a label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Topic::Connector => "connector",
            Topic::Egress => "egress",
            Topic::Worker => "worker",
            Topic::Impostor => "impostor",
            Topic::BotAccount => "bot-account",
            Topic::Audit => "audit",
            Topic::LastAdmin => "last-admin",
            Topic::Crash => "crash",
            Topic::SecondFactor => "second-factor",
            Topic::ApprovalKey => "approval-key",
            Topic::Schedule => "schedule",
            Topic::BreakGlass => "break-glass",
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
