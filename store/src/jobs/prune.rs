//! Housekeeping of platform tables, and audit partitions made ahead.

use authly_model::feed::SHARDS;

use super::lease::{Lease, Stopped};
use crate::Store;

/// Months of audit partitions kept ready.
const AHEAD: i32 = 24;

/// Forgets changes that every live replica passed long ago (one that fell behind reloads everything), and replicas that
/// are long gone.
pub(super) async fn feed_and_replicas(store: &Store, lease: &Lease) -> Result<(), Stopped> {
    for shard in 0_i16..SHARDS as i16 {
        let mut tx = store.begin().await?;
        lease.hold(&mut tx).await?;
        sqlx::query!(
            r#"-- roles: jobs
            WITH gone AS (DELETE FROM feed_change WHERE shard = $1 AND at < clock_timestamp() - interval '1 hour' RETURNING seq)
            UPDATE feed_head h SET pruned_seq = greatest(h.pruned_seq, top.seq)
            FROM (SELECT max(seq) AS seq FROM gone) top WHERE h.shard = $1 AND top.seq IS NOT NULL"#,
            shard
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
    }
    let mut tx = store.begin().await?;
    lease.hold(&mut tx).await?;
    sqlx::query!("-- roles: jobs\nDELETE FROM replica WHERE lease_until < clock_timestamp() - interval '1 hour'")
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

pub(super) async fn partitions(store: &Store, lease: &Lease) -> Result<(), Stopped> {
    let mut tx = store.begin().await?;
    lease.hold(&mut tx).await?;
    let made = sqlx::query_scalar!(
        r#"-- roles: jobs
        SELECT create_audit_partitions($1) AS "made!""#,
        AHEAD
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    if made > 0 {
        tracing::info!(made, "audit partitions made ahead");
    }
    Ok(())
}
