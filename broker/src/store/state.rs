//! The states of everything durable, and which may follow which. The table for people is in docs/delivery.md.
//!
//! The words are those of the database's own checks (`migrations/`); a test compares them. The protocol between inbox, job and
//! outbox is checked against every order of events and crashes in [`model`](super::model).

/// Where a post of the inbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PostState {
    /// Taken in; no decision yet.
    Received,
    /// It waited too long: its author is asked whether it is still wanted.
    Asked,
    /// Answered, refused, or turned into a job.
    Done,
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobStage {
    /// Accepted.
    Queued,
    /// The order is about to be given, or was.
    Starting,
    /// The worker said that it runs.
    Running,
    /// Over, however it ended.
    Done,
}

impl PostState {
    /// All of them.
    pub const ALL: [PostState; 3] = [PostState::Received, PostState::Asked, PostState::Done];

    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            PostState::Received => "received",
            PostState::Asked => "asked",
            PostState::Done => "done",
        }
    }

    /// Whether the other may follow. A job that waited through a stop for too long brings its post back from `done` to `asked`.
    pub fn may_become(self, next: PostState) -> bool {
        match (self, next) {
            (PostState::Received, PostState::Asked | PostState::Done)
            | (PostState::Asked, PostState::Done)
            | (PostState::Done, PostState::Asked) => true,
            (PostState::Received | PostState::Asked | PostState::Done, PostState::Received)
            | (PostState::Asked, PostState::Asked)
            | (PostState::Done, PostState::Done) => false,
        }
    }
}

impl JobStage {
    /// All of them.
    pub const ALL: [JobStage; 4] = [JobStage::Queued, JobStage::Starting, JobStage::Running, JobStage::Done];

    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            JobStage::Queued => "queued",
            JobStage::Starting => "starting",
            JobStage::Running => "running",
            JobStage::Done => "done",
        }
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<JobStage> {
        JobStage::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether the other may follow. Only an `idempotent` script's job goes back to `queued`, after a crash.
    pub fn may_become(self, next: JobStage) -> bool {
        match (self, next) {
            (JobStage::Queued, JobStage::Starting)
            | (JobStage::Starting, JobStage::Running)
            | (JobStage::Queued | JobStage::Starting | JobStage::Running, JobStage::Done)
            | (JobStage::Starting | JobStage::Running, JobStage::Queued) => true,
            (JobStage::Queued, JobStage::Queued | JobStage::Running)
            | (JobStage::Starting | JobStage::Running, JobStage::Starting)
            | (JobStage::Running, JobStage::Running)
            | (JobStage::Done, JobStage::Queued | JobStage::Starting | JobStage::Running | JobStage::Done) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_knows_these_states_and_no_other() {
        let inbox = include_str!("../../../migrations/0008_delivery.sql");
        let jobs = include_str!("../../../migrations/0001_initial.sql");
        let listed = |words: Vec<&str>| {
            let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            format!("CHECK (state IN ({}))", quoted.join(", "))
        };
        assert!(inbox.contains(&listed(PostState::ALL.map(PostState::as_str).to_vec())));
        assert!(jobs.contains(&listed(JobStage::ALL.map(JobStage::as_str).to_vec())));
    }

    #[test]
    fn the_document_has_every_state() {
        let document = include_str!("../../../docs/delivery.md");
        for word in PostState::ALL.map(PostState::as_str).into_iter().chain(JobStage::ALL.map(JobStage::as_str)) {
            assert!(document.contains(&format!("`{word}`")), "{word}");
        }
    }
}
