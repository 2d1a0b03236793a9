//! The operator's side: one leader per installation writes what manifests declare (operator.md, rules 5 and 9 to 11).
//!
//! Owns: the epoch that fences an old leader, bulk reads for the diff, one transaction and one revision per batch.
//! Never does: decisions about what is declared. Postgres mints the epoch; each transaction holds it `FOR SHARE`, so a
//! new leader waits for what an old one has in flight, and the old one can start nothing more.

mod apply;
mod keys;
mod objects;
mod pepper;
mod purge;
mod runs;
mod stored;
mod tenant;

use std::{collections::BTreeMap, time::Duration};

use authly_model::{
    client::SecretHash,
    diff::{Change, Stored},
    feed::{Position, Revision, SHARDS},
    ids::{Kind, ObjectName, ObjectRef, OwnerKey, TenantId},
    rotation::KnownKey,
    route::Route,
    tenant::Tenant,
};
use authly_secrets::{NewTenantKeys, WrappedKey};

pub use keys::{KeyChange, KeyChanges};
pub use pepper::PepperChange;
pub use runs::RetentionRun;

use crate::{Hints, Replica, ReplicaRole, Result, Store, StoreError, connect::Tx, hints, scope::PlatformScope};

/// One step of one tenant; twice what the database itself allows a statement.
const LIMIT: Duration = Duration::from_secs(20);
/// Everything of an installation.
const BULK: Duration = Duration::from_secs(60);

/// A tenant as it is stored.
#[derive(Debug, Clone)]
pub struct StoredTenant {
    /// Its id.
    pub id: TenantId,
    /// Its configuration.
    pub tenant: Tenant,
    /// Its signing keys that are not revoked, oldest first.
    pub keys: Vec<KnownKey>,
    /// The request whose rotation has begun.
    pub rotation_request: Option<String>,
    /// The request whose change of the pepper has begun.
    pub pepper_request: Option<String>,
    /// Hashes of everything, for the diff.
    pub stored: Stored,
    /// The newest revision among `revisions`; seq 0 if there is none.
    pub revision: Revision,
    /// The newest revision of each object that changed lately; one that is absent has long been passed by every replica.
    pub revisions: BTreeMap<ObjectRef, Revision>,
    /// The client id of each OAuthClient.
    pub client_ids: BTreeMap<ObjectName, String>,
    /// Each route that can be read.
    pub routes: BTreeMap<ObjectName, Route>,
    /// The hashes of each OAuthClient's secrets, in the order in which they were given.
    pub client_secrets: BTreeMap<ObjectName, Vec<SecretHash>>,
}

/// What is unique in the database, of every installation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Hosts of signed URLs.
    pub hosts: BTreeMap<String, OwnerKey>,
    /// Issuers.
    pub issuers: BTreeMap<String, OwnerKey>,
    /// Tenant ids.
    pub tenants: BTreeMap<TenantId, OwnerKey>,
}

/// The writes of one tenant: one transaction, one revision.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// From the diff.
    pub changes: Vec<Change>,
    /// For a tenant that is new; a tenant that exists keeps the keys it has.
    pub new_keys: Option<NewTenantKeys>,
    /// Steps in the life of its signing keys.
    pub keys: Option<KeyChanges>,
    /// A step in the change of its pepper.
    pub pepper: Option<PepperChange>,
    /// Replaces all hashes of each named client (at most three each), which is stored already or put in this batch.
    pub secrets: BTreeMap<ObjectName, Vec<SecretHash>>,
}

/// The one writer of an installation's configuration.
#[derive(Debug, Clone)]
pub struct Leader {
    store: Store,
    installation: String,
    epoch: i64,
}

impl Leader {
    /// Mints the next epoch: every earlier leader of the installation is fenced from now on. Role operator.
    ///
    /// # Errors
    /// `Unavailable`; also while an earlier leader's transaction is in flight for longer than a few seconds.
    pub async fn acquire(store: Store, installation: &str) -> Result<Self> {
        let query = sqlx::query_scalar!(
            r#"-- roles: operator
            INSERT INTO leader_epoch AS e (installation, epoch) VALUES ($1, 1)
            ON CONFLICT (installation) DO UPDATE SET epoch = e.epoch + 1, acquired_at = clock_timestamp()
            RETURNING epoch"#,
            installation
        );
        let mint = async { query.fetch_one(&store.pool()?).await.map_err(|e| store.failed(e)) };
        let epoch = store.within(LIMIT, mint).await?;
        Ok(Self { store, installation: installation.to_owned(), epoch })
    }

    /// The epoch.
    #[must_use]
    pub const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The installation.
    #[must_use]
    pub fn installation(&self) -> &str {
        &self.installation
    }

    /// Every tenant of the installation, tombstoned ones included and purged ones not, in bulk.
    ///
    /// # Errors
    /// `Unavailable`, `Fenced`, `Damaged`.
    pub async fn stored(&self) -> Result<Vec<StoredTenant>> {
        self.read_stored(None).await
    }

    /// One tenant, as [`Self::stored`].
    ///
    /// # Errors
    /// As [`Self::stored`].
    pub async fn stored_tenant(&self, tenant: TenantId) -> Result<Option<StoredTenant>> {
        Ok(self.read_stored(Some(tenant)).await?.pop())
    }

    async fn read_stored(&self, only: Option<TenantId>) -> Result<Vec<StoredTenant>> {
        let read = async {
            let mut view = self.store.begin_snapshot().await?;
            self.check_epoch(&mut view).await?;
            let stored = stored::read(&PlatformScope(()), &mut view, &self.installation, only).await?;
            view.rollback().await.map_err(|e| self.store.failed(e))?;
            Ok(stored)
        };
        self.store.within(BULK, read).await
    }

