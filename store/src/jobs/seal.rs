//! Seals the audit chains (docs/decisions/0010-seals.md): the heads that moved since the seal before go under one signed
//! Merkle root. Nothing moved, no seal: an idle system does not grow.
//!
//! Heads are found by the time of their records, with a margin for commits under way; a chain whose writer's clock is
//! further off than that is found by the hourly `late`, which asks every chain.

use authly_model::{
    ids::TenantId,
    seal::{RootBuilder, Seal, SealedHead},
};
use authly_secrets::{KekRing, SealingKey, WrappedSealingKey, generate_sealing_key};
use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Jobs,
    lease::{Lease, Stopped},
};
use crate::{
    StoreError,
    seals::{self, StoredSeal},
    time::{PgTime, to_micros},
};

/// A record may become visible this much later than its time says: commits take seconds at most, the rest is for clocks.
const MARGIN: SignedDuration = SignedDuration::from_secs(120);
/// Any number that nothing else in the database locks: seals are made one after the other.
const LOCK: i64 = 0x7365_616c;

/// Job `seal`.
pub(super) async fn recent(jobs: &Jobs, lease: &Lease) -> Result<(), Stopped> {
    let mut tx = jobs.store.begin().await?;
    lease.hold(&mut tx).await?;
    let last = lock(&mut tx).await?;
    rewrap(&mut tx, &jobs.kek).await?;
    let since = last.as_ref().map_or(Timestamp::UNIX_EPOCH, |last| last.seal.at);
    let since = since.checked_sub(MARGIN).unwrap_or(Timestamp::UNIX_EPOCH);
    let heads = sqlx::query!(
        r#"-- roles: jobs
        SELECT tenant_id AS "tenant!", writer AS "writer!", seq AS "seq!", link AS "link!" FROM recent_heads($1)"#,
        PgTime(since) as _
    )
    .fetch_all(&mut *tx)
    .await?;
    let heads = heads.into_iter().map(|h| (h.tenant, h.writer, h.seq, h.link)).collect();
    let sealed = put(&mut tx, jobs, last, heads).await?;
    tx.commit().await?;
    tell(jobs, sealed);
    Ok(())
}

fn tell(jobs: &Jobs, heads: usize) {
    if heads > 0 {
        jobs.watch.sealed(heads as u64);
    }
}

/// Job `seal_late`: every chain of every tenant, in case its records came with a time long past.
pub(super) async fn late(jobs: &Jobs, lease: &mut Lease) -> Result<(), Stopped> {
    let store = &jobs.store;
    let tenants = sqlx::query_scalar!("-- roles: server, gateway, operator, jobs\nSELECT id FROM tenant ORDER BY id")
        .fetch_all(&store.pool()?)
        .await?;
    for tenant in tenants {
        lease.renew(store).await?;
        let mut tx = store.begin_tenant(TenantId(tenant)).await?;
        lease.hold(&mut tx).await?;
        let last = lock(&mut tx).await?;
        let heads = sqlx::query!(
            r#"-- roles: jobs
            SELECT w.writer, e.seq AS "seq!", e.link AS "link!" FROM audit_writer w CROSS JOIN LATERAL (
                SELECT seq, link FROM audit_event WHERE tenant_id = $1 AND writer = w.writer ORDER BY seq DESC LIMIT 1) e
            WHERE w.tenant_id = $1"#,
            tenant
        )
        .fetch_all(&mut *tx)
        .await?;
        let heads = heads.into_iter().map(|h| (tenant, h.writer, h.seq, h.link)).collect();
        let sealed = put(&mut tx, jobs, last, heads).await?;
        tx.commit().await?;
        tell(jobs, sealed);
    }
    Ok(())
}

/// Until the end of the transaction nobody else seals; the last seal.
async fn lock(tx: &mut PgConnection) -> Result<Option<StoredSeal>, Stopped> {
    sqlx::query!("-- roles: any\nSELECT pg_advisory_xact_lock($1)", LOCK).execute(&mut *tx).await?;
    Ok(seals::last(tx).await?)
}

