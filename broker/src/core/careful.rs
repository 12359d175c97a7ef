//! After the service ended unexpectedly: what was left over is taken up with care, and who can help is told.
//!
//! A post that was left over may be what ended it. Each of them is marked durably before it is judged, one at a time; one
//! that was marked [`MOST`] times and never decided is refused. So a post that ends the core each time does so three times,
//! and then no more: fewer than the starts after which a service manager gives up (systemd: 5 in 10 s).

use super::{Core, CoreError, Topic};
use crate::gate::Refusal;
use bartizan_proto::connector::Report;
use bartizan_proto::egress::Outcome;
use bartizan_proto::ids::PostId;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Starts that lie further back say nothing of this one.
const WINDOW: Duration = Duration::from_secs(600);

/// So many unexpected ends in [`WINDOW`] are a crash loop. Admins are told at these numbers, so that the telling is no flood.
const CRASH_LOOP: [u32; 4] = [3, 10, 30, 90];

/// So often a post may be about to be judged.
const MOST: u32 = 2;

/// What is taken up with care.
#[derive(Debug, Default)]
pub struct Careful {
    /// Posts that were left over, and how often each was about to be judged.
    left_over: HashMap<PostId, u32>,
    /// Marked, and judged one after the other, each in a turn of its own.
    marked: VecDeque<(Report, Outcome)>,
}

impl Core {
    /// Looks back at how the starts before this one ended.
    pub(crate) fn look_back(&mut self) -> Result<(), CoreError> {
        let ended_badly = self.store.begin_start(WINDOW)?;
        if ended_badly == 0 {
            return Ok(());
        }
        tracing::warn!(
            ended_badly,
            "the service did not end in order before; what was left over is taken up with care"
        );
        self.careful.left_over = self.store.beginnings()?;
        if CRASH_LOOP.contains(&ended_badly) {
            let what = format!(
                "the service is in a crash loop: it ended unexpectedly {ended_badly} times within {} minutes; its log says why",
                WINDOW.as_secs() / 60
            );
            self.alert(Topic::Crash, &what)?;
        }
        Ok(())
    }

    /// Egress answered about a post. `false` where nothing speaks against judging it at once.
    pub(super) fn takes_care(&mut self, report: &Report, outcome: &Outcome) -> Result<bool, CoreError> {
        let Some(beginnings) = self.careful.left_over.remove(&report.post) else { return Ok(false) };
        if beginnings >= MOST {
            let cause = format!("the service ended {beginnings} times while it read this command");
            self.refuse(report, Refusal::Deadly, &cause, Vec::new())?;
            return Ok(true);
        }
        self.store.begin_post(report.post)?;
        self.careful.marked.push_back((report.clone(), outcome.clone()));
        Ok(true)
    }

    /// The marks are durable: what they were made for, a turn each.
    pub(super) fn judge_marked(&mut self) -> Result<(), CoreError> {
        while let Some((report, outcome)) = self.careful.marked.pop_front() {
            self.answered(&report, outcome)?;
            self.finish_turn()?;
        }
        Ok(())
    }
}
