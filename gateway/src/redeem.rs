//! The decision, in the order that leaks least and costs least: form → tenant → route → key → signature → time →
//! method → network, headers → revocation → policy → use. Everything before the last step is in memory, key and signature
//! only where nothing is kept of them; the last one waits for a durable commit. Denied in doubt.

use std::{sync::Arc, time::Duration};

use authly_model::{
    audit::EventKind,
    route::{Revocation, Route},
};
use authly_policies::{Redeem, Request, WhoRef};
use authly_signed_url::{Constraints, Host, PATH_MARKER, Refusal, UrlId, VerifiedUrl, Who};
use authly_store::{Actor, LiveTenant, TenantScope, UrlFacts, UseRequest};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    answer::Refused,
    app::Gateway,
    presented::Presented,
    proof::{Permit, Proof},
};

/// How old the revocations may be for a route with `revocation: High`.
const MAX_STALENESS_HIGH: Duration = Duration::from_secs(1);
/// How old they may be for any other route (DESIGN.md, "When things break").
const MAX_STALENESS: Duration = Duration::from_secs(15 * 60);
/// The most Shadow policies that a record names.
const MAX_SHADOW: usize = 8;

/// A request that may go on.
#[derive(Debug)]
pub(crate) struct Redeemed {
    /// The route.
    pub(crate) route: Arc<Route>,
    /// The target for the backend, without token and `sx-*`.
    pub(crate) target: String,
    /// Whether the answer is not for everyone with the link at all times (counted, bound to a network, an origin or a user
    /// agent, or permitted by a cookie), so that no shared cache may keep it.
    pub(crate) private: bool,
}

/// Judges what a request presents. Every refusal with a known tenant leaves an audit record.
///
/// `proxied` says that this gateway will forward the request itself: then a route without a backend is refused before
/// a use is spent.
pub(crate) async fn redeem(gateway: &Gateway, presented: &Presented<'_>, proxied: bool) -> Result<Redeemed, Refused> {
    if !gateway.live.is_ready() {
        return Err(Refused::Unavailable);
    }
    let snapshot = gateway.live.snapshot();
    let host = Host::parse(presented.host)?;
    let tenant = snapshot.tenant_by_host(host.as_str()).ok_or(Refused::NoRoute)?;
    let scope = tenant.scope(Actor::Bearer);
    let mut facts = Facts::default();
    let judge = Judge { gateway, presented, tenant, scope: &scope, proxied };
    let outcome = match tenant.is_serving() {
        true => judge.judge(&host, &mut facts).await,
        false => Err(Refused::TenantSuspended),
    };
    match &outcome {
        Ok(redeemed) => {
            let route = redeemed.route.object.to_string();
            for policy in &facts.shadow {
                gateway.committer.count(&scope, EventKind::RedeemShadow, &format!("{route} {policy}"));
            }
            gateway.committer.count(&scope, EventKind::Redeemed, &route);
        }
        Err(refused) => {
            let payload = json!({
                "reason": refused.reason(), "method": presented.method.get(..16).unwrap_or(presented.method),
                "route": facts.route.map(|route| route.object.to_string()), "id": facts.id.map(|id| id.to_string()),
                "shadow": facts.shadow,
            });
            gateway.committer.spool(&scope, EventKind::RedeemDenied, payload);
        }
    }
    outcome
}

/// What is known of a URL by the time it is refused, for the audit record. The id only once the signature is verified.
#[derive(Debug, Default)]
struct Facts {
    route: Option<Arc<Route>>,
    id: Option<UrlId>,
    /// The Shadow policies that would have decided otherwise.
    shadow: Vec<String>,
}

/// One request before one tenant.
struct Judge<'j> {
    gateway: &'j Gateway,
    presented: &'j Presented<'j>,
    tenant: &'j LiveTenant,
    scope: &'j TenantScope,
    proxied: bool,
}

