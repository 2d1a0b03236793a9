//! Exact use counts (signed-url.md, "Exact use counts"): never too many, too few is allowed.

use std::time::Duration;

use jiff::Timestamp;

use crate::{Result, Store, TenantScope, time::PgTime};

const LIMIT: Duration = Duration::from_millis(1500);

/// A signed URL's id: issue time (4) ‖ subject tag (6) ‖ client tag (6) ‖ random (8).
pub type UrlId = [u8; 24];

/// A request to debit uses of a counted URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseRequest {
    /// The URL's id.
    pub id: UrlId,
    /// How many uses to debit; 0 only asks whether one is left (HEAD).
    pub k: u32,
    /// The maximum, from the signed bytes; 1 to 1,000,000.
    pub max: u32,
    /// The URL's expiry, from the signed bytes; the row lives until an hour past it.
    pub expires_at: Timestamp,
}

/// What a debit granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// How many of `k` were granted; for `k` 0, whether one is left: 1 or 0.
    pub granted: u32,
    /// How many are spent after this batch.
    pub used: u32,
}

impl Granted {
    /// Whether the request may go on.
    #[must_use]
    pub const fn is_granted(self) -> bool {
        self.granted > 0
    }
}

/// How far a counted URL is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlUsage {
    /// Uses spent.
    pub used: u32,
    /// The maximum.
    pub max: u32,
    /// The URL's expiry.
    pub expires_at: Timestamp,
}

impl Store {
    /// How far a counted URL is used; `None` if it never was, or its row is past its time. Role server.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn url_usage(&self, scope: &TenantScope, id: &UrlId) -> Result<Option<UrlUsage>> {
        let read = async {
            let mut tx = self.begin_tenant(scope.tenant()).await?;
            let row = sqlx::query!(
                r#"-- roles: server, jobs
                SELECT used, max, expires_at AS "expires_at: PgTime" FROM url_use WHERE tenant_id = $1 AND id = $2"#,
                scope.tenant().0,
                &id[..]
            )
            .fetch_optional(&mut *tx)
            .await
            .map_err(|e| self.failed(e))?;
            tx.commit().await.map_err(|e| self.failed(e))?;
            let count = |n: i32| u32::try_from(n).unwrap_or(0);
            Ok(row.map(|r| UrlUsage { used: count(r.used), max: count(r.max), expires_at: r.expires_at.0 }))
        };
        self.within(LIMIT, read).await
    }
}
