//! What retention did, for the statuses of RetentionPolicies.

use authly_model::{
    ids::{ObjectName, TenantId},
    retention::{DataClass, RetentionMode},
};
use jiff::Timestamp;
use uuid::Uuid;

use super::{LIMIT, Leader};
use crate::{Result, time::PgTime};

/// A run of one rule of a RetentionPolicy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRun {
    /// The tenant.
    pub tenant: TenantId,
    /// The RetentionPolicy.
    pub object: ObjectName,
    /// The class of data.
    pub class: DataClass,
    /// Whether rows went, or were only counted.
    pub mode: RetentionMode,
    /// When it began, by the clock that its cutoff is counted from.
    pub started_at: Timestamp,
    /// When it ended, by the database's clock; `None` while it runs.
    pub finished_at: Option<Timestamp>,
    /// Rows that were due.
    pub matched: i64,
    /// Rows that were deleted or anonymised.
    pub done: i64,
}

impl Leader {
    /// For each rule of each RetentionPolicy of these tenants the last run that found something to do, or else the last one.
    /// Runs are kept for a week.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn retention_runs(&self, tenants: &[TenantId]) -> Result<Vec<RetentionRun>> {
        let tenants: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
        let query = sqlx::query!(
            r#"-- roles: operator
            SELECT tenant_id AS "tenant!", namespace AS "namespace!", name AS "name!", class AS "class!", mode AS "mode!",
                started_at AS "started_at!: PgTime", finished_at AS "finished_at: PgTime", matched AS "matched!", done AS "done!"
            FROM last_retention_runs($1)"#,
            &tenants
        );
        let read = async { query.fetch_all(&self.store.pool()?).await.map_err(|e| self.store.failed(e)) };
        let rows = self.store.within(LIMIT, read).await?;
        // A class or mode that a newer version wrote is left out.
        let runs = rows.into_iter().filter_map(|row| {
            Some(RetentionRun {
                tenant: TenantId(row.tenant),
                object: ObjectName::new(row.namespace, row.name),
                class: DataClass::parse(&row.class)?,
                mode: RetentionMode::parse(&row.mode)?,
                started_at: row.started_at.0,
                finished_at: row.finished_at.map(|at| at.0),
                matched: row.matched,
                done: row.done,
            })
        });
        Ok(runs.collect())
    }
}
