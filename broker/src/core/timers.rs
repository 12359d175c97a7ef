//! What is to be done later. An idle core has no timer that comes again by itself more often than once an hour, but where
//! the configuration names groups of the server (who is in them is asked every minute) or a service manager has a watchdog.

use super::{Core, CoreError};
use bartizan_proto::Role;
use bartizan_proto::ids::{JobId, PostId, UserId};
use bartizan_proto::launcher::ChildId;
use bartizan_proto::worker::CallId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timer {
    /// Start egress or the connector again.
    Restart(Role),
    /// A process that was told to end has not: kill it.
    Overdue(ChildId),
    /// Ask egress about a post once more.
    Attest(PostId),
    /// Ask egress once more who reacted.
    Wanted,
    /// Write down what running jobs have printed.
    Printed,
    /// Give an operator what is known of a job.
    Inspected(JobId),
    /// The server has not said what the bot may do.
    Rights,
    /// Show how a job goes on.
    Live(JobId),
    /// Begin what is scheduled.
    Schedules,
    /// Tell that a job still waits.
    Waits(JobId),
    /// Tell that a job takes long.
    Slow(JobId),
    /// Make posts of a job's script that came too early.
    Posts(JobId),
    /// Nobody has answered a job's script.
    Asked(JobId, CallId),
    /// Write down which deliveries ended.
    Settle,
    /// Bring the audit log's file to the disk.
    AuditSync,
    /// Forget what no replay can bring back.
    Housekeeping,
    /// Egress and the connector have not said who they are.
    Greeting(ChildId),
    /// Look names up that could not be looked up.
    Names,
    /// Ask the server who is in its groups.
    Groups,
    /// Order a post of the core's own again.
    Protected,
    /// Order waiting workers again.
    Spare,
    /// The first worker has not said what the sandbox gives.
    Sandbox,
    /// End the bans whose time is over.
    Bans,
    /// Look at what waits for approval.
    Approvals,
    /// Egress has not said what became of a new token.
    NewToken,
    /// An operator has been told of a restart: the loop looks whether it may end.
    Told,
    /// Before a restart, what runs has had its time.
    Drained,
    /// The author of a command was asked something and has not answered.
    Question(PostId),
    /// The author of a command that waits for a code has not given one.
    Held(UserId, PostId),
    /// Some time after something happened: memory that is not used is given back.
    Quiet,
    /// Tell the service manager's watchdog that the loop turns.
    Watchdog,
    /// Look at what the service manager is told.
    Manager,
    /// The time for ending in order is over.
    Shutdown,
}

/// How often old rows are looked for.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);

/// Timers by their time.
#[derive(Debug, Default)]
pub struct Timers {
    queue: BTreeMap<(Instant, u64), Timer>,
    count: u64,
}

impl Timers {
    /// Adds one.
    pub fn after(&mut self, delay: Duration, timer: Timer) {
        self.count += 1;
        self.queue.insert((Instant::now() + delay, self.count), timer);
    }

    /// Takes every one of this kind back: what it was for is over.
    pub fn cancel(&mut self, timer: &Timer) {
        self.queue.retain(|_, waiting| waiting != timer);
    }

    /// When the next is due.
    pub fn next(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    fn due(&mut self) -> Option<Timer> {
        let entry = self.queue.first_entry()?;
        (entry.key().0 <= Instant::now()).then(|| entry.remove())
    }
}

/// Sleeps until then, or for ever.
pub async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

impl Core {
    /// Does what is due.
    pub(crate) fn fire_timers(&mut self) -> Result<(), CoreError> {
        while let Some(timer) = self.timers.due() {
            match timer {
                Timer::Restart(role) => self.start_peer(role)?,
                Timer::Overdue(child) => self.kill_worker(child)?,
                Timer::Attest(post) => self.attest_again(post)?,
                Timer::Wanted => self.look_at_reactions()?,
                Timer::Printed => self.keep_printed()?,
                Timer::Inspected(job) => self.answer_inspection(job),
                Timer::Rights => self.tell_doctor(None),
                Timer::Live(job) => self.live_look(job)?,
                Timer::Schedules => self.look_at_schedules()?,
                Timer::Waits(job) => self.tell_that_it_waits(job)?,
                Timer::Slow(job) => self.job_is_slow(job)?,
                Timer::Posts(job) => self.make_posts(job)?,
                Timer::Asked(job, call) => self.asked_in_vain(job, call)?,
                Timer::Settle => self.settle_deliveries(true)?,
                Timer::AuditSync => self.sync_audit()?,
                Timer::Housekeeping => self.housekeeping()?,
                Timer::Greeting(child) => self.greeting_overdue(child)?,
                Timer::Names => self.ask_names_again()?,
                Timer::Groups => self.ask_groups()?,
                Timer::Protected => self.protected_again(),
                Timer::Spare => self.keep_spare_workers()?,
                Timer::Sandbox => self.sandbox_unknown("its worker gave no answer in time")?,
                Timer::Bans => self.expire_bans()?,
                Timer::Approvals => self.look_at_approvals()?,
                Timer::NewToken => self.token_overdue()?,
                Timer::Told => {}
                Timer::Drained => self.drained()?,
                Timer::Question(post) => self.question_overdue(post)?,
                Timer::Held(user, post) => self.held_overdue(user, post)?,
                Timer::Quiet => {
                    self.quiet_soon = false;
                    bartizan_confine::memory::give_back();
                }
                Timer::Watchdog => self.beat()?,
                Timer::Manager => self.look_for_manager(),
                Timer::Shutdown => self.shutdown_overdue(),
            }
        }
        Ok(())
    }

    /// Forgets what no replay can bring back, now and then.
    pub(crate) fn housekeeping(&mut self) -> Result<(), CoreError> {
        self.store.forget_old_posts()?;
        self.store.forget_old_questions()?;
        self.forget_old_subscriptions()?;
        self.store.forget_old_jobs()?;
        self.wanted.forget(self.policy.as_ref().map_or_else(crate::store::now_ms, crate::policy::Policy::now_ms));
        self.store.forget_old_protected()?;
        self.store.forget_old_approvals()?;
        self.store.forget_old_elevated()?;
        self.store.forget_old_receipts()?;
        self.limiter.forget();
        self.checkpoint_now_and_then()?;
        self.timers.after(HOUSEKEEPING, Timer::Housekeeping);
        Ok(())
    }
}
