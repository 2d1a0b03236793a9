//! Which tenant a request is for: the authority it was sent to and the longest issuer path, looked up among the
//! stored issuers. The Host header only selects; the issuer in answers and tokens is always the stored string.
//!
//! [`Tenanted`] is the only way to a [`TenantScope`], and every route of a tenant needs it.

use std::{borrow::Cow, sync::Arc, time::Duration};

use authly_model::{ids::TenantId, tenant::Tenant};
use authly_runtime::{host, problem::Problem};
use authly_store::{Actor, LiveTenant, Snapshot, TenantScope};
use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{StatusCode, Uri, header, request::Parts};
use tower::{ServiceExt, util::MapResponseLayer};

use crate::{
    api::{self, problem},
    app::App,
    oauth::error::OAuthError,
    openapi,
};

/// RFC 8414 section 3.1: the well-known part stands before the issuer's path.
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// What is public and answers however old the snapshot is (DESIGN.md, "When things break").
const PUBLIC: [&str; 3] = [METADATA, "/jwks.json", "/sx/jwks.json"];

/// What answers errors as OAuth bodies (RFC 6749 section 5.2); everything else answers problem documents.
const OAUTH: [&str; 3] = ["/token", "/introspect", "/revoke"];

/// How old configuration and revocations may be for everything else.
const MAX_STALENESS: Duration = Duration::from_secs(30);

/// The tenant of a request, with the scope for the store.
#[derive(Debug, Clone)]
pub(crate) struct Tenanted {
    live: Arc<LiveTenant>,
    scope: TenantScope,
}

impl Tenanted {
    /// The tenant's key in the store.
    pub(crate) fn id(&self) -> TenantId {
        self.live.id
    }

    /// The tenant's configuration.
    pub(crate) fn tenant(&self) -> &Tenant {
        &self.live.tenant
    }

    /// The tenant in the snapshot that this request started with.
    pub(crate) fn live(&self) -> &Arc<LiveTenant> {
        &self.live
    }

    /// The tenant as it is now: after a reload the snapshot that the request started with knows less. `None` once it is gone.
    pub(crate) fn renewed(&self, snapshot: &Snapshot) -> Option<Self> {
        let live = Arc::clone(snapshot.tenant(self.id())?);
        let scope = live.scope(Actor::Anonymous);
        Some(Self { live, scope })
    }

    /// The scope for the store, without an actor.
    pub(crate) fn scope(&self) -> &TenantScope {
        &self.scope
    }

    /// The scope for what a client does, now that it is authenticated.
    pub(crate) fn scope_of(&self, client_id: &str) -> TenantScope {
        self.scope.with_actor(Actor::Client(client_id.to_owned()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Tenanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(not_found)
    }
}

/// The public listener's routes.
pub fn router(app: App) -> Router {
    let (tenant_routes, document) = openapi::tenant_routes(app.clone());
    let document = Bytes::from(document.to_json().unwrap_or_default());
    let tenant_routes = tenant_routes.fallback(|| async { not_found() }).method_not_allowed_fallback(not_allowed);
    let find = move |State(app): State<App>, request: Request| {
        let tenant_routes = tenant_routes.clone();
        async move { secure(to_tenant(&app, request, tenant_routes).await) }
    };
    Router::new()
        .route(
            "/openapi.json",
            axum::routing::get(move || async move { ([(header::CONTENT_TYPE, "application/json")], document) }),
        )
        .layer(MapResponseLayer::new(secure))
        // After the layer, which would cost each request a box more.
        .fallback(find)
        .with_state(app)
}

async fn to_tenant(app: &App, mut request: Request, routes: Router) -> Response {
    if !app.live.is_ready() {
        return api::unavailable().into_response();
    }
    let snapshot = app.live.snapshot();
    let Some((live, path)) = find(&snapshot, &request) else { return not_found().into_response() };
    let is_oauth = OAUTH.contains(&path.as_str());
    let stale = app.live.staleness() > MAX_STALENESS;
    if stale && !PUBLIC.contains(&path.as_str()) {
        return if is_oauth { OAuthError::Unavailable.into_response() } else { api::unavailable().into_response() };
    }
    if !live.is_serving() {
        let refusal = OAuthError::TenantSuspended;
        if is_oauth {
            return refusal.into_response();
        }
        return problem(StatusCode::FORBIDDEN, "tenant_suspended", refusal.to_string()).into_response();
    }
    let path_and_query = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let Ok(uri) = path_and_query.parse::<Uri>() else { return not_found().into_response() };
    *request.uri_mut() = uri;
    let scope = live.scope(Actor::Anonymous);
    request.extensions_mut().insert(Tenanted { live, scope });
    match routes.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The tenant and the path below its issuer.
fn find(snapshot: &Snapshot, request: &Request) -> Option<(Arc<LiveTenant>, String)> {
    let authority = host::authority(request.uri(), request.headers()).ok()?;
    let authority = match authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(authority.to_ascii_lowercase()),
        false => Cow::Borrowed(authority),
    };
    // A default port is the same authority as none (RFC 9110 section 4.2.3).
    let authority = authority.strip_suffix(":443").or_else(|| authority.strip_suffix(":80")).unwrap_or(&authority);
    let path = request.uri().path();
    if let Some(issuer_path) = path.strip_prefix(METADATA) {
        let (live, rest) = snapshot.tenant_by_issuer(authority, issuer_path)?;
        return (rest.is_empty() || rest == "/").then(|| (Arc::clone(live), METADATA.to_owned()));
    }
    let (live, rest) = snapshot.tenant_by_issuer(authority, path)?;
    // The metadata of an issuer with a path has one place only, the one above.
    let hidden = rest == METADATA && rest.len() != path.len();
    (!hidden).then(|| (Arc::clone(live), rest.to_owned()))
}

fn not_found() -> Problem {
    let detail =
        "no endpoint here: the URL must start with a tenant's issuer, scheme, host and port as its status shows them";
    problem(StatusCode::NOT_FOUND, "not_found", detail)
}

async fn not_allowed() -> Problem {
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "the endpoint exists, but not with this method: see Allow",
    )
}

fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, http::HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, http::HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(http::HeaderValue::from_static("no-store"));
    response
}
