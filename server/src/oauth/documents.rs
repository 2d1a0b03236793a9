//! What the public may read of a tenant, as it goes over the wire: key sets and metadata, written once while the tenant's
//! configuration stays the same. Never decides what is published: `jwks.rs` and `metadata.rs` do.

use std::sync::Arc;

use authly_model::{duration::Seconds, ids::TenantId};
use authly_store::LiveTenant;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use quick_cache::{Weighter, sync::Cache};
use serde::Serialize;

use super::{jwks, metadata};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The most bytes kept: the documents of some 10,000 tenants.
const KEPT_BYTES: u64 = 32 * 1024 * 1024;
/// What is assumed of a tenant when places are set aside, and what an entry costs besides its texts.
const USUAL: usize = 3 * 1024;
const ENTRY: usize = 256;

/// The documents of a tenant.
#[derive(Debug)]
pub(crate) struct Published {
    /// Keys of access tokens.
    pub(crate) token_keys: Bytes,
    /// Keys of signed URLs.
    pub(crate) url_keys: Bytes,
    /// Authorization server metadata.
    pub(crate) metadata: Bytes,
}

impl Published {
    fn of(live: &LiveTenant) -> Result<Self, serde_json::Error> {
        let (token_keys, url_keys) = jwks::key_sets(live);
        Ok(Self { token_keys: json(&token_keys)?, url_keys: json(&url_keys)?, metadata: json(&metadata::of(live))? })
    }

    fn length(&self) -> usize {
        self.token_keys.len() + self.url_keys.len() + self.metadata.len()
    }
}

fn json(document: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    serde_json::to_vec(document).map(Bytes::from)
}

#[derive(Debug, Clone)]
struct Length;

impl<K> Weighter<K, Arc<Published>> for Length {
    fn weight(&self, _: &K, published: &Arc<Published>) -> u64 {
        (ENTRY + published.length()) as u64
    }
}

/// Documents by tenant and its generation in the snapshot.
#[derive(Debug)]
pub(crate) struct Documents {
    kept: Cache<(TenantId, u64), Arc<Published>, Length>,
    /// How long a verifier may keep them. Rotation waits twice this long (DESIGN.md, "Keys").
    cache_control: HeaderValue,
}

impl Documents {
    /// Documents that a verifier may keep for `max_age`.
    pub(crate) fn new(max_age: Seconds) -> Self {
        let kept = Cache::with_weighter(KEPT_BYTES as usize / USUAL, KEPT_BYTES, Length);
        let text = format!("public, max-age={}", max_age.0);
        let cache_control = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("no-store"));
        Self { kept, cache_control }
    }

    /// The documents of a tenant.
    pub(crate) fn of(&self, live: &LiveTenant) -> Result<Arc<Published>, serde_json::Error> {
        let key = (live.id, live.generation);
        if let Some(published) = self.kept.get(&key) {
            return Ok(published);
        }
        let published = Arc::new(Published::of(live)?);
        self.kept.insert(key, Arc::clone(&published));
        Ok(published)
    }

    /// The answer with one of them.
    pub(crate) fn answer(&self, document: Bytes) -> Response {
        ([(header::CONTENT_TYPE, JSON), (header::CACHE_CONTROL, self.cache_control.clone())], document).into_response()
    }
}
