//! Ephemeral state, with Postgres behind it: replay ids, consumed by one statement. When the store is away, that is a refusal.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{Result, Store, TenantScope, time::PgTime};

const LIMIT: Duration = Duration::from_millis(1500);

impl Store {
    /// Keeps `key` until `expires_at`; false if it is kept already: a replay. Roles server and gateway.
    ///
    /// # Errors
    /// `Unavailable`: refuse, since nobody knows.
    pub async fn put_once(
        &self,
        scope: &TenantScope,
        key: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool> {
        // Hashed, so that a key of any length and content has one.
        let key = Sha256::digest(key.as_bytes());
        let put = async {
            let query = sqlx::query_scalar!(
                r#"-- roles: server, gateway
                SELECT put_once($1, $2, $3, $4) AS "fresh!""#,
                scope.tenant().0,
                key.as_slice(),
                PgTime(now) as _,
                PgTime(expires_at) as _
            );
            query.fetch_one(&mut *self.acquire().await?).await.map_err(|e| self.failed(e))
        };
        self.within(LIMIT, put).await
    }
}
