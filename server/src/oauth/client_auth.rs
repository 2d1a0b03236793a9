//! Client authentication (RFC 6749 section 2.3, RFC 7523 section 2.2): exactly one method per request, and only
//! the one that the client is registered for. A failure takes the same time whether the client exists or not.

use std::{sync::Arc, time::Duration};

use authly_model::client::AuthMethod;
use authly_secrets::ClientSecret;
use authly_store::{LiveClient, TenantScope};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use tokio::time::Instant;

use super::{assertion, error::OAuthError, form::Form};
use crate::{app::App, issuer::Tenanted};

/// A failure is answered at the next multiple of this after its request came: a look-up in the database, a look into memory and the
/// check of a signature must not be told apart, or client ids could be found out. It is far longer than any of them takes.
const FAILURE_STEP: Duration = Duration::from_millis(50);

/// A client that proved who it is. Only [`authenticate`] makes one.
#[derive(Debug)]
pub(crate) struct AuthenticatedClient {
    /// Its configuration.
    pub(crate) live: Arc<LiveClient>,
    /// The method, as registered at IANA.
    pub(crate) method: &'static str,
    /// The scope for what it does.
    pub(crate) scope: TenantScope,
}

impl AuthenticatedClient {
    fn of(tenanted: &Tenanted, live: Arc<LiveClient>, method: &'static str) -> Self {
        let scope = tenanted.scope_of(&live.client.client_id);
        Self { live, method, scope }
    }
}

