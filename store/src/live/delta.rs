//! What changed since a position of the feed, and reading it again.

use std::collections::{BTreeMap, BTreeSet};

use authly_model::ids::TenantId;
use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Snapshot,
    build::Rows,
    load::{self, Changed, Revoked},
};
use crate::{Result, UrlRevocation, scope::PlatformScope};

/// What to read again.
pub(super) struct Delta {
    pub(super) all: bool,
    /// Something that a manifest declares may have changed: the operator waits for the position. Nobody waits for a revocation's.
    pub(super) declared: bool,
    tenants: BTreeSet<Uuid>,
    pub(super) clients: Vec<(TenantId, String)>,
    tokens: Vec<(Uuid, String)>,
    urls: Vec<(Uuid, String)>,
}

/// Revocations of several tenants.
#[derive(Default)]
pub(super) struct Revocations {
    pub(super) tokens: Vec<(TenantId, String, Timestamp)>,
    pub(super) urls: Vec<(TenantId, UrlRevocation)>,
}

impl Revocations {
    /// From now on the tenants of the snapshot refuse what was revoked.
    pub(super) fn add_to(&self, snapshot: &Snapshot) {
        let mut of: BTreeMap<TenantId, (Vec<_>, Vec<_>)> = BTreeMap::new();
        for (tenant, jti, expires_at) in &self.tokens {
            of.entry(*tenant).or_default().0.push((jti.clone(), *expires_at));
        }
        for (tenant, url) in &self.urls {
            of.entry(*tenant).or_default().1.push(url.clone());
        }
        for (tenant, (tokens, urls)) in of {
            if let Some(live) = snapshot.tenant(tenant) {
                live.revocations.add(tokens, urls);
            }
        }
    }
}

impl Delta {
    pub(super) const fn everything() -> Self {
        Self {
            all: true,
            declared: true,
            tenants: BTreeSet::new(),
            clients: Vec::new(),
            tokens: Vec::new(),
            urls: Vec::new(),
        }
    }

    pub(super) fn of(changes: Vec<Changed>) -> Self {
        let mut delta = Self { all: false, declared: false, ..Self::everything() };
        for Changed { tenant, kind, key } in changes {
            delta.declared |= !matches!(kind.as_str(), "token_revocation" | "url_revocation");
            match kind.as_str() {
                "client" => delta.clients.push((tenant, key)),
                "token_revocation" => delta.tokens.push((tenant.0, key)),
                "url_revocation" => delta.urls.push((tenant.0, key)),
                // Retention is the jobs' affair: it is served by being stored.
                "retention" => {}
                _ => {
                    delta.tenants.insert(tenant.0);
                }
            }
        }
        delta
    }

    /// The tenants that changed and have no row any more: they are purged.
    pub(super) fn gone(&self, rows: &Rows) -> Vec<TenantId> {
        let there: BTreeSet<Uuid> = rows.tenants.iter().map(|tenant| tenant.id.0).collect();
        self.tenants.difference(&there).copied().map(TenantId).collect()
    }

    /// The rows of the tenants that changed.
    pub(super) async fn rows(&self, scope: &PlatformScope, view: &mut PgConnection) -> Result<Rows> {
        let tenants: Vec<Uuid> = self.tenants.iter().copied().collect();
        let only = if self.all { None } else { Some(tenants.as_slice()) };
        if only.is_some_and(<[Uuid]>::is_empty) {
            return Ok(Rows::default());
        }
        Ok(Rows {
            tenants: load::tenants(scope, view, only).await?,
            keys: load::keys(scope, view, only).await?,
            routes: load::routes(scope, view, only).await?,
            policies: load::policies(scope, view, only).await?,
        })
    }

    /// Revocations that were published since, and all of the tenants that are new here.
    pub(super) async fn revocations(
        &self,
        scope: &PlatformScope,
        view: &mut PgConnection,
        new: &[Uuid],
        now: Timestamp,
    ) -> Result<Revocations> {
        let mut revoked = Revocations::default();
        if !new.is_empty() {
            let all = Revoked::Of(Some(new));
            revoked.tokens = load::token_revocations(scope, view, &all, now).await?;
            revoked.urls = load::url_revocations(scope, view, &all, now).await?;
        }
        if !self.tokens.is_empty() {
            let named = Revoked::Named(&self.tokens);
            revoked.tokens.extend(load::token_revocations(scope, view, &named, now).await?);
        }
        if !self.urls.is_empty() {
            let named = Revoked::Named(&self.urls);
            revoked.urls.extend(load::url_revocations(scope, view, &named, now).await?);
        }
        Ok(revoked)
    }
}
