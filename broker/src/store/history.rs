//! What ended jobs printed: the newest few of each script, as chat was shown it.

use super::{Store, StoreError, id, signed, unsigned};
use bartizan_proto::Text;
use bartizan_proto::ids::{ChannelId, JobId, ScriptName, UserId};
use bartizan_proto::limits::MAX_NAME;
use rusqlite::{OptionalExtension, Row, params};

/// One job that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Its number.
    pub job: JobId,
    /// The script.
    pub script: ScriptName,
    /// Who asked.
    pub user: UserId,
    /// Their name then.
    pub user_name: Text<MAX_NAME>,
    /// Where.
    pub channel: ChannelId,
    /// That channel's name; empty for a direct message.
    pub channel_name: Text<MAX_NAME>,
    /// Whether that is a direct message to the bot.
    pub direct: bool,
    /// Whether it is a private channel.
    pub private: bool,
    /// The command, as the log has it.
    pub command: String,
    /// When it ended, ms since 1970.
    pub ended_ms: u64,
    /// How it ended, in words.
    pub ending: String,
}

/// What it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// The beginning of it, as much as a message holds.
    pub output: String,
    /// Whether there was more.
    pub is_cut: bool,
}

const COLUMNS: &str = "job, script, user, user_name, channel, channel_name, direct, command, ended_ms, ending, private";

impl Store {
    /// Keeps an ended job, and of its script the newest `keep` only.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_past(&mut self, past: &Past, printed: &Printed, keep: usize) -> Result<(), StoreError> {
        let connection = self.write()?;
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO history (job, script, user, user_name, channel, channel_name, direct, command,
                 ended_ms, ending, output, is_cut, private) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                signed(past.job.0),
                past.script.as_str(),
                past.user.as_str(),
                past.user_name.as_str(),
                past.channel.as_str(),
                past.channel_name.as_str(),
                past.direct,
                past.command,
                signed(past.ended_ms),
                past.ending,
                printed.output,
                printed.is_cut,
                past.private,
            ])?;
        connection
            .prepare_cached(
                "DELETE FROM history WHERE script = ?1 AND job <=
                 (SELECT job FROM history WHERE script = ?1 ORDER BY job DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![past.script.as_str(), i64::try_from(keep).unwrap_or(i64::MAX)])?;
        Ok(())
    }

    /// Ended jobs, the newest first; of one script, or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn past(&self, script: Option<&str>, most: usize) -> Result<Vec<Past>, StoreError> {
        let query = format!("SELECT {COLUMNS} FROM history WHERE ?1 IS NULL OR script = ?1 ORDER BY job DESC LIMIT ?2");
        let mut statement = self.read().prepare_cached(&query)?;
        let mut rows = statement.query(params![script, i64::try_from(most).unwrap_or(i64::MAX)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(past(row)?);
        }
        Ok(found)
    }

    /// One ended job, and what it printed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn past_job(&self, job: JobId) -> Result<Option<(Past, Printed)>, StoreError> {
        let query = format!("SELECT {COLUMNS}, output, is_cut FROM history WHERE job = ?1");
        let mut statement = self.read().prepare_cached(&query)?;
        let read = |row: &Row<'_>| Ok((past(row), Printed { output: row.get(11)?, is_cut: row.get(12)? }));
        match statement.query_row([signed(job.0)], read).optional()? {
            Some((past, printed)) => Ok(Some((past?, printed))),
            None => Ok(None),
        }
    }
}

fn past(row: &Row<'_>) -> Result<Past, StoreError> {
    let text = |column| row.get::<_, String>(column);
    Ok(Past {
        job: JobId(unsigned(row.get(0)?)),
        script: id(&text(1)?, "script")?,
        user: id(&text(2)?, "user")?,
        user_name: Text::cut(text(3)?),
        channel: id(&text(4)?, "channel")?,
        channel_name: Text::cut(text(5)?),
        direct: row.get(6)?,
        command: text(7)?,
        ended_ms: unsigned(row.get(8)?),
        ending: text(9)?,
        private: row.get(10)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(job: u64, script: &str) -> Past {
        Past {
            job: JobId(job),
            script: script.parse().expect("a name"),
            user: "u".repeat(26).parse().expect("id"),
            user_name: Text::cut("alice"),
            channel: "c".repeat(26).parse().expect("id"),
            channel_name: Text::cut("ops"),
            direct: false,
            private: true,
            command: format!("{script} now"),
            ended_ms: 1000 + job,
            ending: "ended with exit 0 in 1 s".to_owned(),
        }
    }

    #[test]
    fn the_newest_of_each_script_are_kept_and_come_back_as_they_were() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut store = Store::open(&folder.path().join("state.db")).expect("open");
        let printed = |job: u64| Printed { output: format!("output of {job}"), is_cut: job.is_multiple_of(2) };
        for job in 1..=6 {
            store.put_past(&sample(job, "deploy"), &printed(job), 3).expect("kept");
        }
        store.put_past(&sample(7, "backup"), &printed(7), 3).expect("kept");
        let jobs = |script| store.past(script, 10).expect("read").iter().map(|past| past.job.0).collect::<Vec<_>>();
        assert_eq!(jobs(None), [7, 6, 5, 4]);
        assert_eq!(jobs(Some("deploy")), [6, 5, 4]);
        assert_eq!(jobs(Some("no-such")), [0; 0]);
        assert_eq!(store.past_job(JobId(4)).expect("read"), Some((sample(4, "deploy"), printed(4))));
        assert_eq!(store.past_job(JobId(3)).expect("read"), None);
        store.put_past(&sample(8, "deploy"), &printed(8), 0).expect("none is kept");
        assert_eq!(jobs_after(&store), [7]);
    }

    fn jobs_after(store: &Store) -> Vec<u64> {
        store.past(None, 10).expect("read").iter().map(|past| past.job.0).collect()
    }
}
