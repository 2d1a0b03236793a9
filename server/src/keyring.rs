//! Parsed keys of the tenants in use: verifying keys from the snapshot, secret keys unlocked on first use.
//! Both are kept until the tenant in the snapshot is another generation.

use std::{collections::HashMap, sync::Arc};

use authly_model::{
    client::SecretHash,
    ids::TenantId,
    key::{Algorithm, KeyState, KeyUse},
    token::AccessClaims,
};
use authly_secrets::{
    ClientSecret, KekRing, SecretsError, SigningKeyRow, TAG_LENGTH, TagKind, TokenSigner, UnlockedTenant,
};
use authly_signed_url::{Kid, SigningKey};
use authly_store::{LiveKey, LiveTenant, Store, StoreError};
use jsonwebtoken::DecodingKey;
use quick_cache::sync::Cache;

use crate::issuer::Tenanted;

/// The most tenants whose keys are kept at once.
const CAPACITY: usize = 10_000;

/// Why keys are not to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error("the tenant has no active {0} key")]
    NoActiveKey(&'static str),
}

/// Keys by tenant.
#[derive(Debug)]
pub(crate) struct Keyrings {
    store: Store,
    kek: Arc<KekRing>,
    /// By the generation of the tenant that they were made from, so that a late unlock never replaces a newer one.
    secret: Cache<(TenantId, u64), Arc<Keyring>>,
    public: Cache<(TenantId, u64), Arc<Verifiers>>,
}

impl Keyrings {
    pub(crate) fn new(store: Store, kek: Arc<KekRing>) -> Self {
        Self { store, kek, secret: Cache::new(CAPACITY), public: Cache::new(CAPACITY) }
    }

    /// The tenant's secret keys.
    pub(crate) async fn of(&self, tenanted: &Tenanted) -> Result<Arc<Keyring>, KeyError> {
        let key = (tenanted.id(), tenanted.live().generation);
        if let Some(keyring) = self.secret.get(&key) {
            return Ok(keyring);
        }
        // One unlock at a time: the others wait for it. On the heap, so that a request that needs none is not as large.
        Box::pin(self.secret.get_or_insert_async(&key, async { self.unlock(tenanted).await.map(Arc::new) })).await
    }

    async fn unlock(&self, tenanted: &Tenanted) -> Result<Keyring, KeyError> {
        let wrapped = self.store.tenant_keys(tenanted.scope()).await?;
        let unlocked = UnlockedTenant::unlock(&self.kek, tenanted.id(), &wrapped)?;
        let privates = self.store.signing_private(tenanted.scope()).await?;
        // While the algorithm changes, the active key has still the old one.
        let active = |key_use, wanted: Algorithm| {
            let keys = tenanted.live().keys.iter();
            let active = keys.filter(|key| key.key_use == key_use && key.state == KeyState::Active);
            let key = active.min_by_key(|key| key.algorithm != wanted)?;
            let private = privates.iter().find(|row| row.kid == key.kid)?;
            let LiveKey { kid, algorithm, .. } = key;
            Some(SigningKeyRow { kid, key_use, algorithm: *algorithm, wrapped_private: &private.wrapped_private })
        };
        // A missing signing key stops signing only: secrets, tags and published keys still serve.
        let token = active(KeyUse::Token, tenanted.tenant().token_algorithm);
        let token = token.map(|row| unlocked.token_signer(&row)).transpose()?;
        let url = match active(KeyUse::Url, Algorithm::EdDSA) {
            Some(row) => {
                let kid = Kid::parse(row.kid).map_err(|_| KeyError::NoActiveKey("URL"))?;
                Some(UrlKey { kid, key: SigningKey::ed25519_seed(&*unlocked.url_seed(&row)?) })
            }
            None => None,
        };
        Ok(Keyring { unlocked, token, url })
    }

    /// The tenant's public keys.
    pub(crate) fn verifiers(&self, tenanted: &Tenanted) -> Arc<Verifiers> {
        let live = tenanted.live();
        let key = (tenanted.id(), live.generation);
        if let Some(verifiers) = self.public.get(&key) {
            return verifiers;
        }
        let verifiers = Arc::new(Verifiers::parse(live));
        self.public.insert(key, Arc::clone(&verifiers));
        verifiers
    }
}

/// A tenant's secret keys.
#[derive(Debug)]
pub(crate) struct Keyring {
    unlocked: UnlockedTenant,
    token: Option<TokenSigner>,
    url: Option<UrlKey>,
}

/// The active URL key.
#[derive(Debug)]
pub(crate) struct UrlKey {
    /// Its `kid`, as in the JWKS.
    pub(crate) kid: Kid,
    /// The key itself.
    pub(crate) key: SigningKey,
}

impl Keyring {
    /// Signs an access token.
    pub(crate) fn sign_token(&self, claims: &AccessClaims) -> Result<String, KeyError> {
        Ok(self.token.as_ref().ok_or(KeyError::NoActiveKey("token"))?.sign(claims)?)
    }

    /// The active URL key.
    pub(crate) fn url_key(&self) -> Result<&UrlKey, KeyError> {
        self.url.as_ref().ok_or(KeyError::NoActiveKey("URL"))
    }

    /// The tag of a client in signed-URL ids.
    pub(crate) fn client_tag(&self, client_id: &str) -> [u8; TAG_LENGTH] {
        self.unlocked.tag_key().tag(TagKind::Client, client_id)
    }

    /// The tag of a user in signed-URL ids.
    pub(crate) fn user_tag(&self, user_id: &str) -> [u8; TAG_LENGTH] {
        self.unlocked.tag_key().tag(TagKind::User, user_id)
    }

    /// Whether the secret is in one of the slots; each is compared in constant time. Without any slot, as for a client that
    /// does not exist, the same digest is made for nothing.
    pub(crate) fn check_secret(&self, secret: &ClientSecret, slots: &[SecretHash]) -> bool {
        if slots.is_empty() {
            std::hint::black_box(self.unlocked.hash_secret(secret).is_ok());
            return false;
        }
        self.unlocked.check_secret(secret, slots)
    }
}

/// A tenant's public keys, parsed.
#[derive(Debug)]
pub(crate) struct Verifiers(HashMap<(KeyUse, String), Verifier>);

/// One public key.
pub(crate) struct Verifier {
    /// The only algorithm it verifies.
    pub(crate) algorithm: Algorithm,
    /// The key for `jsonwebtoken`.
    pub(crate) decoding: DecodingKey,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl Verifiers {
    fn parse(live: &LiveTenant) -> Self {
        let parse = |key: &LiveKey| {
            let jwk = serde_json::from_value(key.public_jwk.clone()).ok()?;
            let decoding = DecodingKey::from_jwk(&jwk).ok()?;
            Some(((key.key_use, key.kid.clone()), Verifier { algorithm: key.algorithm, decoding }))
        };
        Self(live.keys.iter().filter(|key| key.state.verifies()).filter_map(parse).collect())
    }

    /// The key of this use and id.
    pub(crate) fn find(&self, key_use: KeyUse, kid: &str) -> Option<&Verifier> {
        self.0.get(&(key_use, kid.to_owned()))
    }
}
