//! The Tenant itself: defaults, what never changes, and what only one tenant of a database may have (rules 2, 9, 10).

use authly_crds as crds;
use authly_model::{
    duration::Seconds,
    ids::TenantId,
    key::Algorithm,
    rotation::KeyPolicy,
    tenant::{DEFAULT_ACCESS_TOKEN_LIFETIME, DEFAULT_PURGE_AFTER, DeletionPolicy, Tenant},
};
use jiff::Timestamp;

use crate::{
    claims::{StoredTenant, TenantOwner},
    defaults,
    object::created,
    verdict::{Effective, Reason, Refusal, Verdict},
    world::{Claim, Entry, World, issuer_of},
};

/// The longest issuer.
const MAX_ISSUER: usize = 255;

pub(super) fn resolve(
    world: &World,
    entry: &Entry<crds::Tenant>,
    stored: Option<&StoredTenant>,
) -> (Result<Tenant, Refusal>, Verdict) {
    let declared = entry.object.spec.tenant_id.clone();
    let tenant_id = stored.map(|stored| stored.id.to_string()).or(declared);
    match check(world, entry, stored) {
        Ok(tenant) => {
            let effective = Effective { tenant_id, issuer: Some(tenant.issuer.clone()), ..Effective::default() };
            (Ok(tenant), Verdict::accepted(effective))
        }
        Err(refusal) => (Err(refusal.clone()), Verdict::refused(refusal, Effective::default())),
    }
}

fn check(world: &World, entry: &Entry<crds::Tenant>, stored: Option<&StoredTenant>) -> Result<Tenant, Refusal> {
    if let Some(first) = entry.violations.first() {
        return Err(Refusal::new(Reason::Invalid, &first.field, first.to_string()));
    }
    let tenant = tenant(&entry.object, &world.issuer_base);
    if tenant.issuer.len() > MAX_ISSUER {
        let message = format!("the issuer `{}` is longer than {MAX_ISSUER} characters: set spec.issuer", tenant.issuer);
        return Err(Refusal::new(Reason::Invalid, "metadata.name", message));
    }
    if let Some(stored) = stored {
        unchanged(&entry.object, &tenant, stored)?;
    }
    let own = Claimant { world, name: &tenant.name };
    own.check(&Claim::Issuer(tenant.issuer.clone()), Reason::IssuerConflict, "spec.issuer")?;
    if let Some(id) = &entry.object.spec.tenant_id {
        own.check(&Claim::Id(id.clone()), Reason::TenantIdConflict, "spec.tenantId")?;
    }
    for (i, host) in entry.object.spec.url_hosts.iter().enumerate() {
        own.check(&Claim::Host(host.clone()), Reason::HostConflict, &format!("spec.urlHosts[{i}]"))?;
    }
    Ok(tenant)
}

fn tenant(object: &crds::Tenant, issuer_base: &str) -> Tenant {
    let spec = &object.spec;
    let name = object.metadata.name.clone().unwrap_or_default();
    let lifetime = spec.tokens.as_ref().and_then(|tokens| tokens.access_token_lifetime.as_ref());
    Tenant {
        installation: installation(object).to_owned(),
        display_name: spec.display_name.clone().unwrap_or_else(|| name.clone()),
        issuer: issuer_of(object, issuer_base),
        url_hosts: spec.url_hosts.iter().cloned().collect(),
        token_algorithm: algorithm(spec.signing_keys.as_ref().and_then(|keys| keys.algorithm)),
        key_policy: spec.signing_keys.as_ref().map(key_policy).unwrap_or_default(),
        access_token_lifetime: lifetime.and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_ACCESS_TOKEN_LIFETIME),
        suspended: spec.suspend.unwrap_or(false),
        legal_hold: spec.legal_hold.unwrap_or(false),
        deletion: deletion(spec),
        purge_after: spec.purge_after.as_ref().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_PURGE_AFTER),
        name,
    }
}

/// The installation that serves it.
pub(super) fn installation(object: &crds::Tenant) -> &str {
    object.spec.installation.as_deref().unwrap_or(defaults::INSTALLATION)
}

