//! Verifying keys, parsed once per tenant and kept until the tenant is another generation.

use std::{collections::HashMap, sync::Arc};

use authly_model::{ids::TenantId, key::KeyUse};
use authly_signed_url::{Kid, VerifyingKey};
use authly_store::{LiveKey, LiveTenant};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use quick_cache::sync::Cache;

/// The most tenants whose keys are kept at once.
const CAPACITY: usize = 10_000;

/// The keys of one tenant.
pub(crate) type Parsed = Arc<HashMap<Kid, VerifyingKey>>;

/// Keys by tenant.
#[derive(Debug)]
pub(crate) struct Keys(Cache<(TenantId, u64), Parsed>);

impl Default for Keys {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl Keys {
    /// The URL keys of a tenant. Token keys are not among them, so a token key never verifies a URL.
    pub(crate) fn of(&self, tenant: &LiveTenant) -> Parsed {
        let key = (tenant.id, tenant.generation);
        if let Some(parsed) = self.0.get(&key) {
            return parsed;
        }
        let keys = tenant.keys.iter().filter(|key| key.key_use == KeyUse::Url && key.state.verifies());
        let parsed: Parsed = Arc::new(keys.filter_map(parse).collect());
        self.0.insert(key, Arc::clone(&parsed));
        parsed
    }
}

/// An Ed25519 public key from its JWK (RFC 8037 section 2).
fn parse(key: &LiveKey) -> Option<(Kid, VerifyingKey)> {
    let x = URL_SAFE_NO_PAD.decode(key.public_jwk.get("x")?.as_str()?).ok()?;
    let verifying = VerifyingKey::ed25519(&<[u8; 32]>::try_from(x).ok()?).ok()?;
    Some((Kid::parse(&key.kid).ok()?, verifying))
}
