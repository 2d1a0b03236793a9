//! The CEL rules of SignedUrlRoute.

use authly_crds::SignedUrlRouteSpec;
use authly_model::{
    duration::Seconds,
    route::{DEFAULT_MAX_TTL, MAX_TTL},
};

use super::{Violation, between, no_default_port};

pub(super) fn check(new: &SignedUrlRouteSpec, found: &mut Vec<Violation>) {
    no_default_port(&new.hosts, "spec.hosts", found);
    let prefix = &new.path_prefix;
    if prefix.contains("/./") || prefix.contains("/../") {
        found.push(Violation::new("spec.pathPrefix", "leave out the segments . and .."));
    }
    if prefix.starts_with("/~sx/") {
        found.push(Violation::new("spec.pathPrefix", "/~sx/ is reserved for prefix tokens"));
    }
    between(new.max_ttl.as_ref(), 1, MAX_TTL.0, "spec.maxTtl", found);
    between(new.default_ttl.as_ref(), 1, MAX_TTL.0, "spec.defaultTtl", found);
    let seconds = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<Seconds>().ok());
    if seconds(&new.default_ttl).is_some_and(|default| default > seconds(&new.max_ttl).unwrap_or(DEFAULT_MAX_TTL)) {
        let message = "defaultTtl is at most maxTtl, which is 24h where it is not set";
        found.push(Violation::new("spec.defaultTtl", message));
    }
}
