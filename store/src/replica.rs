//! Replicas: who serves, from which position on, and what it could not load (DESIGN.md, "Acknowledgement").

use authly_model::{
    feed::Position,
    ids::{ObjectRef, TenantId},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, StoreError, hints};

/// The most failures that a replica reports; the rest are found once these are mended.
pub(crate) const MAX_FAILURES: usize = 200;

/// What a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaRole {
    /// A server.
    Server,
    /// A gateway.
    Gateway,
}

impl ReplicaRole {
    /// The spelling in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Gateway => "gateway",
        }
    }

    /// The role of this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Server, Self::Gateway].into_iter().find(|r| r.as_str() == text)
    }
}

/// This process as a replica; the id is new at each boot.
#[derive(Debug, Clone, Copy)]
pub struct ReplicaIdentity {
    /// Random, made at boot.
    pub id: Uuid,
    /// What it is.
    pub role: ReplicaRole,
}

/// A replica with a live lease, as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its id.
    pub id: Uuid,
    /// What it is.
    pub role: ReplicaRole,
    /// "I serve nothing older than this."
    pub position: Position,
    /// What it could not load; it serves the last good one of each.
    pub failures: Vec<LoadFailure>,
}

/// An object that a replica could not load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadFailure {
    /// The tenant.
    pub tenant: TenantId,
    /// The object.
    pub object: ObjectRef,
    /// Why, for people.
    pub message: String,
}

/// Records the position and renews the lease: 10 s of the database's time. A position that is `awaited` is a hint for the operator.
pub(crate) async fn acknowledge(
    connection: &mut PgConnection,
    replica: ReplicaIdentity,
    position: &Position,
    failures: &[LoadFailure],
    awaited: bool,
) -> Result<()> {
    let failures = serde_json::to_value(failures).map_err(|e| StoreError::Refused(e.to_string()))?;
    sqlx::query!(
        r#"-- roles: server, gateway
        SELECT acknowledge($1, $2, $3, $4) AS acknowledged, (SELECT count(*) FROM pg_notify($6, '') WHERE $5) AS hints"#,
        replica.id,
        replica.role.as_str(),
        &position.0[..],
        failures,
        awaited,
        hints::REPLICAS
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}
