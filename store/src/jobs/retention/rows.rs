//! The rows of one rule: counted, then deleted or anonymised in batches, each with its count in one transaction.

use authly_model::{ids::TenantId, retention::DataClass};
use jiff::Timestamp;
use sqlx::PgConnection;

use super::Task;
use crate::{
    Store,
    jobs::lease::{Lease, Stopped},
    time::PgTime,
};

/// Rows of one table in one transaction.
const BATCH: i64 = 1000;

/// One rule being run.
pub(super) struct Run<'a> {
    pub(super) tenant: TenantId,
    pub(super) task: &'a Task,
    pub(super) started: Timestamp,
    pub(super) cutoff: PgTime,
}

impl Run<'_> {
    /// How many rows are due.
    pub(super) async fn due(&self, store: &Store) -> Result<i64, Stopped> {
        let mut tx = store.begin_tenant(self.tenant).await?;
        let due = self.count(&mut tx).await?;
        tx.commit().await?;
        Ok(due)
    }

    /// Opens the run's row; whether it is new: a run that goes on keeps the row it has. Runs of last week are dropped.
    pub(super) async fn begin(&self, store: &Store, lease: &Lease, matched: i64) -> Result<bool, Stopped> {
        let mut tx = store.begin_tenant(self.tenant).await?;
        lease.hold(&mut tx).await?;
        let opened = sqlx::query!(
            r#"-- roles: jobs
            INSERT INTO retention_run (tenant_id, namespace, name, class, mode, started_at, cutoff, matched)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING"#,
            self.tenant.0,
            self.task.object.namespace,
            self.task.object.name,
            self.task.class.as_str(),
            self.task.mode.as_str(),
            PgTime(self.started) as _,
            self.cutoff as _,
            matched
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "-- roles: jobs\nDELETE FROM retention_run WHERE tenant_id = $1 AND started_at < $2::timestamptz - interval '7 days'",
            self.tenant.0,
            PgTime(self.started) as _
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(opened.rows_affected() == 1)
    }

    /// Works on one batch of each table: how many rows, and whether there may be more.
    pub(super) async fn batch(&self, store: &Store, lease: &Lease) -> Result<(i64, bool), Stopped> {
        let mut tx = store.begin_tenant(self.tenant).await?;
        lease.hold(&mut tx).await?;
        if !self.may_go_on(&mut tx).await? {
            return Ok((0, false));
        }
        let (done, more) = match self.task.class {
            DataClass::Tokens => self.delete(&mut tx).await?,
            DataClass::Audit => self.anonymize(&mut tx).await?,
        };
        sqlx::query!(
            r#"-- roles: jobs
            UPDATE retention_run SET done = done + $6
            WHERE tenant_id = $1 AND namespace = $2 AND name = $3 AND class = $4 AND started_at = $5"#,
            self.tenant.0,
            self.task.object.namespace,
            self.task.object.name,
            self.task.class.as_str(),
            PgTime(self.started) as _,
            done
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok((done, more))
    }

    pub(super) async fn finish(&self, store: &Store, lease: &Lease) -> Result<(), Stopped> {
        let mut tx = store.begin_tenant(self.tenant).await?;
        lease.hold(&mut tx).await?;
        sqlx::query!(
            r#"-- roles: jobs
            UPDATE retention_run SET finished_at = clock_timestamp()
            WHERE tenant_id = $1 AND namespace = $2 AND name = $3 AND class = $4 AND started_at = $5"#,
            self.tenant.0,
            self.task.object.namespace,
            self.task.object.name,
            self.task.class.as_str(),
            PgTime(self.started) as _
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// A legal hold stops a run that is under way too; so does a tenant that cannot be read.
    async fn may_go_on(&self, tx: &mut PgConnection) -> sqlx::Result<bool> {
        let spec = sqlx::query_scalar!(
            "-- roles: server, gateway, operator, jobs\nSELECT spec FROM tenant WHERE id = $1",
            self.tenant.0
        )
        .fetch_optional(tx)
        .await?;
        Ok(spec.is_some_and(|spec| spec["legal_hold"] == false))
    }

    async fn count(&self, tx: &mut PgConnection) -> sqlx::Result<i64> {
        match self.task.class {
            DataClass::Tokens => {
                sqlx::query_scalar!(
                    r#"-- roles: jobs
                    SELECT (SELECT count(*) FROM token_revocation WHERE tenant_id = $1 AND expires_at < $2)
                        + (SELECT count(*) FROM url_revocation WHERE tenant_id = $1 AND expires_at < $2)
                        + (SELECT count(*) FROM url_use WHERE tenant_id = $1 AND expires_at < $2)
                        + (SELECT count(*) FROM ephemeral WHERE tenant_id = $1 AND expires_at < $2) AS "due!""#,
                    self.tenant.0,
                    self.cutoff as _
                )
                .fetch_one(tx)
                .await
            }
            DataClass::Audit => {
                sqlx::query_scalar!(
                    r#"-- roles: jobs
                    SELECT count(*) AS "due!" FROM audit_event WHERE tenant_id = $1 AND at < $2 AND payload IS NOT NULL"#,
                    self.tenant.0,
                    self.cutoff as _
                )
                .fetch_one(tx)
                .await
            }
        }
    }

    async fn delete(&self, tx: &mut PgConnection) -> sqlx::Result<(i64, bool)> {
        let gone = sqlx::query!(
            r#"-- roles: jobs
            WITH t AS (DELETE FROM token_revocation WHERE (tenant_id, jti) IN (SELECT tenant_id, jti FROM token_revocation
                    WHERE tenant_id = $1 AND expires_at < $2 LIMIT $3) RETURNING 1),
                u AS (DELETE FROM url_revocation WHERE (tenant_id, target, value) IN (SELECT tenant_id, target, value
                    FROM url_revocation WHERE tenant_id = $1 AND expires_at < $2 LIMIT $3) RETURNING 1),
                c AS (DELETE FROM url_use WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM url_use
                    WHERE tenant_id = $1 AND expires_at < $2 LIMIT $3) RETURNING 1),
                e AS (DELETE FROM ephemeral WHERE (tenant_id, key) IN (SELECT tenant_id, key FROM ephemeral
                    WHERE tenant_id = $1 AND expires_at < $2 LIMIT $3) RETURNING 1)
            SELECT (SELECT count(*) FROM t) AS "tokens!", (SELECT count(*) FROM u) AS "urls!",
                (SELECT count(*) FROM c) AS "uses!", (SELECT count(*) FROM e) AS "ephemeral!""#,
            self.tenant.0,
            self.cutoff as _,
            BATCH
        )
        .fetch_one(tx)
        .await?;
        let counts = [gone.tokens, gone.urls, gone.uses, gone.ephemeral];
        Ok((counts.iter().sum(), counts.iter().any(|n| *n >= BATCH)))
    }

    /// The payload goes; the hash skeleton stays, so the chain remains whole.
    async fn anonymize(&self, tx: &mut PgConnection) -> sqlx::Result<(i64, bool)> {
        let updated = sqlx::query!(
            r#"-- roles: jobs
            UPDATE audit_event SET payload = NULL WHERE (tenant_id, writer, seq, at) IN (
                SELECT tenant_id, writer, seq, at FROM audit_event
                WHERE tenant_id = $1 AND at < $2 AND payload IS NOT NULL LIMIT $3)"#,
            self.tenant.0,
            self.cutoff as _,
            BATCH
        )
        .execute(tx)
        .await?;
        let done = i64::try_from(updated.rows_affected()).unwrap_or(i64::MAX);
        Ok((done, done >= BATCH))
    }
}