    /// Hosts, issuers and tenant ids of every installation in the database.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn claims(&self) -> Result<Claims> {
        self.store.within(BULK, self.read_claims()).await
    }

    async fn read_claims(&self) -> Result<Claims> {
        let rows = sqlx::query!(
            r#"-- roles: operator
            SELECT true AS "host!", h.host AS "claim!", t.installation AS "installation!", t.name AS "name!"
            FROM tenant_host h JOIN tenant t ON t.id = h.tenant_id
            UNION ALL SELECT false, i.issuer, t.installation, t.name FROM tenant_issuer i JOIN tenant t ON t.id = i.tenant_id"#
        )
        .fetch_all(&self.store.pool()?)
        .await
        .map_err(|e| self.store.failed(e))?;
        let mut claims = Claims::default();
        for row in rows {
            let of_kind = if row.host { &mut claims.hosts } else { &mut claims.issuers };
            of_kind.insert(row.claim, owner(row.installation, row.name));
        }
        let rows = sqlx::query!("-- roles: server, gateway, operator\nSELECT id, installation, name FROM tenant")
            .fetch_all(&self.store.pool()?)
            .await
            .map_err(|e| self.store.failed(e))?;
        claims.tenants = rows.into_iter().map(|r| (TenantId(r.id), owner(r.installation, r.name))).collect();
        Ok(claims)
    }

    /// Applies a batch; all of it or nothing. After an error that is retryable it may have been applied: read again.
    ///
    /// # Errors
    /// `Unavailable`, `Fenced`, `Conflict` (names the object of the batch, what it claimed, and the owner), `Refused`.
    pub async fn apply(&self, tenant: TenantId, batch: Batch) -> Result<Revision> {
        let write = async {
            let mut tx = self.begin(tenant).await?;
            let revision = apply::apply(&mut tx, &self.installation, tenant, batch).await?;
            tx.commit().await.map_err(|e| self.store.failed(e))?;
            Ok(revision)
        };
        self.store.within(LIMIT, write).await
    }

    /// The tenant's wrapped keys, newest first of each purpose: to hash a new client secret.
    ///
    /// # Errors
    /// `Unavailable`, `Fenced`.
    pub async fn tenant_keys(&self, tenant: TenantId) -> Result<Vec<WrappedKey>> {
        let read = async {
            let mut tx = self.begin(tenant).await?;
            let found = crate::keys::tenant_keys(&mut tx, tenant.0).await?;
            tx.commit().await.map_err(|e| self.store.failed(e))?;
            Ok(found)
        };
        self.store.within(LIMIT, read).await
    }

    /// Hints that a replica has passed a revision, so that [`Self::replicas`] is worth a look.
    #[must_use]
    pub fn acknowledgements(&self) -> Hints {
        Hints::listen(&self.store, hints::REPLICAS)
    }

    /// The tenant's signing keys that are not revoked, oldest first.
    ///
    /// # Errors
    /// `Unavailable`, `Fenced`.
    pub async fn signing_keys(&self, tenant: TenantId) -> Result<Vec<KnownKey>> {
        let read = async {
            let mut tx = self.begin(tenant).await?;
            let found = stored::signing_keys(&PlatformScope(()), &mut tx, &[tenant.0]).await?;
            tx.commit().await.map_err(|e| self.store.failed(e))?;
            Ok(found.into_iter().map(|(_, key)| key).collect())
        };
        self.store.within(LIMIT, read).await
    }

    /// Replicas whose lease is alive by database time.
    ///
    /// # Errors
    /// `Unavailable`, `Damaged`.
    pub async fn replicas(&self) -> Result<Vec<Replica>> {
        let query = sqlx::query!(
            r#"-- roles: operator, jobs
            SELECT id, role, position, failures FROM replica WHERE lease_until > clock_timestamp() ORDER BY id"#
        );
        let read = async { query.fetch_all(&self.store.pool()?).await.map_err(|e| self.store.failed(e)) };
        let rows = self.store.within(LIMIT, read).await?;
        rows.into_iter()
            .map(|r| {
                let damaged = || StoreError::Damaged(format!("replica {}", r.id));
                let position = <[i64; SHARDS]>::try_from(r.position).map_err(|_| damaged())?;
                let failures = serde_json::from_value(r.failures).map_err(|_| damaged())?;
                let role = ReplicaRole::parse(&r.role).ok_or_else(damaged)?;
                Ok(Replica { id: r.id, role, position: Position(position), failures })
            })
            .collect()
    }

    /// A transaction of one tenant, which no newer leader can overtake.
    async fn begin(&self, tenant: TenantId) -> Result<Tx> {
        let mut tx = self.store.begin_tenant(tenant).await?;
        let held = sqlx::query_scalar!(
            r#"-- roles: operator
            SELECT true AS "held!" FROM leader_epoch WHERE installation = $1 AND epoch = $2 FOR SHARE"#,
            self.installation,
            self.epoch
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(|e| self.store.failed(e))?;
        if held.is_some() { Ok(tx) } else { Err(self.fenced()) }
    }

    /// For reads, which need no lock.
    async fn check_epoch(&self, view: &mut Tx) -> Result<()> {
        let epoch = sqlx::query_scalar!(
            "-- roles: operator\nSELECT epoch FROM leader_epoch WHERE installation = $1",
            self.installation
        )
        .fetch_optional(&mut **view)
        .await
        .map_err(|e| self.store.failed(e))?;
        if epoch == Some(self.epoch) { Ok(()) } else { Err(self.fenced()) }
    }

    fn fenced(&self) -> StoreError {
        StoreError::Fenced { installation: self.installation.clone() }
    }
}

fn owner(installation: String, name: String) -> OwnerKey {
    OwnerKey { installation, object: ObjectRef::new(Kind::Tenant, "", name) }
}
