//! Clients on demand: a bounded cache, bounded negative entries, and no stale entry under any interleaving.
//!
//! A load is keyed by the tenant's generation, which every change raises. What was read under an old generation is
//! answered to those who asked before the change, never kept, and never joined by a later request.
//!
//! What is kept and changed is read again by the poller, in the view of the position that it then acknowledges: an
//! acknowledged secret is checked from memory, and no request waits for Postgres because a secret was rotated.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use authly_model::{
    client::{Client, SecretHash},
    ids::{ObjectName, TenantId},
};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use quick_cache::sync::Cache;
use sqlx::PgConnection;

use super::{Caps, load};
use crate::{Result, Store, StoreError, error::unavailable, scope::PlatformScope};

/// How long a miss may take.
const LIMIT: Duration = Duration::from_millis(1500);

/// A client and its secrets' hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveClient {
    /// The client.
    pub client: Client,
    /// Up to three: current, next, previous, in the operator's order. Any of them authenticates.
    pub secrets: Vec<SecretHash>,
}

type Key = (TenantId, Box<str>);
/// Clients as they were read again; `None` does not exist any more.
pub(super) type Reloaded = HashMap<Key, Option<Arc<LiveClient>>>;
/// Of the whole cache, and of the tenant.
type Generation = (u64, u64);
type Loaded = std::result::Result<Option<Arc<LiveClient>>, Arc<StoreError>>;
type Load = Shared<BoxFuture<'static, Loaded>>;

#[derive(Debug)]
pub(super) struct Clients {
    known: Cache<Key, Arc<LiveClient>>,
    unknown: Cache<Key, ()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    all: u64,
    tenants: HashMap<TenantId, u64>,
    loads: HashMap<(Key, Generation), Load>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("loads", &self.loads.len()).finish_non_exhaustive()
    }
}

impl State {
    fn generation(&self, tenant: TenantId) -> Generation {
        (self.all, self.tenants.get(&tenant).copied().unwrap_or(0))
    }
}

