//! The CEL rules of Tenant.

use authly_crds::TenantSpec;
use authly_model::tenant::MAX_ACCESS_TOKEN_LIFETIME;

use super::{Violation, between, metadata, no_default_port};
use crate::defaults::{
    INSTALLATION, MAX_SIGNING_KEY_OVERLAP, MIN_ACCESS_TOKEN_LIFETIME, PURGE_AFTER, SIGNING_KEY_PERIOD,
};

pub(super) fn check(old: Option<&TenantSpec>, new: &TenantSpec, found: &mut Vec<Violation>) {
    no_default_port(&new.url_hosts, "spec.urlHosts", found);
    for (i, allowed) in new.allowed_namespaces.iter().enumerate() {
        let field = format!("spec.allowedNamespaces[{i}]");
        if allowed.name.is_some() == allowed.selector.is_some() {
            found.push(Violation::new(&field, "set exactly one of name and selector"));
        }
        let labels = allowed.selector.iter().flat_map(|selector| selector.match_labels.keys());
        if !labels.clone().all(|key| metadata::is_template_key(key)) {
            found.push(Violation::new(format!("{field}.selector.matchLabels"), metadata::KEY));
        }
    }
    let lifetime = new.tokens.as_ref().and_then(|tokens| tokens.access_token_lifetime.as_ref());
    let (min, max) = (MIN_ACCESS_TOKEN_LIFETIME.0, MAX_ACCESS_TOKEN_LIFETIME.0);
    between(lifetime, min, max, "spec.tokens.accessTokenLifetime", found);
    let [min, max] = PURGE_AFTER.map(|seconds| seconds.0);
    between(new.purge_after.as_ref(), min, max, "spec.purgeAfter", found);
    let (keys, [min, max]) = (new.signing_keys.as_ref(), SIGNING_KEY_PERIOD.map(|seconds| seconds.0));
    between(keys.and_then(|keys| keys.rotate_every.as_ref()), min, max, "spec.signingKeys.rotateEvery", found);
    let max = MAX_SIGNING_KEY_OVERLAP.0;
    between(keys.and_then(|keys| keys.overlap.as_ref()), 0, max, "spec.signingKeys.overlap", found);
    if let Some(old) = old {
        check_transition(old, new, found);
    }
}

fn check_transition(old: &TenantSpec, new: &TenantSpec, found: &mut Vec<Violation>) {
    if old.tenant_id.is_some() && old.tenant_id != new.tenant_id {
        found.push(Violation::new("spec.tenantId", "tenantId is immutable once set"));
    }
    if old.issuer.is_some() && old.issuer != new.issuer {
        found.push(Violation::new("spec.issuer", "issuer is immutable once set: its tokens carry it"));
    }
    let installation = |spec: &TenantSpec| spec.installation.clone().unwrap_or_else(|| INSTALLATION.to_owned());
    if installation(old) != installation(new) {
        found.push(Violation::new("spec.installation", "installation is immutable"));
    }
}
