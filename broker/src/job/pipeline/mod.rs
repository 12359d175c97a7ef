//! Pipelines: what runs after a job, and because of it. Here is only which task comes next; `run` starts it, `calls` takes what
//! scripts add, `shown` tells people.
//!
//! A pipeline begins with a job, and has its tasks one after the other. What a script adds while it runs
//!
//! | verb | |
//! |---|---|
//! | `add-task`, `add-command` | is done when the task that adds it has ended; where others wait behind that one, in a nested pipeline before them |
//! | `add-job` | the same, as a pipeline of its own: what it adds, and what cleans up after it, is done before the next task |
//! | `fail-task` | runs when something failed, in the order of adding |
//! | `final-task` | always runs, the last one added first |
//! | `spawn-job` | runs beside it, and its failure is its own |
//!
//! The first failure ends the tasks that wait; those for failures, then the final ones, still run, whatever becomes of each.

mod calls;
mod run;
mod shown;
#[cfg(test)]
mod tests;

use bartizan_proto::ids::JobId;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

pub use calls::Waiting;
pub use run::{Pipelines, asked_by};

/// Most tasks of one pipeline, those that ended included.
pub const MOST_TASKS: usize = 50;

/// Most pipelines within each other.
pub const DEEPEST: usize = 5;

/// When a task runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// In its turn.
    Step,
    /// When something failed.
    Fail,
    /// In the end.
    Final,
}

/// A task that has not begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its place among all of the pipeline's.
    pub number: u32,
    /// The command, as it would be written in chat, without the prefix.
    pub line: String,
    /// It is a pipeline of its own.
    own: bool,
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits.
    Waits,
    /// It runs, or waits for a worker.
    Runs,
    /// It did what it should.
    Done,
    /// It did not.
    Failed,
    /// It will not run.
    Left,
}

/// A task, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What it does.
    pub line: String,
    /// When it runs.
    pub kind: Kind,
    /// How far it is.
    pub state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    Steps,
    Fails,
    Finals,
}

/// One pipeline, without those around it and in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Frame {
    steps: VecDeque<Task>,
    fails: VecDeque<Task>,
    finals: Vec<Task>,
    stage: Stage,
    failed: bool,
}

impl Frame {
    fn of(steps: VecDeque<Task>) -> Self {
        Self { steps, fails: VecDeque::new(), finals: Vec::new(), stage: Stage::Steps, failed: false }
    }
}

/// The task that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Running {
    /// None for the job that the pipeline began with.
    number: Option<u32>,
    kind: Kind,
    job: JobId,
    /// What it added to be done next.
    added: VecDeque<Task>,
}

/// A pipeline, with those in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline {
    frames: Vec<Frame>,
    running: Option<Running>,
    tasks: Vec<Seen>,
    /// Its locks: nobody else has them until it ends.
    pub tags: Vec<String>,
    failed: bool,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// This task.
    Run(Task, Kind),
    /// Nothing: it is over.
    Over {
        /// Nothing in it failed.
        well: bool,
    },
}

impl Pipeline {
    /// One that begins with a job, which runs.
    pub fn of(job: JobId) -> Self {
        let running = Running { number: None, kind: Kind::Step, job, added: VecDeque::new() };
        Self {
            frames: vec![Frame::of(VecDeque::new())],
            running: Some(running),
            tasks: Vec::new(),
            tags: Vec::new(),
            failed: false,
        }
    }

    /// The job that runs now.
    pub fn job(&self) -> Option<JobId> {
        self.running.as_ref().map(|running| running.job)
    }

    /// Every task, as they were added.
    pub fn tasks(&self) -> &[Seen] {
        &self.tasks
    }