impl Clients {
    pub(super) fn new(caps: Caps) -> Self {
        let (known, unknown) = (Cache::new(caps.clients), Cache::new(caps.unknown_clients));
        Self { known, unknown, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` is a miss; `Some(None)` is known not to exist.
    pub(super) fn cached(&self, tenant: TenantId, client_id: &str) -> Option<Option<Arc<LiveClient>>> {
        let key = (tenant, Box::from(client_id));
        if let Some(client) = self.known.get(&key) {
            return Some(Some(client));
        }
        self.unknown.get(&key).map(|()| None)
    }

    /// Reads the client; requests for the same client share one read, which ends by itself even if all of them go away.
    pub(super) async fn load(
        self: &Arc<Self>,
        store: &Store,
        tenant: TenantId,
        client_id: &str,
    ) -> Result<Option<Arc<LiveClient>>> {
        let key: Key = (tenant, Box::from(client_id));
        let load = {
            let mut state = self.state();
            let generation = state.generation(tenant);
            match state.loads.get(&(key.clone(), generation)) {
                Some(load) => load.clone(),
                None => {
                    let running = tokio::spawn(Arc::clone(self).run(store.clone(), key.clone(), generation));
                    let load = async { running.await.unwrap_or_else(|_| Err(interrupted())) }.boxed().shared();
                    state.loads.insert((key, generation), load.clone());
                    load
                }
            }
        };
        load.await.map_err(|error| match &*error {
            StoreError::Damaged(what) => StoreError::Damaged(what.clone()),
            other => StoreError::Unavailable(other.to_string()),
        })
    }

    async fn run(self: Arc<Self>, store: Store, key: Key, generation: Generation) -> Loaded {
        let loaded = store.within(LIMIT, read(&store, key.0, &key.1)).await.map_err(Arc::new);
        let mut state = self.state();
        state.loads.remove(&(key.clone(), generation));
        // Under the lock, so that no invalidation comes between the look and the insertion.
        if state.generation(key.0) == generation {
            match &loaded {
                Ok(Some(client)) => self.known.insert(key, Arc::clone(client)),
                Ok(None) => self.unknown.insert(key, ()),
                Err(_) => {}
            }
        }
        loaded
    }

    /// Reads again, within the poller's view, what changed of what requests find here or are just reading.
    pub(super) async fn reload(
        &self,
        scope: &PlatformScope,
        view: &mut PgConnection,
        changed: &[(TenantId, String)],
    ) -> Result<Reloaded> {
        let keys: Vec<Key> = {
            let state = self.state();
            let reading: HashSet<&Key> = state.loads.keys().map(|(key, _)| key).collect();
            let keys = changed.iter().map(|(tenant, client_id)| (*tenant, Box::from(client_id.as_str())));
            keys.filter(|key| self.known.get(key).is_some() || self.unknown.get(key).is_some() || reading.contains(key))
                .collect()
        };
        if keys.is_empty() {
            return Ok(Reloaded::new());
        }
        let mut clients = HashMap::new();
        let mut reloaded: Reloaded = keys.iter().map(|key| (key.clone(), None)).collect();
        for row in load::clients(scope, view, &keys).await? {
            let key = (row.tenant, row.client_id.into_boxed_str());
            match parse(&key.1, row.spec) {
                Ok(client) => drop(clients.insert((row.tenant, row.object), (key, client))),
                // Whoever asks for it reads it, and hears why it cannot be served.
                Err(_) => drop(reloaded.remove(&key)),
            }
        }
        let mut secrets: HashMap<(TenantId, ObjectName), Vec<SecretHash>> = HashMap::new();
        for (owner, hash) in load::client_secrets(scope, view, clients.keys()).await? {
            secrets.entry(owner).or_default().push(hash);
        }
        for (owner, (key, client)) in clients {
            let secrets = secrets.remove(&owner).unwrap_or_default();
            reloaded.insert(key, Some(Arc::new(LiveClient { client, secrets })));
        }
        Ok(reloaded)
    }

    /// Puts what was read again in the place of what changed, and forgets the rest of it. Afterwards nothing older is
    /// served to a later request.
    pub(super) fn replace(&self, changed: impl IntoIterator<Item = (TenantId, String)>, mut reloaded: Reloaded) {
        let mut state = self.state();
        for (tenant, client_id) in changed {
            *state.tenants.entry(tenant).or_default() += 1;
            let key = (tenant, client_id.into_boxed_str());
            match reloaded.remove(&key) {
                Some(Some(client)) => {
                    self.unknown.remove(&key);
                    self.known.insert(key, client);
                }
                Some(None) => {
                    self.known.remove(&key);
                    self.unknown.insert(key, ());
                }
                None => {
                    self.known.remove(&key);
                    self.unknown.remove(&key);
                }
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.all += 1;
        // No generation comes again: `all` is part of each.
        state.tenants.clear();
        self.known.clear();
        self.unknown.clear();
    }
}

fn interrupted() -> Arc<StoreError> {
    Arc::new(unavailable("reading the client was interrupted"))
}

fn parse(client_id: &str, spec: serde_json::Value) -> Result<Client> {
    serde_json::from_value(spec).map_err(|e| StoreError::Damaged(format!("client `{client_id}`: {e}")))
}

async fn read(store: &Store, tenant: TenantId, client_id: &str) -> Result<Option<Arc<LiveClient>>> {
    let mut tx = store.begin_tenant(tenant).await?;
    let rows = sqlx::query!(
        r#"-- roles: server, operator
        SELECT c.spec, s.pepper_id AS "pepper_id?", s.digest AS "digest?"
        FROM client c LEFT JOIN client_secret s USING (tenant_id, namespace, name)
        WHERE c.tenant_id = $1 AND c.client_id = $2 ORDER BY s.slot"#,
        tenant.0,
        client_id
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(|e| store.failed(e))?;
    tx.commit().await.map_err(|e| store.failed(e))?;
    let Some(first) = rows.first() else { return Ok(None) };
    let client = parse(client_id, first.spec.clone())?;
    let secrets = rows
        .into_iter()
        .filter_map(|row| Some(SecretHash { pepper_id: row.pepper_id?, digest: row.digest? }))
        .collect();
    Ok(Some(Arc::new(LiveClient { client, secrets })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clearing_forgets_the_tenants_too_and_no_generation_comes_again() {
        let clients = Clients::new(Caps::default());
        let tenant = TenantId(uuid::Uuid::nil());
        let mut seen = vec![clients.state().generation(tenant)];
        for _ in 0..3 {
            clients.replace([(tenant, "shop.billing".to_owned())], Reloaded::new());
            seen.push(clients.state().generation(tenant));
            clients.clear();
            seen.push(clients.state().generation(tenant));
        }
        assert!(clients.state().tenants.is_empty(), "purged tenants would stay for ever");
        seen.dedup();
        let different: HashSet<_> = seen.iter().collect();
        assert_eq!(different.len(), 7, "{seen:?}");
    }
}
