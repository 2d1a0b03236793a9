//! `POST {issuer}/v1/signed-urls/revoke`: everything that a client signed, that is meant for a subject, or that a
//! route carries, issued before a time. No row per URL: ids carry issue time and tags.

use authly_model::ids::ObjectName;
use authly_policies::RevokeScope;
use authly_runtime::problem::Problem;
use authly_store::UrlTarget;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::revoke_one::{permitted, revoke};
use crate::{
    api::{self, StrictJson, problem},
    app::App,
    bearer::Caller,
};

/// Exactly one of `client`, `subject` and `route`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeRequest {
    /// A client id: the URLs that it signed.
    client: Option<String>,
    /// A user id or `c.<client id>`: the URLs that are meant for it.
    subject: Option<String>,
    /// `<namespace>/<name>`: the URLs of this route.
    route: Option<String>,
    /// Only what was issued before this time, Unix seconds; now without it.
    before: Option<i64>,
}

/// Revoke signed URLs
///
/// A client may revoke all that it signed itself; the rest only where a policy permits the action `revoke`.
#[utoipa::path(post, path = "/v1/signed-urls/revoke", tag = "signed-urls", request_body = RevokeRequest,
    responses((status = 204, description = "Revoked"), (status = 400, description = "Not of this shape"),
              (status = 401, description = "No valid token"), (status = 403, description = "No policy permits it"),
              (status = 404, description = "No such route"), (status = 413, description = "Too large"),
              (status = 415, description = "Not JSON"), (status = 503, description = "Try again")))]
pub(crate) async fn revoke_many(
    State(app): State<App>,
    caller: Caller,
    StrictJson(request): StrictJson<RevokeRequest>,
) -> Result<StatusCode, Problem> {
    let now = app.clock.unix();
    // Times have whole seconds: what was issued in this one is revoked too.
    let before = request.before.unwrap_or(now + 1);
    if !(0..=now + 60).contains(&before) {
        return Err(api::invalid("before must be Unix seconds, not in the future"));
    }
    let keyring = app.keyring(&caller.tenanted).await.map_err(|_| api::unavailable())?;
    let (key, what) = match (&request.client, &request.subject, &request.route) {
        (Some(client), None, None) => {
            if *client != caller.live.client.client_id {
                permitted(&caller, RevokeScope::Tenant)?;
            }
            (UrlTarget::Client(keyring.client_tag(bounded(client)?)), json!({"client": client}))
        }
        (None, Some(subject), None) => {
            permitted(&caller, RevokeScope::Tenant)?;
            let tag = match bounded(subject)?.strip_prefix("c.") {
                Some(client) => keyring.client_tag(client),
                None => keyring.user_tag(subject.strip_prefix("u.").unwrap_or(subject)),
            };
            // The subject's name is personal data: the audit record keeps the tag.
            (UrlTarget::Subject(tag), json!({"subject_tag": tag}))
        }
        (None, None, Some(route)) => (route_key(&caller, route)?, json!({"route": route})),
        _ => return Err(api::invalid("name exactly one of client, subject and route")),
    };
    revoke(&app, &caller, key, before, json!({"revoked": what, "before": before})).await
}

fn bounded(text: &str) -> Result<&str, Problem> {
    if (1..=256).contains(&text.len()) { Ok(text) } else { Err(api::invalid("an id has 1 to 256 characters")) }
}

fn route_key(caller: &Caller, route: &str) -> Result<UrlTarget, Problem> {
    let not_found =
        || problem(StatusCode::NOT_FOUND, "route_not_found", "the tenant has no such route: write <namespace>/<name>");
    let (namespace, name) = route.split_once('/').ok_or_else(not_found)?;
    let object = ObjectName::new(namespace, name);
    let live = caller.tenanted.live();
    if live.route_named(&object).is_none() {
        return Err(not_found());
    }
    permitted(caller, RevokeScope::Route(&object))?;
    Ok(UrlTarget::Route(object))
}
