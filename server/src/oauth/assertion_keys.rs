//! The keys that a client registered for its assertions, parsed once while its registration stays the same.

use std::sync::Arc;

use authly_model::{ids::TenantId, key::Algorithm};
use authly_store::LiveClient;
use jsonwebtoken::{DecodingKey, jwk::AlgorithmParameters, jwk::Jwk};
use quick_cache::sync::Cache;

/// The most clients whose keys are kept at once; a client has a few keys of a few hundred bytes.
const CAPACITY: usize = 10_000;

/// A registered key.
pub(crate) struct AssertionKey {
    /// Its id, if it has one.
    pub(crate) kid: Option<String>,
    /// The algorithms that it may verify: its own `alg` if it has one, else those of its type.
    pub(crate) algorithms: Vec<Algorithm>,
    /// The key for `jsonwebtoken`.
    pub(crate) decoding: DecodingKey,
}

impl std::fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AssertionKey").field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

/// The keys of one client.
#[derive(Debug)]
struct Registered {
    /// What they were parsed from.
    client: Arc<LiveClient>,
    keys: Arc<[AssertionKey]>,
}

/// Keys by client.
#[derive(Debug)]
pub(crate) struct ClientKeys(Cache<(TenantId, Box<str>), Arc<Registered>>);

impl Default for ClientKeys {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl ClientKeys {
    /// The keys of this very registration: one that was read again from the store is parsed again.
    pub(crate) fn of(&self, tenant: TenantId, client: &Arc<LiveClient>) -> Arc<[AssertionKey]> {
        let key = (tenant, Box::from(client.client.client_id.as_str()));
        if let Some(registered) = self.0.get(&key)
            && Arc::ptr_eq(&registered.client, client)
        {
            return Arc::clone(&registered.keys);
        }
        let keys: Arc<[AssertionKey]> = client.client.jwks.iter().filter_map(parse).collect();
        self.0.insert(key, Arc::new(Registered { client: Arc::clone(client), keys: Arc::clone(&keys) }));
        keys
    }
}

/// A key that cannot be read verifies nothing.
pub(crate) fn parse(value: &serde_json::Value) -> Option<AssertionKey> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    Some(AssertionKey { algorithms: algorithms(&jwk), kid: jwk.common.key_id, decoding })
}

fn algorithms(jwk: &Jwk) -> Vec<Algorithm> {
    if let Some(alg) = jwk.common.key_algorithm {
        return Algorithm::parse(&alg.to_string()).into_iter().collect();
    }
    match jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(_) => vec![Algorithm::EdDSA],
        AlgorithmParameters::EllipticCurve(_) => vec![Algorithm::ES256],
        AlgorithmParameters::RSA(_) => vec![Algorithm::RS256, Algorithm::PS256],
        _ => Vec::new(),
    }
}
