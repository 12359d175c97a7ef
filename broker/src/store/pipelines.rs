//! Pipelines that are not over: what is left to do, in the turn in which it changes.

use super::jobs::{Intent, job_intent};
use super::{Store, StoreError, signed, unsigned};
use crate::job::pipeline::Pipeline;
use bartizan_proto::ids::JobId;
use rusqlite::params;

impl Store {
    /// How far one is now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn pipeline_is(&mut self, job: JobId, pipeline: &Pipeline) -> Result<(), StoreError> {
        let state = serde_json::to_string(pipeline).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        self.write_to_last()?
            .prepare_cached(
                "INSERT INTO pipeline (job, state) VALUES (?1, ?2) ON CONFLICT (job) DO UPDATE SET state = excluded.state",
            )?
            .execute(params![signed(job.0), state])?;
        Ok(())
    }

    /// It is over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn pipeline_over(&mut self, job: JobId) -> Result<(), StoreError> {
        self.write_to_last()?.prepare_cached("DELETE FROM pipeline WHERE job = ?1")?.execute([signed(job.0)])?;
        Ok(())
    }

    /// Those that the last run of the service did not end, with what was asked for in the beginning.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn pipelines(&self) -> Result<Vec<(JobId, Intent, Pipeline)>, StoreError> {
        let mut statement = self.read().prepare(
            "SELECT id, job.state, post, root, channel, channel_name, direct, user, user_name, restricted, script, command,
             queued_ms, private, printed, begun_again, actor, part_of, pipeline.state
             FROM pipeline JOIN job ON job.id = pipeline.job ORDER BY id",
        )?;
        let mut rows = statement.query([])?;
        let mut pipelines = Vec::new();
        while let Some(row) = rows.next()? {
            let state: String = row.get(18)?;
            let pipeline =
                serde_json::from_str(&state).map_err(|error| StoreError::Corrupt(format!("pipeline: {error}")))?;
            pipelines.push((JobId(unsigned(row.get(0)?)), job_intent(row)?, pipeline));
        }
        Ok(pipelines)
    }
}
