//! The decision, in the order that leaks least and costs least: form → tenant → route → key → signature → time →
//! method → network → revocation → policy → use. Everything before the last step is in memory; the last one waits
//! for a durable commit. Denied in doubt.

use std::{sync::Arc, time::Duration};

use authly_model::{
    audit::EventKind,
    route::{Revocation, Route},
};
use authly_policies::{Redeem, Request, WhoRef};
use authly_signed_url::{Constraints, Host, PATH_MARKER, Refusal, VerifiedUrl, Who, parse_unverified};
use authly_store::{Actor, LiveTenant, UrlFacts, UseRequest};
use jiff::Timestamp;
use serde_json::json;

use crate::{answer::Refused, app::Gateway, presented::Presented};

/// How old the revocations may be for a route with `revocation: High`.
const MAX_STALENESS_HIGH: Duration = Duration::from_secs(1);
/// How old they may be for any other route (DESIGN.md, "When things break").
const MAX_STALENESS: Duration = Duration::from_secs(15 * 60);

/// A request that may go on.
#[derive(Debug)]
pub(crate) struct Redeemed {
    /// The route.
    pub(crate) route: Arc<Route>,
    /// The target for the backend, without `sx-*`.
    pub(crate) target: String,
    /// Whether the answer is not for everyone with the link at all times (counted, or bound to a network), so that no
    /// shared cache may keep it.
    pub(crate) private: bool,
}

/// Judges what a request presents. Every refusal with a known tenant leaves an audit record.
///
/// `proxied` says that this gateway will forward the request itself: then a route without a backend is refused before
/// a use is spent.
pub(crate) async fn redeem(gateway: &Gateway, presented: &Presented, proxied: bool) -> Result<Redeemed, Refused> {
    if !gateway.live.is_ready() {
        return Err(Refused::Unavailable);
    }
    let snapshot = gateway.live.snapshot();
    let host = Host::parse(&presented.host)?;
    let tenant = snapshot.tenant_by_host(host.as_str()).ok_or(Refused::NoRoute)?;
    let mut facts = Facts::default();
    let outcome = match tenant.is_serving() {
        true => judge(gateway, presented, &host, tenant, (proxied, &mut facts)).await,
        false => Err(Refused::TenantSuspended),
    };
    match &outcome {
        Ok(redeemed) => {
            let route = redeemed.route.object.to_string();
            gateway.committer.count(&tenant.scope(Actor::Bearer), EventKind::Redeemed, &route);
        }
        Err(refused) => {
            let payload = json!({
                "reason": refused.reason(), "method": presented.method.get(..16).unwrap_or(&presented.method),
                "route": facts.route, "id": facts.id,
            });
            gateway.committer.spool(&tenant.scope(Actor::Bearer), EventKind::RedeemDenied, payload);
        }
    }
    outcome
}

/// What is known of a URL by the time it is refused, for the audit record. The id only once the signature is verified.
#[derive(Debug, Default)]
struct Facts {
    route: Option<String>,
    id: Option<String>,
}

async fn judge(
    gateway: &Gateway,
    presented: &Presented,
    host: &Host,
    tenant: &LiveTenant,
    (proxied, facts): (bool, &mut Facts),
) -> Result<Redeemed, Refused> {
    if presented.target.starts_with(PATH_MARKER) {
        return Err(Refused::ConstraintUnsupported);
    }
    let unverified = parse_unverified(host, &presented.target)?;
    let path = presented.path();
    let route = tenant.route(host.as_str(), path).ok_or(Refused::NoRoute)?;
    facts.route = Some(route.object.to_string());
    let keys = gateway.keys.of(tenant);
    let key = keys.get(&unverified.kid()).ok_or(Refusal::UnknownKey)?;
    let url = unverified.verify(key)?;
    facts.id = Some(url.claims().id.to_string());
    check_url(gateway, presented, route, &url)?;
    check_revocation(gateway, tenant, route, &url)?;
    check_policy(gateway, presented, tenant, route, &url)?;
    if proxied && route.backend.is_none() {
        return Err(Refused::NoBackend);
    }
    let constraints = &url.claims().constraints;
    if constraints.uses.is_some() {
        // What a restored database may have forgotten to count is not redeemed again (DESIGN.md, "Restore and failover").
        if i64::from(url.claims().id.issued_at) < tenant.store_epoch {
            return Err(Refused::Revoked);
        }
        spend(gateway, presented, tenant, route, &url).await?;
        // The commit was waited for: a revocation that came meanwhile counts.
        check_revocation(gateway, tenant, route, &url)?;
    }
    let private = constraints.uses.is_some() || constraints.network.is_some();
    Ok(Redeemed { route: Arc::clone(route), target: url.stripped_target().to_owned(), private })
}