/// Puts those of the heads that are not sealed yet under the next seal, if there are any; how many.
async fn put(
    tx: &mut PgConnection,
    jobs: &Jobs,
    last: Option<StoredSeal>,
    heads: Vec<(Uuid, Uuid, i64, Vec<u8>)>,
) -> Result<usize, Stopped> {
    if heads.is_empty() {
        return Ok(0);
    }
    let number = last.as_ref().map_or(0, |last| last.seal.number) + 1;
    let mut moved = seals::put_heads(tx, number, &heads).await?;
    if moved.is_empty() {
        return Ok(0);
    }
    // The order of the tree.
    moved.sort_unstable_by_key(|head: &SealedHead| (head.tenant, head.writer));
    let mut root = RootBuilder::default();
    moved.iter().for_each(|head| root.push(head));
    let key = sealing_key(tx, &jobs.kek).await?;
    let now = to_micros(jobs.clock.now());
    let seal = Seal {
        number,
        previous: last.as_ref().map_or([0; 32], |last| last.seal.hash()),
        at: last.map_or(now, |last| now.max(last.seal.at)),
        heads: i64::try_from(moved.len()).unwrap_or(i64::MAX),
        root: root.root(),
        public_key: *key.public_key(),
    };
    let signature = key.sign(&seal.message()).map_err(unusable)?;
    seals::put(tx, &seal, &signature).await?;
    Ok(moved.len())
}

/// Once there is another active platform key, the sealing key goes under it, while the older one is still at hand.
async fn rewrap(tx: &mut PgConnection, kek: &KekRing) -> Result<(), Stopped> {
    let Some(stored) = newest_key(tx).await? else { return Ok(()) };
    if stored.is_current(kek).map_err(unusable)? {
        return Ok(());
    }
    let again = stored.rewrap(kek).map_err(unusable)?;
    sqlx::query!(
        "-- roles: jobs\nUPDATE seal_key SET wrapped_private = $2 WHERE key_id = $1",
        again.key_id,
        again.wrapped
    )
    .execute(tx)
    .await?;
    tracing::info!(key = again.key_id, "the sealing key is wrapped by the active platform key");
    Ok(())
}

async fn newest_key(tx: &mut PgConnection) -> Result<Option<WrappedSealingKey>, Stopped> {
    let newest = sqlx::query!(
        r#"-- roles: jobs
        SELECT key_id, public_key, wrapped_private FROM seal_key ORDER BY created_at DESC, key_id LIMIT 1"#
    )
    .fetch_optional(tx)
    .await?;
    let Some(row) = newest else { return Ok(None) };
    let public_key = row.public_key.try_into().map_err(|_| StoreError::Damaged("the sealing key".into()))?;
    Ok(Some(WrappedSealingKey { key_id: row.key_id, public_key, wrapped: row.wrapped_private }))
}

/// The newest sealing key; the first seal makes one.
async fn sealing_key(tx: &mut PgConnection, kek: &KekRing) -> Result<SealingKey, Stopped> {
    let stored = match newest_key(tx).await? {
        Some(stored) => stored,
        None => {
            let made = generate_sealing_key(kek).map_err(unusable)?;
            sqlx::query!(
                "-- roles: jobs\nINSERT INTO seal_key (key_id, public_key, wrapped_private) VALUES ($1, $2, $3)",
                made.key_id,
                made.public_key.as_slice(),
                made.wrapped
            )
            .execute(&mut *tx)
            .await?;
            tracing::info!(key = made.key_id, "a sealing key was made");
            made
        }
    };
    Ok(SealingKey::open(kek, &stored).map_err(unusable)?)
}

fn unusable(error: authly_secrets::SecretsError) -> StoreError {
    StoreError::Refused(format!("the sealing key cannot be used: {error}"))
}