impl Judge<'_> {
    async fn judge(&self, host: &Host, facts: &mut Facts) -> Result<Redeemed, Refused> {
        let (gateway, presented, tenant) = (self.gateway, self.presented, self.tenant);
        let generation = (tenant.id, tenant.generation);
        let candidate = gateway.kept.read(generation, presented, host)?;
        let route = tenant.route(host.as_str(), candidate.path()).ok_or(Refused::NoRoute)?;
        facts.route = Some(Arc::clone(route));
        let proof = candidate.prove(|| gateway.keys.of(tenant))?;
        gateway.metrics.proven(proof.is_kept());
        let url = proof.url();
        facts.id = Some(url.claims().id);
        self.check_url(route, url)?;
        self.check_revocation(route, url)?;
        let permit = self.check_policy(route, &proof, &mut facts.shadow)?;
        gateway.kept.keep(generation, presented, &proof, permit);
        if self.proxied && route.backend.is_none() {
            return Err(Refused::NoBackend);
        }
        let constraints = &url.claims().constraints;
        if constraints.uses.is_some() {
            self.check_epoch(url, tenant)?;
            self.spend(route, url, &facts.shadow).await?;
            // The commit was waited for: what came meanwhile counts.
            self.check_revocation(route, url)?;
            gateway
                .live
                .snapshot()
                .tenant(tenant.id)
                .map_or(Err(Refused::NoRoute), |now| self.check_epoch(url, now))?;
        }
        let by_cookie = url.signed_prefix().is_some() && !presented.target.starts_with(PATH_MARKER);
        let private = by_cookie || *constraints != Constraints::default();
        Ok(Redeemed { route: Arc::clone(route), target: url.stripped_target().to_owned(), private })
    }

    /// Time, lifetime, method, network, headers; and nothing that this gateway does not enforce.
    fn check_url(&self, route: &Route, url: &VerifiedUrl<'_>) -> Result<(), Refused> {
        let Constraints { uses, network, origin, user_agent, .. } = url.claims().constraints;
        let enforced = Constraints { uses, network, origin, user_agent, ..Constraints::default() };
        if url.claims().constraints != enforced {
            return Err(Refused::ConstraintUnsupported);
        }
        let presented = self.presented;
        url.check_time(self.gateway.clock.unix(), route.max_ttl.0)?;
        url.check_method(presented.method)?;
        // A route that was narrowed after signing wins over the signature.
        let allowed =
            route.methods.contains(presented.method) || (presented.method == "HEAD" && route.methods.contains("GET"));
        if !allowed {
            return Err(Refusal::MethodNotSigned.into());
        }
        url.check_network(presented.address)?;
        if origin.is_some() {
            url.check_origin(presented.origin()?)?;
        }
        if user_agent.is_some() {
            url.check_user_agent(presented.user_agent()?)?;
        }
        Ok(())
    }

    /// What a restored database may have forgotten to count is not redeemed again (DESIGN.md, "Restore and failover").
    fn check_epoch(&self, url: &VerifiedUrl<'_>, tenant: &LiveTenant) -> Result<(), Refused> {
        if i64::from(url.claims().id.issued_at) < tenant.store_epoch { Err(Refused::Revoked) } else { Ok(()) }
    }

    fn check_revocation(&self, route: &Route, url: &VerifiedUrl<'_>) -> Result<(), Refused> {
        let limit = match route.revocation {
            Revocation::High => MAX_STALENESS_HIGH,
            Revocation::Normal => MAX_STALENESS,
        };
        if self.gateway.live.staleness() > limit {
            return Err(Refused::Unavailable);
        }
        let claims = url.claims();
        let (id, kid) = (claims.id.to_bytes(), claims.kid.to_string());
        let facts = UrlFacts { id: &id, kid: &kid, route: &route.object };
        if self.tenant.revocations().is_url_revoked(&facts) {
            return Err(Refused::Revoked);
        }
        Ok(())
    }

    /// Cedar's `redeem`; what it answers may be kept if no policy in reach reads the time or the address.
    fn check_policy(
        &self,
        route: &Route,
        proof: &Proof<'_>,
        shadow: &mut Vec<String>,
    ) -> Result<Option<Permit>, Refused> {
        if let Some(permit) = proof.permit() {
            shadow.clone_from(&permit.shadow);
            return Ok(None);
        }
        let presented = self.presented;
        let request = Request::redeem(Redeem {
            who: proof.url().claims().who.as_ref().map(who_ref),
            route: &route.object,
            host: presented.host,
            path: proof.path(),
            method: presented.method,
            address: presented.address,
            now: self.gateway.clock.now(),
        });
        let decision = self.tenant.policies().decide(&request);
        let differing = decision.shadow.iter().filter(|other| other.allow != decision.allow);
        *shadow = differing.take(MAX_SHADOW).map(|other| other.object.clone()).collect();
        match decision.allow {
            true if decision.reads_time_or_address => Ok(None),
            true => Ok(Some(Permit { shadow: shadow.clone() })),
            false => Err(Refused::PolicyDenied),
        }
    }

    /// Spends a use; HEAD is free but needs one left (signed-url.md, "Exact use counts").
    async fn spend(&self, route: &Route, url: &VerifiedUrl<'_>, shadow: &[String]) -> Result<(), Refused> {
        let (claims, method) = (url.claims(), self.presented.method);
        let Some(max) = claims.constraints.uses else { return Ok(()) };
        let expires_at = Timestamp::from_second(claims.expires_at).map_err(|_| Refused::Unavailable)?;
        let request = UseRequest { id: claims.id.to_bytes(), k: u32::from(method != "HEAD"), max, expires_at };
        let payload = json!({
            "route": route.object.to_string(), "id": claims.id.to_string(), "method": method, "shadow": shadow,
        });
        match self.gateway.committer.redeem(self.scope, request, payload).await {
            Ok(granted) if granted.is_granted() => Ok(()),
            Ok(_) => Err(Refused::UsedUp),
            Err(error) => {
                tracing::warn!(%error, "a use could not be recorded");
                Err(Refused::Unavailable)
            }
        }
    }
}

fn who_ref<'a>(who: &'a Who<'_>) -> WhoRef<'a> {
    match who {
        Who::Client(id) => WhoRef::Client(id),
        Who::User(id) => WhoRef::User(id),
    }
}
