//! Signs with a tenant's real keys what the product itself would never sign, so that only the rule under test refuses it.

use std::{path::Path, time::SystemTime};

use anyhow::Context;
use authly_model::{
    ids::TenantId,
    key::{Algorithm, KeyUse},
};
use authly_secrets::{Place, SigningKeyRow};
use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::audit;

/// How long what it signs lives, seconds.
const LIFETIME: i64 = 600;

/// A tenant's keys, taken out of the database with the platform key.
#[derive(Debug)]
pub struct Forge {
    /// The host that it signs for.
    pub host: String,
    /// The id of the URL key.
    pub kid: String,
    /// The id of the token key.
    pub token_kid: String,
    /// When it was made, Unix seconds.
    pub now: i64,
    url: Ed25519KeyPair,
    token: Ed25519KeyPair,
}

impl Forge {
    /// The keys of a tenant that signs with EdDSA; `kek` is the file of the platform key.
    pub async fn of(look: &mut PgConnection, tenant: &str, kek: &Path, host: &str) -> anyhow::Result<Self> {
        let id: Uuid = sqlx::query_scalar("select id from authly.tenant where name = $1")
            .bind(tenant)
            .fetch_one(&mut *look)
            .await?;
        let unlocked = audit::unlock(look, TenantId(id), kek).await?;
        let mut wrapped = async |key_use: &str| {
            let row = sqlx::query(
                "select k.kid, p.wrapped_private from authly.signing_key k join authly.signing_key_private p
                 using (tenant_id, kid) where k.tenant_id = $1 and k.key_use = $2 and k.state = 'active'
                 and k.algorithm = 'EdDSA'",
            );
            let row = row.bind(id).bind(key_use).fetch_one(&mut *look).await?;
            anyhow::Ok((row.get::<String, _>(0), row.get::<Vec<u8>, _>(1)))
        };
        let (kid, private) = wrapped(KeyUse::Url.as_str()).await?;
        let row =
            SigningKeyRow { kid: &kid, key_use: KeyUse::Url, algorithm: Algorithm::EdDSA, wrapped_private: &private };
        let url = Ed25519KeyPair::from_seed_unchecked(&*unlocked.url_seed(&row)?).ok().context("a seed")?;
        let (token_kid, private) = wrapped(KeyUse::Token.as_str()).await?;
        let row = format!("{}/{}/{token_kid}", KeyUse::Token.as_str(), Algorithm::EdDSA.as_str());
        let place = Place { tenant: TenantId(id), table: "signing_key", column: "wrapped_private", row: &row };
        let token =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(&unlocked.open(&place, &private)?).ok().context("a key")?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        Ok(Self { host: host.to_owned(), kid, token_kid, now: i64::try_from(now)?, url, token })
    }

    /// `sx-k` to `sx-i` of a link that was issued now and lives ten minutes, with an id of its own.
    pub fn params(&self) -> String {
        self.params_at(self.now, self.now + LIFETIME)
    }

    /// The same with these times.
    pub fn params_at(&self, issued: i64, expires: i64) -> String {
        format!("sx-k={}&sx-e={expires}&sx-i={}", self.kid, Self::id(issued))
    }

    /// An id with this issue time, without tags.
    pub fn id(issued: i64) -> String {
        let mut id = [0; 24];
        id[..4].copy_from_slice(&u32::try_from(issued).unwrap_or(u32::MAX).to_be_bytes());
        id[16..].copy_from_slice(&Uuid::new_v4().as_bytes()[..8]);
        URL_SAFE_NO_PAD.encode(id)
    }

    /// A good link to this path and query.
    pub fn link(&self, target: &str) -> String {
        self.link_with(target, "")
    }

    /// The same with more parameters, such as `&sx-c=u1`.
    pub fn link_with(&self, target: &str, more: &str) -> String {
        let separator = if target.contains('?') { '&' } else { '?' };
        self.sign(&format!("{target}{separator}{}{more}", self.params()))
    }

    /// A correct signature behind a target that ends in any parameters.
    pub fn sign(&self, before: &str) -> String {
        self.sign_for(&self.host, before)
    }

    /// The same for another host.
    pub fn sign_for(&self, host: &str, before: &str) -> String {
        format!("{before}&sx-s={}", self.signature(&format!("sx1\n{host}\n{before}")))
    }

    /// A token for a prefix, with parameters that end in the prefix's length.
    pub fn token(&self, prefix: &str) -> String {
        self.token_with(prefix, &format!("{}&sx-p={}", self.params(), prefix.len()))
    }

    /// The same with any parameters.
    pub fn token_with(&self, prefix: &str, params: &str) -> String {
        let signature = self.signature(&format!("sx1p\n{}\n{prefix}\n{params}", self.host));
        format!("{}.{signature}", URL_SAFE_NO_PAD.encode(params))
    }

    /// The URL key's signature.
    pub fn signature(&self, message: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.url.sign(message.as_bytes()))
    }

    /// The token key's signature.
    pub fn token_signature(&self, message: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.token.sign(message.as_bytes()))
    }

    /// HMAC-SHA-256 under the URL key's public half, which everyone knows.
    pub fn confused_signature(&self, message: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.url.public_key().as_ref());
        URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()))
    }
}
