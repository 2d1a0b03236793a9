//! `DELETE {issuer}/v1/signed-urls/{id}`: the URL stops working on every replica within a second.

use authly_policies::{Request, RevokeScope};
use authly_runtime::problem::Problem;
use authly_signed_url::{SKEW, UrlId};
use authly_store::{UrlRevocation, UrlTarget};
use axum::extract::{Path, State, rejection::PathRejection};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::json;

use crate::{api, app::App, bearer::Caller};

/// How long a revocation of an id lives: no URL lives longer (signed-url.md, "Issuing API").
const MAX_URL_LIFE: i64 = 7 * 86_400;

/// Revoke a signed URL
///
/// A client revokes the URLs that it signed; others only where a policy permits the action `revoke`.
#[utoipa::path(delete, path = "/v1/signed-urls/{id}", tag = "signed-urls",
    params(("id" = String, Path, description = "The id that signing answered")),
    responses((status = 204, description = "Revoked"), (status = 400, description = "Not an id"),
              (status = 401, description = "No valid token"), (status = 403, description = "Another client's URL"),
              (status = 503, description = "Try again")))]
pub(crate) async fn revoke_one(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let id = own_or_permitted(&app, &caller, id).await?;
    let (issued, now) = (i64::from(id.issued_at), app.clock.unix());
    if issued > now + SKEW {
        return Err(api::invalid("the id was never issued: its time lies in the future"));
    }
    if issued + MAX_URL_LIFE <= now {
        return Ok(StatusCode::NO_CONTENT); // no URL lives that long
    }
    let payload = json!({"id": id.to_string()});
    revoke(&app, &caller, UrlTarget::Id(id.to_bytes()), issued + 1, payload).await
}

/// Revokes what was issued before a time, durably; this replica knows at once, the others within a second.
pub(crate) async fn revoke(
    app: &App,
    caller: &Caller,
    target: UrlTarget,
    before: i64,
    payload: serde_json::Value,
) -> Result<StatusCode, Problem> {
    let expires_at = Timestamp::from_second(before.saturating_add(MAX_URL_LIFE));
    let expires_at = expires_at.map_err(|_| api::invalid("the time is out of range"))?;
    let revocation = UrlRevocation { target, before, expires_at };
    app.committer.revoke_urls(&caller.scope, revocation, payload).await.map_err(|_| api::unavailable())?;
    if !app.live.refresh().await {
        tracing::warn!("this replica learns of a revocation late: the store did not answer the poll after it");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The id, if the caller signed it or a policy permits it to revoke what others signed.
pub(crate) async fn own_or_permitted(
    app: &App,
    caller: &Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<UrlId, Problem> {
    let id = id.ok().and_then(|Path(id)| UrlId::parse(&id).ok());
    let id = id.ok_or_else(|| api::invalid("the id must be one that signing answered: 32 characters of base64url"))?;
    let keyring = app.keyring(&caller.tenanted).await.map_err(|_| api::unavailable())?;
    let client = &caller.live.client;
    if id.client == keyring.client_tag(&client.client_id) {
        return Ok(id);
    }
    permitted(caller, RevokeScope::Tenant)?;
    Ok(id)
}

/// Whether a policy permits the caller to revoke in this scope.
pub(crate) fn permitted(caller: &Caller, scope: RevokeScope<'_>) -> Result<(), Problem> {
    let client = &caller.live.client;
    let decision = caller.tenanted.live().policies().decide(&Request::revoke(&client.client_id, &client.object, scope));
    if decision.allow { Ok(()) } else { Err(api::policy_denied("revoke", &decision.policies)) }
}