/// Time, lifetime, method, network; and nothing that this gateway does not enforce.
fn check_url(gateway: &Gateway, presented: &Presented, route: &Route, url: &VerifiedUrl<'_>) -> Result<(), Refused> {
    let constraints = &url.claims().constraints;
    let enforced = Constraints { uses: constraints.uses, network: constraints.network, ..Constraints::default() };
    if *constraints != enforced {
        return Err(Refused::ConstraintUnsupported);
    }
    url.check_time(gateway.clock.unix(), route.max_ttl.0)?;
    url.check_method(&presented.method)?;
    // A route that was narrowed after signing wins over the signature.
    let allowed =
        route.methods.contains(&presented.method) || (presented.method == "HEAD" && route.methods.contains("GET"));
    if !allowed {
        return Err(Refusal::MethodNotSigned.into());
    }
    url.check_network(presented.address)?;
    Ok(())
}

fn check_revocation(
    gateway: &Gateway,
    tenant: &LiveTenant,
    route: &Route,
    url: &VerifiedUrl<'_>,
) -> Result<(), Refused> {
    let limit = match route.revocation {
        Revocation::High => MAX_STALENESS_HIGH,
        Revocation::Normal => MAX_STALENESS,
    };
    if gateway.live.staleness() > limit {
        return Err(Refused::Unavailable);
    }
    let claims = url.claims();
    let (id, kid) = (claims.id.to_bytes(), claims.kid.to_string());
    let facts = UrlFacts { id: &id, kid: &kid, route: &route.object };
    if tenant.revocations().is_url_revoked(&facts) {
        return Err(Refused::Revoked);
    }
    Ok(())
}

fn check_policy(
    gateway: &Gateway,
    presented: &Presented,
    tenant: &LiveTenant,
    route: &Route,
    url: &VerifiedUrl<'_>,
) -> Result<(), Refused> {
    let claims = url.claims();
    let request = Request::redeem(Redeem {
        who: claims.who.as_ref().map(who_ref),
        route: &route.object,
        host: &presented.host,
        path: presented.path(),
        method: &presented.method,
        address: presented.address,
        now: gateway.clock.now(),
    });
    if tenant.policies().decide(&request).allow { Ok(()) } else { Err(Refused::PolicyDenied) }
}

fn who_ref<'a>(who: &'a Who<'_>) -> WhoRef<'a> {
    match who {
        Who::Client(id) => WhoRef::Client(id),
        Who::User(id) => WhoRef::User(id),
    }
}

/// Spends a use; HEAD is free but needs one left (signed-url.md, "Exact use counts").
async fn spend(
    gateway: &Gateway,
    presented: &Presented,
    tenant: &LiveTenant,
    route: &Route,
    url: &VerifiedUrl<'_>,
) -> Result<(), Refused> {
    let claims = url.claims();
    let Some(max) = claims.constraints.uses else { return Ok(()) };
    let expires_at = Timestamp::from_second(claims.expires_at).map_err(|_| Refused::Unavailable)?;
    let request = UseRequest { id: claims.id.to_bytes(), k: u32::from(presented.method != "HEAD"), max, expires_at };
    let payload = json!({"route": route.object.to_string(), "id": claims.id.to_string(), "method": presented.method});
    match gateway.committer.redeem(&tenant.scope(Actor::Bearer), request, payload).await {
        Ok(granted) if granted.is_granted() => Ok(()),
        Ok(_) => Err(Refused::UsedUp),
        Err(error) => {
            tracing::warn!(%error, "a use could not be recorded");
            Err(Refused::Unavailable)
        }
    }
}