    /// The task that runs adds another one.
    ///
    /// # Errors
    /// Why it cannot, for the script.
    pub fn add(&mut self, kind: Kind, line: String, own: bool) -> Result<(), String> {
        let depth = self.frames.len();
        let (Some(running), Some(frame)) = (&mut self.running, self.frames.last_mut()) else {
            return Err("the pipeline is over".to_owned());
        };
        if running.kind != Kind::Step {
            return Err("a task that cleans up cannot add tasks".to_owned());
        }
        if self.tasks.len() >= MOST_TASKS {
            return Err(format!("a pipeline has at most {MOST_TASKS} tasks"));
        }
        if kind == Kind::Step && (own || !frame.steps.is_empty()) && depth >= DEEPEST {
            return Err(format!("pipelines can be nested {DEEPEST} deep at most"));
        }
        let number = u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
        let task = Task { number, line: line.clone(), own };
        match kind {
            Kind::Step => running.added.push_back(task),
            Kind::Fail => frame.fails.push_back(task),
            Kind::Final => frame.finals.push(task),
        }
        self.tasks.push(Seen { line, kind, state: State::Waits });
        Ok(())
    }

    /// The task that runs has ended; what comes next. Its job is told by [`Pipeline::runs`].
    pub fn ended(&mut self, well: bool) -> Next {
        if let (Some(running), Some(frame)) = (self.running.take(), self.frames.last_mut()) {
            self.failed |= !well;
            frame.failed |= !well;
            if let Some(number) = running.number {
                see(&mut self.tasks, number, if well { State::Done } else { State::Failed });
            }
            if !well {
                leave(&mut self.tasks, running.added);
            } else if frame.steps.is_empty() {
                frame.steps = running.added;
            } else if !running.added.is_empty() {
                self.frames.push(Frame::of(running.added));
            }
        }
        self.next()
    }

    fn next(&mut self) -> Next {
        while let Some(frame) = self.frames.last_mut() {
            if frame.failed {
                leave(&mut self.tasks, std::mem::take(&mut frame.steps));
            }
            let (task, kind) = match frame.stage {
                Stage::Steps => (frame.steps.pop_front(), Kind::Step),
                Stage::Fails if frame.failed => (frame.fails.pop_front(), Kind::Fail),
                Stage::Fails => {
                    leave(&mut self.tasks, std::mem::take(&mut frame.fails));
                    (None, Kind::Fail)
                }
                Stage::Finals => (frame.finals.pop(), Kind::Final),
            };
            match (task, frame.stage) {
                (Some(task), _) => {
                    if task.own && kind == Kind::Step {
                        self.frames.push(Frame::of(VecDeque::new()));
                    }
                    see(&mut self.tasks, task.number, State::Runs);
                    return Next::Run(task, kind);
                }
                (None, Stage::Steps) => frame.stage = Stage::Fails,
                (None, Stage::Fails) => frame.stage = Stage::Finals,
                (None, Stage::Finals) => {
                    let failed = frame.failed;
                    self.frames.pop();
                    if let Some(around) = self.frames.last_mut() {
                        around.failed |= failed;
                    }
                }
            }
        }
        Next::Over { well: !self.failed }
    }

    /// The task that [`Next::Run`] gave is this job.
    pub fn runs(&mut self, task: &Task, kind: Kind, job: JobId) {
        self.running = Some(Running { number: Some(task.number), kind, job, added: VecDeque::new() });
    }

    /// Somebody stops it: no step that waits runs any more. What cleans up does.
    pub fn stop(&mut self) {
        self.failed = true;
        for frame in &mut self.frames {
            frame.failed = true;
        }
        if let Some(running) = &mut self.running {
            leave(&mut self.tasks, std::mem::take(&mut running.added));
        }
    }

    /// Whether it cleans up already: that is not stopped with the rest.
    pub fn cleans_up(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.kind != Kind::Step)
    }
}

fn see(tasks: &mut [Seen], number: u32, state: State) {
    let place = usize::try_from(number).unwrap_or(usize::MAX);
    if let Some(task) = tasks.get_mut(place) {
        task.state = state;
    }
}

fn leave(tasks: &mut [Seen], left: impl IntoIterator<Item = Task>) {
    for task in left {
        see(tasks, task.number, State::Left);
    }
}