/// What a request offers as proof, not verified yet.
enum Unverified {
    Secret { client_id: String, secret: String, method: &'static str },
    Assertion { client_id: Option<String>, assertion: String },
}

/// Authenticates the client of a request.
pub(crate) async fn authenticate(
    app: &App,
    tenanted: &Tenanted,
    headers: &HeaderMap,
    form: &mut Form,
) -> Result<AuthenticatedClient, OAuthError> {
    let start = Instant::now();
    let outcome = check(app, tenanted, headers, form).await;
    if matches!(outcome, Err(OAuthError::InvalidClient)) {
        tokio::time::sleep_until(start + next_step(start.elapsed())).await;
    }
    outcome
}

/// The next multiple of [`FAILURE_STEP`].
fn next_step(elapsed: Duration) -> Duration {
    let steps = elapsed.as_nanos().div_ceil(FAILURE_STEP.as_nanos()).max(1);
    FAILURE_STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

async fn check(
    app: &App,
    tenanted: &Tenanted,
    headers: &HeaderMap,
    form: &mut Form,
) -> Result<AuthenticatedClient, OAuthError> {
    let failed = || OAuthError::InvalidClient;
    let authenticated = match offered(headers, form)? {
        Unverified::Secret { client_id, secret, method } => {
            let mut known = known(app, tenanted, &client_id, &secret).await?;
            if known.is_none() && app.live.staleness() > OUT_OF_TOUCH {
                // Rotations do not wait for a replica that was frozen or cut off, so it asks before it refuses.
                if !Box::pin(app.live.refresh()).await {
                    return Err(OAuthError::Unavailable);
                }
                // With its peppers of now: they are kept by the snapshot that they belong to.
                let renewed = tenanted.renewed(&app.live.snapshot()).ok_or_else(failed)?;
                if !renewed.live().is_serving() {
                    return Err(OAuthError::TenantSuspended);
                }
                known = self::known(app, &renewed, &client_id, &secret).await?;
            }
            AuthenticatedClient::of(tenanted, known.ok_or_else(failed)?, method)
        }
        Unverified::Assertion { client_id, assertion } => {
            let claimed = assertion::unverified_subject(&assertion).ok_or_else(failed)?;
            if client_id.is_some_and(|id| id != claimed) {
                return Err(failed());
            }
            let live = lookup(app, tenanted, &claimed).await?.ok_or_else(failed)?;
            Box::pin(assertion::verify(app, tenanted, &live, &assertion)).await?;
            AuthenticatedClient::of(tenanted, live, "private_key_jwt")
        }
    };
    if authenticated.live.client.suspended {
        return Err(OAuthError::ClientSuspended);
    }
    Ok(authenticated)
}

fn offered(headers: &HeaderMap, form: &mut Form) -> Result<Unverified, OAuthError> {
    let client_id = form.take("client_id");
    let secret = form.take("client_secret");
    let assertion = (form.take("client_assertion_type"), form.take("client_assertion"));
    let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
    match (authorizations.next(), secret, assertion) {
        (Some(value), None, (None, None)) if authorizations.next().is_none() => {
            let (user, secret) = basic_credentials(value).ok_or(OAuthError::InvalidClient)?;
            if client_id.is_some_and(|id| id != user) {
                return Err(OAuthError::InvalidRequest(
                    "client_id differs from the user of the Authorization header".to_owned(),
                ));
            }
            Ok(Unverified::Secret { client_id: user, secret, method: "client_secret_basic" })
        }
        (None, Some(secret), (None, None)) => {
            let missing = || OAuthError::InvalidRequest("client_secret needs client_id beside it".to_owned());
            Ok(Unverified::Secret { client_id: client_id.ok_or_else(missing)?, secret, method: "client_secret_post" })
        }
        (None, None, (Some(kind), Some(assertion))) => {
            if kind != assertion::TYPE {
                let detail = format!("client_assertion_type must be {}", assertion::TYPE);
                return Err(OAuthError::InvalidRequest(detail));
            }
            Ok(Unverified::Assertion { client_id, assertion })
        }
        (None, None, (None, None)) => Err(OAuthError::InvalidClient),
        // RFC 6749 section 2.3: a client must not use more than one method in a request.
        _ => Err(OAuthError::InvalidRequest("use exactly one client authentication method, complete".to_owned())),
    }
}

/// `Basic base64(urlencode(id) ":" urlencode(secret))` (RFC 6749 section 2.3.1).
pub(crate) fn basic_credentials(value: &http::HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, secret) = decoded.split_once(':')?;
    Some((form_decode(user)?, form_decode(secret)?))
}

fn form_decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Half the lease of a replica: one that heard of the store since then is still waited for by every rotation.
const OUT_OF_TOUCH: std::time::Duration = std::time::Duration::from_secs(5);

/// The client, if this is a secret of it.
async fn known(
    app: &App,
    tenanted: &Tenanted,
    client_id: &str,
    secret: &str,
) -> Result<Option<Arc<LiveClient>>, OAuthError> {
    let live = lookup(app, tenanted, client_id).await?;
    let right = check_secret(app, tenanted, live.as_deref(), secret).await?;
    Ok(live.filter(|_| right))
}

async fn lookup(app: &App, tenanted: &Tenanted, client_id: &str) -> Result<Option<Arc<LiveClient>>, OAuthError> {
    // What no OAuthClient can be called needs no look-up.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
    if !(1..=128).contains(&client_id.len()) || !client_id.bytes().all(plain) {
        return Ok(None);
    }
    app.live.client(tenanted.scope(), client_id).await.map_err(|_| OAuthError::Unavailable)
}

/// Compares with every slot in constant time; a client that has none costs the same.
async fn check_secret(
    app: &App,
    tenanted: &Tenanted,
    live: Option<&LiveClient>,
    secret: &str,
) -> Result<bool, OAuthError> {
    let keyring = app.keyring(tenanted).await?;
    let Ok(secret) = ClientSecret::supplied(secret) else { return Ok(false) };
    let known = live.filter(|l| l.client.auth_method == AuthMethod::ClientSecret);
    Ok(keyring.check_secret(&secret, known.map_or(&[], |l| &l.secrets)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{basic_credentials, next_step};
    use http::HeaderValue;

    #[test]
    fn failures_end_at_multiples_of_50_ms() {
        for (microseconds, step) in [(0, 50), (90, 50), (49_999, 50), (50_000, 50), (50_001, 100), (1_499_000, 1500)] {
            assert_eq!(next_step(Duration::from_micros(microseconds)), Duration::from_millis(step));
        }
    }

    #[test]
    fn reads_form_encoded_basic_credentials() {
        // "a%3Ab:c+d" → user "a:b", secret "c d"
        let value = HeaderValue::from_static("Basic YSUzQWI6Yytk");
        assert_eq!(basic_credentials(&value), Some(("a:b".to_owned(), "c d".to_owned())));
        for bad in ["Bearer x", "Basic", "Basic !!!", "Basic YQ==", "basic /w=="] {
            assert_eq!(basic_credentials(&HeaderValue::from_static(bad)), None, "{bad}");
        }
    }
}
