//! What is known of an object, from its verdict and from what was last said of it; and the status that says so.

use authly_desired::{Effective, Reason, Verdict};
use authly_model::ids::Kind;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    condition::{self, Facts},
    index::Entry,
    programmed::Failing,
    retention, rotation, signing,
};

/// The field of status that echoes the request of a reconcile.
pub(super) const RECONCILED: &str = "reconcileRequestedAt";
/// The fields of status that come from [`Effective`].
const FIELDS: [&str; 11] =
    ["tenantId", "issuer", "clientId", "secretName", "host", "path", "maxTtl", "defaultTtl", "mode", "tests", "target"];

/// The status that an object should have; `None` while nothing is known of it.
pub(super) fn said(entry: &Entry, seen: &Value, now: Timestamp) -> Option<Value> {
    match (&entry.paused, &entry.facts) {
        (Some(why), _) => Some(condition::paused(seen, why, entry.generation, now)),
        (None, Some(facts)) => Some(condition::status(facts, seen, now)),
        (None, None) => None,
    }
}

/// Whether it has been said that the object's Tenant is missing, by this operator or one of another installation. Without a
/// Tenant the object is nobody's: if each said it in its own words, they would take turns for ever.
pub(super) fn is_known_orphan(facts: &Facts, seen: &Value) -> bool {
    let orphan = Reason::TenantNotFound.as_str();
    facts.accepted.as_ref().err().is_some_and(|failing| failing.reason == orphan)
        && seen.get("observedGeneration").and_then(Value::as_i64) == Some(facts.generation)
        && condition::ready(seen).is_some_and(|(ready, reason, _)| !ready && reason == orphan)
}

/// What is known of an object that was resolved.
pub(super) fn facts(entry: &Entry, verdict: &Verdict, programmed: Result<(), Failing>) -> Facts {
    let failing = |result: &Result<(), authly_desired::Refusal>| {
        result.clone().map_err(|refusal| Failing::new(refusal.reason.as_str(), refusal.message))
    };
    let seen = entry.seen.value();
    let credentials = match (&entry.credentials.client_id, &entry.credentials.outcome) {
        (None, _) => Ok(()),
        (Some(_), outcome) => outcome.clone().unwrap_or_else(|| credentials_before(&seen)),
    };
    let mut fields = fields(&verdict.effective);
    if verdict.accepted.is_err() {
        let mut kept = seen_fields(&seen);
        kept.append(&mut fields);
        fields = kept;
    }
    let reconciled = entry.reconciled.as_deref().or_else(|| seen.get(RECONCILED)?.as_str());
    fields.extend(reconciled.map(|reconciled| (RECONCILED.to_owned(), reconciled.into())));
    let shown = rotation::shown(entry.target.object.kind, entry.credentials.shown.as_ref(), &seen);
    if entry.target.object.kind == Kind::OAuthClient {
        shown.put(&mut fields);
    }
    if entry.target.object.kind == Kind::RetentionPolicy
        && let Some(runs) = entry.runs.as_ref().or_else(|| seen.get(retention::FIELD))
    {
        retention::put(&mut fields, runs.clone());
    }
    Facts {
        generation: entry.generation,
        accepted: failing(&verdict.accepted),
        resolved: failing(&verdict.resolved_refs),
        stored: Ok(()),
        programmed,
        credentials,
        rotation: shown.rotation(),
        stalled: verdict.stalled,
        revision: entry.carried.as_ref().map(|carried| carried.shown.clone()),
        fields,
    }
}

/// What was last said of a client's credentials: it holds until the first visit, so that a restart writes nothing.
fn credentials_before(seen: &Value) -> Result<(), Failing> {
    match condition::ready(seen) {
        Some((true, ..)) => Ok(()),
        Some((false, reason, message)) if reason.starts_with("Secret") => Err(Failing::new(reason, message)),
        _ => Err(Failing::new("SecretPending", "its Secret is being written")),
    }
}

fn fields(effective: &Effective) -> Map<String, Value> {
    let values = [
        &effective.tenant_id,
        &effective.issuer,
        &effective.client_id,
        &effective.secret_name,
        &effective.host,
        &effective.path,
        &effective.max_ttl,
        &effective.default_ttl,
        &effective.mode,
        &effective.tests,
        &effective.target,
    ];
    let pairs = FIELDS.into_iter().zip(values);
    pairs.filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into()))).collect()
}

/// After a refusal the last values still hold.
pub(super) fn seen_fields(seen: &Value) -> Map<String, Value> {
    let names = FIELDS.into_iter().chain(signing::FIELDS).chain(rotation::FIELDS).chain([RECONCILED]);
    names.filter_map(|name| Some((name.to_owned(), seen.get(name)?.clone()))).collect()
}
