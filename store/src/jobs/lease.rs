//! Leases of jobs, by database time.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, Store, StoreError};

/// A sixth of the lease.
const RENEW: Duration = Duration::from_secs(10);

/// Why a job ended early.
pub(super) enum Stopped {
    /// Another holds the lease.
    LeaseLost,
    /// It failed; the next run goes on at the cursor.
    Failed(StoreError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<sqlx::Error> for Stopped {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// A job that this process runs.
pub(super) struct Lease {
    name: String,
    holder: Uuid,
    cursor: Option<Value>,
    renewed: Instant,
}

impl Lease {
    /// Takes a job that is due and free, for a minute.
    pub(super) async fn claim(store: &Store, holder: Uuid) -> Result<Option<Self>> {
        let query = sqlx::query!(
            r#"-- roles: jobs
            UPDATE job j SET holder = $1, lease_until = clock_timestamp() + interval '60 seconds'
            FROM (SELECT name FROM job WHERE next_run <= clock_timestamp()
                AND (lease_until IS NULL OR lease_until <= clock_timestamp())
                ORDER BY next_run LIMIT 1 FOR UPDATE SKIP LOCKED) due
            WHERE j.name = due.name RETURNING j.name, j.cursor"#,
            holder
        );
        let row = query.fetch_optional(&store.pool()?).await.map_err(|e| store.failed(e))?;
        Ok(row.map(|r| Self { name: r.name, holder, cursor: r.cursor, renewed: Instant::now() }))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where an interrupted run goes on.
    pub(super) const fn cursor(&self) -> Option<&Value> {
        self.cursor.as_ref()
    }

    pub(super) fn set_cursor(&mut self, cursor: Value) {
        self.cursor = Some(cursor);
    }

    /// Keeps the lease and the cursor while there is nothing to write.
    pub(super) async fn renew(&mut self, store: &Store) -> Result<(), Stopped> {
        if self.renewed.elapsed() < RENEW {
            return Ok(());
        }
        let mut tx = store.begin().await?;
        self.hold(&mut tx).await?;
        tx.commit().await?;
        self.renewed = Instant::now();
        Ok(())
    }

    /// First in every transaction of the job: renews the lease and keeps the cursor, or stops.
    pub(super) async fn hold(&self, tx: &mut PgConnection) -> Result<(), Stopped> {
        let held = sqlx::query!(
            r#"-- roles: jobs
            UPDATE job SET lease_until = clock_timestamp() + interval '60 seconds', cursor = $3
            WHERE name = $1 AND holder = $2 AND lease_until > clock_timestamp()"#,
            self.name,
            self.holder,
            self.cursor
        )
        .execute(tx)
        .await?;
        if held.rows_affected() == 1 { Ok(()) } else { Err(Stopped::LeaseLost) }
    }

    /// Gives the job back: due again after its interval, or soon if it failed.
    pub(super) async fn finish(self, store: &Store, error: Option<&str>) -> Result<()> {
        let query = sqlx::query!(
            r#"-- roles: jobs
            UPDATE job SET holder = NULL, lease_until = NULL, finished_at = clock_timestamp(), last_error = $3,
                cursor = CASE WHEN $3::text IS NULL THEN NULL ELSE cursor END,
                next_run = clock_timestamp() + CASE WHEN $3::text IS NULL THEN every ELSE least(every, interval '15 seconds') END
            WHERE name = $1 AND holder = $2"#,
            self.name,
            self.holder,
            error
        );
        query.execute(&store.pool()?).await.map_err(|e| store.failed(e))?;
        Ok(())
    }
}
