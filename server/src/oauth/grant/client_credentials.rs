//! The client-credentials grant (RFC 6749 section 4.4; RFC 9068 access tokens; RFC 8707 audiences).

use authly_model::{
    audit::EventKind,
    grant::{self, Granted},
    token::AccessClaims,
};
use authly_policies::Request;
use authly_secrets::random;
use serde_json::json;

use crate::{
    api,
    app::App,
    issuer::Tenanted,
    oauth::{access_token, client_auth::AuthenticatedClient, error::OAuthError, form::Form, token::TokenResponse},
};

/// Decides, signs, records durably, answers: in this order.
pub(crate) async fn issue(
    app: &App,
    tenanted: &Tenanted,
    client: &AuthenticatedClient,
    form: &mut Form,
) -> Result<TokenResponse, OAuthError> {
    let config = &client.live.client;
    let tenant = tenanted.tenant();
    let scope = form.take("scope");
    let granted = grant::client_credentials(config, &tenant.issuer, scope.as_deref(), &form.resources)?;

    let now = app.clock.unix();
    let lifetime = config.access_token_lifetime.0;
    let jti = random::base64url::<16>().map_err(|_| OAuthError::Internal)?;
    let claims = AccessClaims::for_client(&tenant.issuer, &config.client_id, &granted, (now, now + lifetime), jti);
    decide(app, tenanted, client, &granted, &claims).await?;
    let token = access_token::sign(app, tenanted, &claims).await?;
    let payload = json!({
        "client_id": config.client_id, "jti": claims.jti, "exp": claims.exp,
        "scope": claims.scope, "aud": claims.aud, "method": client.method,
    });
    app.record(&client.scope, EventKind::TokenIssued, payload).await.map_err(|_| OAuthError::Unavailable)?;
    app.metrics.token_issued();
    Ok(TokenResponse { access_token: token, token_type: "Bearer", expires_in: lifetime, scope: claims.scope })
}

/// Whether policies permit it: asked, or known from the same grant before. A denial is recorded.
async fn decide(
    app: &App,
    tenanted: &Tenanted,
    client: &AuthenticatedClient,
    granted: &Granted,
    claims: &AccessClaims,
) -> Result<(), OAuthError> {
    let (config, live) = (&client.live.client, tenanted.live());
    let scope = (live.id, live.generation);
    if app.permits.has(scope, config, claims) {
        return Ok(());
    }
    let request = Request::issue_token(&config.client_id, &config.object, &granted.scopes, &granted.audiences);
    let decision = live.policies().decide(&request);
    if !decision.allow {
        let named = api::named(&decision.policies);
        let payload = json!({"client_id": config.client_id, "policies": named});
        app.record(&client.scope, EventKind::TokenDenied, payload).await.map_err(|_| OAuthError::Unavailable)?;
        app.metrics.token_denied();
        return Err(OAuthError::AccessDenied(named.join(", ")));
    }
    if !decision.reads_time_or_address {
        app.permits.keep(scope, config, claims);
    }
    Ok(())
}
