//! The configuration feed: sixteen shards by tenant, each a gapless sequence in commit order
//! (DESIGN.md, "Configuration feed" and "Acknowledgement").

use serde::{Deserialize, Serialize};

use crate::ids::TenantId;

/// The number of shards. Part of the stored format: changing it needs a migration.
pub const SHARDS: usize = 16;

/// The shard of a tenant's changes: the low four bits of its id's last byte.
#[must_use]
pub const fn shard(tenant: TenantId) -> i16 {
    (tenant.0.as_bytes()[15] & 0x0f) as i16
}

/// One revision of a tenant's configuration: a sequence number in its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Revision {
    /// The shard.
    pub shard: i16,
    /// The sequence number, from 1; 0 is before everything.
    pub seq: i64,
}

/// "I serve nothing older than this": one sequence number per shard.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position(pub [i64; SHARDS]);

impl Position {
    /// Whether this position has passed `revision`.
    #[must_use]
    pub fn has_passed(&self, revision: Revision) -> bool {
        usize::try_from(revision.shard).ok().and_then(|i| self.0.get(i)).is_some_and(|seq| *seq >= revision.seq)
    }

    /// Whether this position is at or past `other` in every shard.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a >= b)
    }
}