/// What deleting it does.
pub(super) fn deletion(spec: &crds::TenantSpec) -> DeletionPolicy {
    match spec.deletion_policy {
        Some(crds::DeletionPolicy::Delete) => DeletionPolicy::Delete,
        Some(crds::DeletionPolicy::Retain) | None => DeletionPolicy::Retain,
    }
}

/// The id that it declares.
pub(super) fn id(text: &str) -> Option<TenantId> {
    text.parse().ok().map(TenantId)
}

fn algorithm(declared: Option<crds::SigningAlgorithm>) -> Algorithm {
    match declared {
        None | Some(crds::SigningAlgorithm::EdDSA) => Algorithm::EdDSA,
        Some(crds::SigningAlgorithm::ES256) => Algorithm::ES256,
        Some(crds::SigningAlgorithm::RS256) => Algorithm::RS256,
        Some(crds::SigningAlgorithm::PS256) => Algorithm::PS256,
    }
}

fn key_policy(declared: &crds::SigningKeys) -> KeyPolicy {
    let default = KeyPolicy::default();
    KeyPolicy {
        rotate_every: declared.rotate_every.as_ref().and_then(|text| text.parse().ok()),
        overlap: seconds(declared.overlap.as_ref(), default.overlap),
        revoked: declared.revoked.iter().cloned().collect(),
    }
}

fn unchanged(object: &crds::Tenant, tenant: &Tenant, stored: &StoredTenant) -> Result<(), Refusal> {
    if tenant.issuer != stored.issuer {
        let message = format!(
            "the tenant's issuer is `{}`, tokens carry it: set spec.issuer to it (without spec.issuer it would be `{}`)",
            stored.issuer, tenant.issuer
        );
        return Err(Refusal::new(Reason::IssuerImmutable, "spec.issuer", message));
    }
    if object.spec.tenant_id.as_deref().and_then(id).is_some_and(|id| id != stored.id) {
        let message = format!("the tenant's id is `{}`: set spec.tenantId to it, or leave it out", stored.id);
        return Err(Refusal::new(Reason::TenantIdImmutable, "spec.tenantId", message));
    }
    Ok(())
}

/// A Tenant that wants what only one may have.
struct Claimant<'a> {
    world: &'a World,
    name: &'a str,
}

impl Claimant<'_> {
    fn check(&self, claim: &Claim, reason: Reason, field: &str) -> Result<(), Refusal> {
        let (what, text) = match claim {
            Claim::Host(text) => ("host", text),
            Claim::Issuer(text) => ("issuer", text),
            Claim::Id(text) => ("tenant id", text),
        };
        let Some(holder) = self.holder(claim) else { return Ok(()) };
        let message = format!("the {what} `{text}` belongs to {holder}: use another one, or remove it there first");
        Err(Refusal::new(reason, field, message))
    }

    /// Who has it instead: the tenant in Postgres, else the senior of those that declare it.
    fn holder(&self, claim: &Claim) -> Option<String> {
        let claims = &self.world.claims;
        let stored = match claim {
            Claim::Host(host) => claims.hosts.get(host),
            Claim::Issuer(issuer) => claims.issuers.get(issuer),
            Claim::Id(text) => id(text).and_then(|id| claims.tenant_ids.get(&id)),
        };
        if let Some(TenantOwner { installation, name }) = stored {
            let own = *installation == self.world.installation;
            return match (own, name == self.name) {
                (true, true) => None,
                (true, false) => Some(format!("Tenant `{name}`")),
                (false, _) => Some("a tenant of another installation".to_owned()),
            };
        }
        let holders = self.world.wanted.get(claim)?.iter();
        let senior = holders.filter_map(|name| self.rank(name)).min()?.1;
        (senior != self.name).then(|| format!("Tenant `{senior}`"))
    }

    /// The age and name of a Tenant of this installation that could be accepted.
    fn rank<'n>(&self, name: &'n str) -> Option<(Option<Timestamp>, &'n str)> {
        let entry = self.world.tenants.get(name)?;
        let counts = entry.violations.is_empty()
            && !super::is_deleting(&entry.object.metadata)
            && installation(&entry.object) == self.world.installation;
        counts.then(|| (created(&entry.object.metadata), name))
    }
}

/// A duration that admission has seen, or else the default.
pub(super) fn seconds(text: Option<&String>, default: Seconds) -> Seconds {
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}
