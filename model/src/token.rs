//! JWT access tokens (RFC 9068): claims and the rules that make and read them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::grant::Granted;

/// The `typ` header of an access token (RFC 9068 section 2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// The claims of an access token (RFC 9068 section 2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The issuer, exactly as the tenant's metadata spells it.
    pub iss: String,
    /// The subject: for client credentials the client itself.
    pub sub: String,
    /// The audience: a string for one, an array for several (RFC 7519 section 4.1.3).
    #[serde(with = "one_or_many")]
    pub aud: BTreeSet<String>,
    /// The client.
    pub client_id: String,
    /// Issued at, Unix seconds.
    pub iat: i64,
    /// Expires at, Unix seconds.
    pub exp: i64,
    /// 128 random bits, base64url; the key of revocation.
    pub jti: String,
    /// Space-separated scopes; absent if none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
}

impl AccessClaims {
    /// The claims of a client-credentials token.
    #[must_use]
    pub fn for_client(issuer: &str, client_id: &str, granted: &Granted, lifetime: (i64, i64), jti: String) -> Self {
        Self {
            iss: issuer.to_owned(),
            sub: client_id.to_owned(),
            aud: granted.audiences.clone(),
            client_id: client_id.to_owned(),
            iat: lifetime.0,
            exp: lifetime.1,
            jti,
            scope: granted.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
        }
    }

    /// Whether the token carries the scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|s| s == scope)
    }
}

mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeSet;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(BTreeSet<String>),
    }

    pub(super) fn serialize<S: Serializer>(set: &BTreeSet<String>, serializer: S) -> Result<S::Ok, S::Error> {
        match set.first() {
            Some(only) if set.len() == 1 => only.serialize(serializer),
            _ => set.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(only) => BTreeSet::from([only]),
            OneOrMany::Many(set) => set,
        })
    }
}
