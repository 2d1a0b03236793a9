//! `POST {issuer}/v1/signed-urls`: a signed URL, if the policies of the tenant permit it.

use std::sync::Arc;

use authly_model::{audit::EventKind, ids::ObjectName, route::Route};
use authly_policies::{Decision, Request, Sign, WhoRef};
use authly_runtime::problem::Problem;
use authly_secrets::random;
use authly_signed_url::{Claims, UrlId, Who, sign as sign_url};
use axum::{Json, extract::State, response::IntoResponse};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::spec::{self, ConstraintsRequest, SignRequest, Spec};
use crate::{
    api::{self, StrictJson, problem},
    app::App,
    bearer::Caller,
};

/// A signed URL.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SignResponse {
    /// The URL.
    url: String,
    /// Its id, for revocation and usage.
    id: String,
    /// When it stops working.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// The methods that it is good for.
    methods: Vec<String>,
    /// The constraints, as asked.
    constraints: ConstraintsRequest,
}

/// Sign a URL
///
/// Answers after the audit record is durable. A denial names the policies that decided.
#[utoipa::path(post, path = "/v1/signed-urls", tag = "signed-urls", request_body = SignRequest,
    responses((status = 201, description = "Signed", body = SignResponse),
              (status = 400, description = "Not of this shape, or not what the route allows"),
              (status = 401, description = "No valid token"), (status = 403, description = "Denied by policy"),
              (status = 404, description = "No such route"), (status = 413, description = "Too large"),
              (status = 415, description = "Not JSON"), (status = 503, description = "Try again")))]
pub(crate) async fn sign(
    State(app): State<App>,
    caller: Caller,
    StrictJson(request): StrictJson<SignRequest>,
) -> Result<impl IntoResponse, Problem> {
    let now = app.clock.unix();
    let route = find_route(&caller, &request.route)?;
    let spec = Spec::check(&request, &route, now)?;
    let decisions = authorise(&app, &caller, &route, &request, &spec).await?;

    let keyring = app.keyring(&caller.tenanted).await.map_err(|_| api::unavailable())?;
    let subject = spec.who.as_ref().map(|who| match who {
        Who::Client(id) => keyring.client_tag(id),
        Who::User(id) => keyring.user_tag(id),
    });
    let client = &caller.live.client;
    let random = random::bytes().map_err(|_| api::internal())?;
    let id =
        UrlId::new(now, subject, Some(keyring.client_tag(&client.client_id)), random).map_err(|_| api::internal())?;
    let key = keyring.url_key().map_err(|_| api::unavailable())?;
    let expires_at = now + spec.expires_in;
    let claims = Claims {
        not_before: spec.not_before,
        methods: spec.methods.clone(),
        who: spec.who.clone(),
        constraints: spec.constraints.clone(),
        ..Claims::new(key.kid, id, expires_at)
    };
    let signed =
        sign_url(&spec.host, &spec.target, &claims, &key.key).map_err(|refusal| spec::refused("path", refusal))?;

    let payload = json!({
        "client_id": client.client_id, "id": id.to_string(), "route": request.route, "path": request.path,
        "host": spec.host.as_str(), "exp": expires_at, "methods": spec.method_names, "for": request.for_,
        "constraints": request.constraints, "shadow": shadow(&decisions),
    });
    app.record(&caller.scope, EventKind::UrlSigned, payload).await.map_err(|_| api::unavailable())?;
    app.metrics.url_signed();
    let answer = SignResponse {
        url: signed.url(true),
        id: id.to_string(),
        expires_at: Timestamp::from_second(expires_at).map_err(|_| api::internal())?,
        methods: spec.method_names,
        constraints: request.constraints.clone(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

fn find_route(caller: &Caller, id: &str) -> Result<Arc<Route>, Problem> {
    let not_found = || {
        let detail = "the tenant has no such route: write <namespace>/<name> of a SignedUrlRoute that is Ready";
        problem(StatusCode::NOT_FOUND, "route_not_found", detail)
    };
    let (namespace, name) = id.split_once('/').ok_or_else(not_found)?;
    caller.tenanted.live().route_named(&ObjectName::new(namespace, name)).cloned().ok_or_else(not_found)
}

/// `sign`, and `signAs` where the URL is meant for somebody else.
async fn authorise(
    app: &App,
    caller: &Caller,
    route: &Route,
    request: &SignRequest,
    spec: &Spec<'_>,
) -> Result<Vec<(&'static str, Decision)>, Problem> {
    let client = &caller.live.client;
    let sign = Sign {
        signer: WhoRef::Client(&client.client_id),
        route: &route.object,
        host: spec.host.as_str(),
        path: &request.path,
        methods: &spec.method_names,
        expires_in: spec.expires_in,
        for_: request.for_.as_deref().and_then(WhoRef::parse),
        uses: spec.constraints.uses.map(i64::from),
    };
    let policies = caller.tenanted.live().policies();
    let mut decisions = vec![("sign", policies.decide(&Request::sign(&sign)))];
    if spec.is_for_another(client) {
        decisions.push(("signAs", policies.decide(&Request::sign_as(&sign))));
    }
    let Some((action, denied)) = decisions.iter().find(|(_, decision)| !decision.allow) else { return Ok(decisions) };
    let payload = json!({
        "client_id": client.client_id, "route": request.route, "path": request.path, "for": request.for_,
        "action": action, "policies": api::named(&denied.policies), "shadow": shadow(&decisions),
    });
    app.record(&caller.scope, EventKind::UrlDenied, payload).await.map_err(|_| api::unavailable())?;
    app.metrics.url_denied();
    Err(api::policy_denied(action, &denied.policies))
}

/// What Shadow policies would have decided otherwise, for the audit record.
fn shadow(decisions: &[(&'static str, Decision)]) -> Vec<serde_json::Value> {
    let differing = decisions.iter().flat_map(|(action, decision)| {
        let other = decision.shadow.iter().filter(move |shadow| shadow.allow != decision.allow);
        other.map(move |shadow| json!({"action": action, "policy": shadow.object, "allow": shadow.allow}))
    });
    differing.take(8).collect()
}
