//! A tenant as `desired` resolved it: every default is filled in.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{duration::Seconds, key::Algorithm, rotation::KeyPolicy};

/// The access-token lifetime where neither Tenant nor OAuthClient says otherwise.
pub const DEFAULT_ACCESS_TOKEN_LIFETIME: Seconds = Seconds(600);
/// The longest access-token lifetime that a manifest may ask for.
pub const MAX_ACCESS_TOKEN_LIFETIME: Seconds = Seconds(86_400);

/// How long a tombstoned tenant keeps its keys where its manifest does not say.
pub const DEFAULT_PURGE_AFTER: Seconds = Seconds(30 * 86_400);

/// The effective configuration of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// `metadata.name`.
    pub name: String,
    /// The installation that owns it.
    pub installation: String,
    /// A name for people.
    pub display_name: String,
    /// The issuer, exactly as tokens carry it: a URL without trailing slash, query or fragment. Immutable once stored.
    pub issuer: String,
    /// The hosts that its signed-URL routes may use, `host` or `host:port`, lower case.
    pub url_hosts: BTreeSet<String>,
    /// The algorithm of access tokens.
    pub token_algorithm: Algorithm,
    /// How its signing keys rotate.
    #[serde(default, skip_serializing_if = "KeyPolicy::is_default")]
    pub key_policy: KeyPolicy,
    /// The lifetime of access tokens.
    pub access_token_lifetime: Seconds,
    /// True stops all service: no token, no signature, no redemption.
    pub suspended: bool,
    /// True holds back every retention job.
    pub legal_hold: bool,
    /// What deleting the manifest does.
    pub deletion: DeletionPolicy,
    /// How long after a tombstone its keys are destroyed.
    #[serde(default = "default_purge_after")]
    pub purge_after: Seconds,
}

/// For a tenant that was stored by a version that did not know the field.
const fn default_purge_after() -> Seconds {
    DEFAULT_PURGE_AFTER
}

impl Tenant {
    /// Whether a tenant that was tombstoned then may be purged now. A legal hold keeps it, however old the tombstone is.
    #[must_use]
    pub fn is_purge_due(&self, tombstoned_at: Timestamp, now: Timestamp) -> bool {
        !self.legal_hold && now.duration_since(tombstoned_at).as_secs() >= self.purge_after.0
    }

    /// What stays of it when it is purged: nothing that says whose it was.
    #[must_use]
    pub fn purged(&self, name: String) -> Self {
        Self {
            name,
            display_name: String::new(),
            issuer: String::new(),
            url_hosts: BTreeSet::new(),
            suspended: true,
            ..self.clone()
        }
    }
}

/// What deleting the Tenant manifest does (operator.md, rule 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeletionPolicy {
    /// Keeps serving; the same manifest adopts it again.
    Retain,
    /// A tombstone stops service at once; the same manifest restores it.
    Delete,
}

/// The role of a namespace in a tenant (operator.md, rule 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Own clients, routes and guarded policies.
    Member,
    /// Also tenant-wide policies and retention.
    Owner,
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_PURGE_AFTER, DeletionPolicy, Tenant};
    use crate::{duration::Seconds, key::Algorithm, rotation::KeyPolicy};
    use jiff::Timestamp;

    fn tenant() -> Tenant {
        Tenant {
            name: "acme".into(),
            installation: "default".into(),
            display_name: "Acme".into(),
            issuer: "https://id.example/t/acme".into(),
            url_hosts: ["files.acme.example".to_owned()].into(),
            token_algorithm: Algorithm::EdDSA,
            key_policy: KeyPolicy::default(),
            access_token_lifetime: Seconds(600),
            suspended: false,
            legal_hold: false,
            deletion: DeletionPolicy::Delete,
            purge_after: Seconds(60),
        }
    }

    #[test]
    fn a_purge_is_due_once_the_period_has_passed_and_never_under_a_legal_hold() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut tenant = tenant();
        assert!(!tenant.is_purge_due(at(1000), at(1059)));
        assert!(tenant.is_purge_due(at(1000), at(1060)));
        assert!(!tenant.is_purge_due(at(1000), at(0)), "a clock that went back purges nothing");
        tenant.legal_hold = true;
        assert!(!tenant.is_purge_due(at(1000), at(1_000_000)));
    }

    #[test]
    fn a_purged_tenant_can_still_be_read_and_says_nothing() {
        let text = serde_json::to_string(&tenant().purged("purged-1".into())).unwrap();
        assert!(!text.to_lowercase().contains("acme"), "{text}");
        assert!(serde_json::from_str::<Tenant>(&text).is_ok());
        let mut old = serde_json::to_value(tenant()).unwrap();
        old.as_object_mut().unwrap().remove("purge_after");
        assert_eq!(serde_json::from_value::<Tenant>(old).unwrap().purge_after, DEFAULT_PURGE_AFTER);
    }
}
