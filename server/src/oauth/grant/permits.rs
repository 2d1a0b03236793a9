//! Grants that a tenant's policies permitted, so that the same grant to the same client costs a look-up in place of a decision.
//!
//! What decides about `issueToken` is the tenant's policies and what a permit is kept under, nothing else: neither time nor address
//! is in that context. Never keeps a denial.

use std::{borrow::Cow, sync::Arc};

use authly_model::{client::Client, token::AccessClaims};
use authly_runtime::{Proofs, Scope};

/// What a server may hold of them, in bytes: some 20,000.
const KEPT_BYTES: u64 = 8 * 1024 * 1024;

/// Permits by client, its namespace, scopes and audiences.
#[derive(Debug)]
pub(crate) struct Permits(Proofs<(), 4>);

impl Default for Permits {
    fn default() -> Self {
        Self(Proofs::new(KEPT_BYTES))
    }
}

impl Permits {
    /// Whether exactly these scopes and audiences were permitted to this client while the tenant's policies were the same.
    pub(crate) fn has(&self, scope: Scope, client: &Client, claims: &AccessClaims) -> bool {
        self.0.find(scope, texts(client, claims, &audiences(claims))).is_some()
    }

    /// Keeps what policies permitted.
    pub(crate) fn keep(&self, scope: Scope, client: &Client, claims: &AccessClaims) {
        self.0.keep(scope, texts(client, claims, &audiences(claims)), Arc::new(()), 0);
    }
}

/// Neither a scope (RFC 6749 section 3.3) nor a URI has a space in it, so that the joined text is of these alone.
fn audiences(claims: &AccessClaims) -> Cow<'_, str> {
    match claims.aud.first() {
        Some(only) if claims.aud.len() == 1 => Cow::Borrowed(only),
        _ => Cow::Owned(claims.aud.iter().map(String::as_str).collect::<Vec<_>>().join(" ")),
    }
}

fn texts<'a>(client: &'a Client, claims: &'a AccessClaims, audiences: &'a str) -> [&'a str; 4] {
    [&client.client_id, &client.object.namespace, &claims.scope, audiences]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use authly_model::{
        client::{AuthMethod, Client, ClientType},
        duration::Seconds,
        grant::Granted,
        ids::{ObjectName, TenantId},
        token::AccessClaims,
    };
    use uuid::Uuid;

    use super::Permits;

    fn client(namespace: &str, client_id: &str) -> Client {
        Client {
            object: ObjectName { namespace: namespace.to_owned(), name: "billing".to_owned() },
            client_id: client_id.to_owned(),
            client_type: ClientType::Service,
            auth_method: AuthMethod::ClientSecret,
            jwks: Vec::new(),
            redirect_uris: Vec::new(),
            scopes: BTreeSet::new(),
            audiences: BTreeSet::new(),
            access_token_lifetime: Seconds(60),
            suspended: false,
        }
    }

    fn claims(client: &Client, scopes: &[&str], audiences: &[&str]) -> AccessClaims {
        let set = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let granted = Granted { scopes: set(scopes), audiences: set(audiences) };
        AccessClaims::for_client("https://id.example", &client.client_id, &granted, (0, 60), String::new())
    }

    #[test]
    fn only_what_a_decision_reads_finds_a_permit() {
        let (permits, tenant) = (Permits::default(), TenantId(Uuid::from_u128(1)));
        let shop = client("shop", "shop.billing");
        let permitted = claims(&shop, &["read", "write"], &["https://a.example", "https://b.example"]);
        permits.keep((tenant, 1), &shop, &permitted);
        let later = AccessClaims { iat: 7, exp: 99, jti: "another".to_owned(), ..permitted.clone() };
        assert!(permits.has((tenant, 1), &shop, &later));
        assert!(!permits.has((tenant, 2), &shop, &permitted), "other policies");
        assert!(!permits.has((TenantId(Uuid::from_u128(2)), 1), &shop, &permitted), "another tenant");
        for (namespace, client_id) in [("bank", "shop.billing"), ("shop", "shop.other")] {
            let other = client(namespace, client_id);
            let claims = claims(&other, &["read", "write"], &["https://a.example", "https://b.example"]);
            assert!(!permits.has((tenant, 1), &other, &claims), "{namespace} {client_id}");
        }
        let sets: [(&[&str], &[&str]); 4] = [
            (&["read"], &["https://a.example", "https://b.example"]),
            (&["read", "write", "x"], &["https://a.example", "https://b.example"]),
            (&["read", "write"], &["https://a.example"]),
            (&[], &["https://a.example", "https://b.example", "https://c.example"]),
        ];
        for (scopes, audiences) in sets {
            assert!(!permits.has((tenant, 1), &shop, &claims(&shop, scopes, audiences)), "{scopes:?} {audiences:?}");
        }
    }
}
