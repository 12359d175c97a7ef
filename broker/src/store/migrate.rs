//! Forward-only migrations, each in a transaction of its own; SQLite's `user_version` counts them.

use super::StoreError;
use rusqlite::Connection;
use std::path::Path;

/// Every schema change that there ever was, in order.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/0001_initial.sql"),
    include_str!("../../../migrations/0002_audit_pending.sql"),
    include_str!("../../../migrations/0003_protected.sql"),
    include_str!("../../../migrations/0004_people.sql"),
    include_str!("../../../migrations/0005_brain.sql"),
    include_str!("../../../migrations/0006_beginning.sql"),
    include_str!("../../../migrations/0007_history.sql"),
    include_str!("../../../migrations/0008_delivery.sql"),
    include_str!("../../../migrations/0009_approvals.sql"),
    include_str!("../../../migrations/0010_starts.sql"),
    include_str!("../../../migrations/0011_lockdown.sql"),
    include_str!("../../../migrations/0012_question.sql"),
    include_str!("../../../migrations/0013_elevation.sql"),
    include_str!("../../../migrations/0014_schedules.sql"),
    include_str!("../../../migrations/0015_receipts.sql"),
    include_str!("../../../migrations/0016_pipeline.sql"),
    include_str!("../../../migrations/0017_cards.sql"),
    include_str!("../../../migrations/0018_signed_approvals.sql"),
    include_str!("../../../migrations/0019_request_posts.sql"),
    include_str!("../../../migrations/0020_subscriptions.sql"),
    include_str!("../../../migrations/0021_pause.sql"),
];

/// Brings the schema up to date.
pub(super) fn run(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let located = |source| StoreError::Sqlite { path: path.to_owned(), source };
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(located)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    for (number, migration) in (1..).zip(MIGRATIONS) {
        if number > found {
            let transaction = connection.transaction().map_err(located)?;
            transaction.execute_batch(migration).map_err(located)?;
            transaction.pragma_update(None, "user_version", number).map_err(located)?;
            transaction.commit().map_err(located)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    #[test]
    fn a_database_of_a_newer_program_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("state.db");
        drop(Store::open(&path).expect("new"));
        drop(Store::open(&path).expect("again"));
        let connection = Connection::open(&path).expect("open");
        connection.pragma_update(None, "user_version", 999).expect("set");
        drop(connection);
        assert!(matches!(Store::open(&path), Err(StoreError::Newer { found: 999, .. })));
    }
}
