//! What operators are told over the control socket.

use super::timers::Timer;
use super::{Core, CoreError, Effect};
use crate::config::Config;
use crate::job::Job;
use crate::peer::Outgoing;
use crate::peer::control::Asked;
use bartizan_proto::control::{
    Answer, Check, CheckVerdict, ConfigReport, Doctor, Health, Inspection, JobRow, JobState, Mode, ProcessRow, Refusal,
    Request, Status,
};
use bartizan_proto::ids::JobId;
use bartizan_proto::worker::{LayerState, ToWorker};
use bartizan_proto::{List, Role, Text, text};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a worker may take over an inspection before what is known already is told.
const INSPECTION: Duration = Duration::from_secs(2);

/// Between the polite signal and the kill, when an operator stops a job.
pub(super) const KILL_GRACE: Duration = Duration::from_secs(5);

impl Core {
    /// An operator asks something.
    pub(crate) fn on_operator(&mut self, Asked { uid, request, answer }: Asked) -> Result<(), CoreError> {
        let by = format!("uid {uid}");
        let told = match request {
            Request::Status => Answer::Status(Box::new(self.status())),
            Request::Ps => Answer::Ps(List::cut(
                self.jobs.all.iter().filter(|(_, j)| j.state != JobState::Done).map(|(id, j)| self.row(*id, j)),
            )),
            Request::Inspect { job } => return self.inspect(job, answer),
            Request::Kill { job } => match self.jobs.all.get(&job).map(|entry| entry.state) {
                None => not_found(job),
                Some(JobState::Done) if self.jobs.pipelines.is_going(job) => {
                    self.record_stop(job, None, by, "host");
                    self.stop_pipeline(job, KILL_GRACE)?;
                    Answer::Killing { job }
                }
                Some(JobState::Done) => Answer::Refused {
                    refusal: Refusal::NotFound,
                    why: Text::cut(format!("job {job} has ended already")),
                },
                Some(JobState::Queued | JobState::Starting | JobState::Running | JobState::Stopping) => {
                    self.record_stop(job, None, by, "host");
                    self.stop_job(job, KILL_GRACE)?;
                    Answer::Killing { job }
                }
            },
            Request::Restart { now } => self.begin_restart(now, &by)?,
            Request::Lockdown { reason, kill } => self.lockdown_for_host(&reason, kill, &by)?,
            Request::Pause { reason } => self.pause(&reason, &by)?,
            Request::Resume => self.resume(&by)?,
            Request::Metrics => self.metrics_answer(),
            Request::EndLockdown => self.end_lockdown(&by)?,
            Request::History { script } => self.past_rows(script.as_ref().map(|name| name.as_str()))?,
            Request::Schedule => self.schedule_rows(),
            Request::Log { job } => self.past_for_host(job)?.unwrap_or_else(|| Answer::Refused {
                refusal: Refusal::NotFound,
                why: Text::cut(format!("no job {job} that has ended is kept; `bartizan history` lists them")),
            }),
            Request::Receipt { job } => self.receipt_for_host(job)?,
            Request::CheckConfig => Answer::Config(self.check_config()),
            Request::AuditHead => self.audit_head(),
            // Answered where it came in, without the core's loop.
            Request::AuditFile { .. } => {
                Answer::Refused { refusal: Refusal::Unavailable, why: Text::cut("the file is not handed out here") }
            }
            Request::AuditPrune { older_than_s } => self.prune_audit(Duration::from_secs(older_than_s), &by)?,
            Request::AuditRotateKey => self.rotate_audit_key(&by)?,
            Request::Doctor => return self.doctor_for(answer),
            Request::Reload => self.reload_for_host()?,
            Request::People(request) => return self.on_people(request, uid, answer),
            Request::Brain(request) => return self.on_brain(*request, uid, answer),
            Request::Targets(request) => self.targets_for_host(&request, &by)?,
        };
        self.effects.push(Effect::Answer(answer, Box::new(told)));
        Ok(())
    }

    /// What is wrong, as far as a person can help.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.roster.unknown.clone();
        problems.extend(self.brain_problems());
        for role in [Role::Egress, Role::Connector] {
            if let Some(seen) = self.supervisor.seen(role).filter(|seen| !seen.note.is_empty()) {
                problems.push(format!("{role}: {}", seen.note));
            }
        }
        if let Some(why) = self.audit.cannot_record() {
            problems.push(format!("audit: no job is started, because it could not be recorded: {why}"));
        }
        if self.jobs.failed_workers > 0 {
            let times = self.jobs.failed_workers;
            problems.push(format!("worker: does not start ({times} times in a row); the service's log says why"));
        }
        problems
    }

    pub(super) fn health(&self, problems: &[String]) -> Health {
        let well = self.supervisor.is_connected() && problems.is_empty();
        match (self.stopping.is_some(), self.policy.is_some(), well) {
            (true, _, _) => Health::Stopping,
            (false, _, false) if !self.brain.has_token() => Health::Degraded,
            (false, false, _) => Health::Starting,
            (false, true, true) => Health::Ok,
            (false, true, false) => Health::Degraded,
        }
    }

    /// How it goes, for the service manager.
    pub(super) fn in_a_line(&self) -> (Health, String) {
        let problems = self.problems();
        let health = self.health(&problems);
        let server = self.config.server.url.as_str();
        let line = match (problems.is_empty(), self.supervisor.is_connected()) {
            (false, _) => problems.join("; "),
            (true, true) => format!("connected to {server}"),
            (true, false) => format!("not connected to {server}"),
        };
        match (&self.lockdown, &self.paused) {
            (Some(lockdown), _) => {
                (health, format!("locked down by {}: {}; {line}", lockdown.by_name, lockdown.reason))
            }
            (None, Some(pause)) => (health, format!("paused by {}; {line}", pause.by_name)),
            (None, None) => (health, line),
        }
    }

    fn status(&self) -> Status {
        let ready = self.roster.ready();
        let connected = self.supervisor.is_connected();
        let problems = self.problems();
        let running = u64::try_from(self.jobs.running()).unwrap_or(u64::MAX);
        Status {
            version: Text::cut(env!("CARGO_PKG_VERSION")),
            mode: self.mode,
            health: self.health(&problems),
            problems: List::cut(problems.into_iter().map(Text::cut)),
            uptime_s: self.started.elapsed().as_secs(),
            processes: List::cut(self.process_rows()),
            server: Text::cut(self.config.server.url.as_str()),
            server_version: ready.map(|ready| ready.server_version.clone()).unwrap_or_default(),
            connected,
            bot: ready.map(|ready| ready.bot.name.clone()).unwrap_or_default(),
            running,
            queued: u64::try_from(self.jobs.queue.len()).unwrap_or(u64::MAX),
            undecided: self.posts.undecided(),
            undelivered: self.outbox.undelivered(),
            started: self.jobs.started,
            refused: self.refused,
            scripts: u64::try_from(self.config.allowlist.len()).unwrap_or(u64::MAX),
            alerts: self.alerts.rows(),
            brain: self.brain.status(),
            lockdown: self.lockdown_state(),
            paused: self.pause_state(),
            pipelines: u64::try_from(self.jobs.pipelines.going()).unwrap_or(u64::MAX),
            due: self.due(),
        }
    }

    fn process_rows(&self) -> Vec<ProcessRow> {
        let uptime = self.started.elapsed().as_secs();
        let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_pid().unsigned_abs());
        let row = |role, pid, uptime_s, restarts, note: String| ProcessRow {
            role,
            pid,
            uptime_s,
            restarts,
            note: Text::cut(note),
        };
        let mut rows = vec![
            row(Role::Core, std::process::id(), uptime, 0, String::new()),
            row(Role::Launcher, parent, uptime, 0, String::new()),
        ];
        for role in [Role::Egress, Role::Connector] {
            if let Some(seen) = self.supervisor.seen(role) {
                rows.push(row(role, seen.pid, seen.since.elapsed().as_secs(), seen.restarts, seen.note));
            }
        }
        let mut workers: Vec<_> = self.jobs.workers.values().collect();
        workers.sort_by_key(|worker| worker.pid);
        for worker in workers {
            let note = match (worker.job, &worker.asking) {
                (Some(job), _) => format!("job {job}"),
                (None, Some(asking)) => format!("authorizes job {}", asking.job),
                (None, None) => "waits for a job".to_owned(),
            };
            rows.push(row(Role::Worker, worker.pid, 0, 0, note));
        }
        rows
    }

    fn row(&self, id: JobId, job: &Job) -> JobRow {
        let pid = job.worker.and_then(|child| self.jobs.workers.get(&child)).map_or(0, |worker| worker.pid);
        JobRow {
            job: id,
            script: job.intent.script.clone(),
            state: job.state,
            user: job.intent.user,
            user_name: job.intent.user_name.clone(),
            channel: job.intent.channel_name.clone(),
            pid,
            age_ms: u64::try_from(job.queued.elapsed().as_millis()).unwrap_or(u64::MAX),
            command: Text::cut(text::printable(&self.without_secrets(&job.intent.command))),
        }
    }

    /// Asks the worker first, if there is one.
    fn inspect(&mut self, job: JobId, answer: oneshot::Sender<Answer>) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get_mut(&job) else {
            self.effects.push(Effect::Answer(answer, Box::new(not_found(job))));
            return Ok(());
        };
        entry.inspectors.push(answer);
        match (entry.state, entry.worker) {
            (JobState::Running | JobState::Stopping, Some(child)) => {
                self.effects.push(Effect::Worker(child, Outgoing::new(&ToWorker::Inspect, Vec::new())?));
                self.timers.after(INSPECTION, Timer::Inspected(job));
            }
            (JobState::Queued | JobState::Starting | JobState::Done, _)
            | (JobState::Running | JobState::Stopping, None) => {
                self.answer_inspection(job);
            }
        }
        Ok(())
    }

    /// Tells everyone who waits for it what is known of a job.
    pub(crate) fn answer_inspection(&mut self, job: JobId) {
        let Some(entry) = self.jobs.all.get_mut(&job).filter(|entry| !entry.inspectors.is_empty()) else { return };
        let inspectors = std::mem::take(&mut entry.inspectors);
        let Some(entry) = self.jobs.all.get(&job) else { return };
        let launched = entry.launched.as_ref();
        let inspection = Inspection {
            row: self.row(job, entry),
            post: entry.intent.post,
            path: launched.map(|l| Text::cut(l.path.display().to_string())).unwrap_or_default(),
            sha256: launched.map(|l| Text::cut(l.sha256.clone())).unwrap_or_default(),
            place: launched.and_then(|l| l.place.as_deref()).map(Text::cut).unwrap_or_default(),
            uid: match (self.mode, entry.worker.and_then(|child| self.jobs.workers.get(&child))) {
                (Mode::Systemd, worker) => worker.map(|worker| worker.uid).filter(|uid| *uid != 0),
                (Mode::Setuid | Mode::SingleUser, _) => Some(self.workers),
            },
            limits: launched.map(|l| l.limits).unwrap_or_default(),
            timeout_ms: launched.map_or(0, |l| u64::try_from(l.timeout.as_millis()).unwrap_or(u64::MAX)),
            layers: List::cut(entry.layers.clone()),
            given: List::cut(entry.given.clone()),
            pids: List::cut(entry.pids.clone()),
            usage: entry.usage,
            ending: entry.ending,
            tail: Text::cut(entry.shown_tail()),
        };
        for inspector in inspectors {
            let told = Answer::Inspect(Box::new(inspection.clone()));
            self.effects.push(Effect::Answer(inspector, Box::new(told)));
        }
    }

    pub(super) fn check_config(&self) -> ConfigReport {
        let path = Text::cut(self.config.path.display().to_string());
        match Config::load(&self.config.path, self.opener.trust()) {
            Err(error) => ConfigReport {
                path,
                error: Some(Text::cut(error.to_string())),
                differences: List::default(),
                warnings: List::default(),
            },
            Ok(new) => ConfigReport {
                path,
                error: None,
                differences: List::cut(self.config.differences(&new).into_iter().map(Text::cut)),
                warnings: List::cut(new.warnings.into_iter().map(Text::cut)),
            },
        }
    }

    /// With what the server says of the bot's rights, where it does.
    pub(super) fn doctor(&self, rights: Option<Check>) -> Doctor {
        let check =
            |what: &str, verdict, detail: String| Check { what: Text::cut(what), verdict, detail: Text::cut(detail) };
        let ok = |good: bool| if good { CheckVerdict::Ok } else { CheckVerdict::Fail };
        let connected = self.supervisor.is_connected();
        let mut checks = vec![
            check(
                "server",
                ok(self.roster.ready().is_some()),
                match self.roster.ready() {
                    Some(ready) => format!(
                        "{} {} knows the bot as {}",
                        self.config.server.url.as_str(),
                        ready.server_version,
                        ready.bot.name
                    ),
                    None => format!("{} has not answered yet; see `bartizan status`", self.config.server.url.as_str()),
                },
            ),
            check(
                "websocket",
                ok(connected),
                if connected {
                    "up".to_owned()
                } else {
                    "down; it is tried again by itself, see `bartizan status`".to_owned()
                },
            ),
        ];
        if let Some(ready) = self.roster.ready() {
            let admin = ready.bot.system_admin;
            checks.push(check(
                "bot account",
                if admin { CheckVerdict::Warn } else { CheckVerdict::Ok },
                if admin { "is a system administrator: make it an ordinary bot" } else { "an ordinary account" }
                    .to_owned(),
            ));
        }
        checks.extend(rights);
        checks.extend(self.machine_checks());
        checks.extend(self.brain_checks());
        checks.push(check(
            "script API",
            if self.has_bz { CheckVerdict::Ok } else { CheckVerdict::Warn },
            if self.has_bz { "bz is there" } else { "bz is not beside the other programs: install it again" }
                .to_owned(),
        ));
        for unknown in &self.roster.unknown {
            checks.push(check(
                "names",
                CheckVerdict::Warn,
                format!("{unknown}; correct the configuration and restart"),
            ));
        }
        for warning in &self.config.warnings {
            checks.push(check("configuration", CheckVerdict::Warn, warning.clone()));
        }
        for layer in self.layers.iter().filter(|layer| layer.state != LayerState::On) {
            checks.push(check("sandbox", CheckVerdict::Warn, format!("{}: {}", layer.layer, layer.detail)));
        }
        let limits: &[&str] = match self.mode {
            Mode::SingleUser => &[
                "one user runs everything: only the sandbox stands between a script and the rest",
                "the control socket cannot tell a worker's uid from the operator's; the sandbox keeps workers away from it",
                "the core can be signalled by every process of this user outside the sandbox",
            ],
            Mode::Setuid => &[
                "egress runs as the core's user: Landlock keeps it from files, seccomp from signals and other processes' memory",
                "scripts run as the user who starts the service: whatever that user can do outside, it can do to a script",
            ],
            Mode::Systemd => &[],
        };
        Doctor {
            mode: self.mode,
            limits: List::cut(limits.iter().map(|limit| Text::cut(*limit))),
            require: List::cut(self.config.require.clone()),
            given: List::cut(self.given.clone()),
            layers: List::cut(self.layers.clone()),
            checks: List::cut(checks),
        }
    }
}

fn not_found(job: JobId) -> Answer {
    Answer::Refused {
        refusal: Refusal::NotFound,
        why: Text::cut(format!("there is no job {job}; `bartizan ps` lists those that run")),
    }
}
