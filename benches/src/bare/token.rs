//! `client_credentials` without a client: parses the same form, signs one Ed25519 JWT of the same claims with aws-lc-rs, and answers
//! the same members (RFC 6749 section 5.1, RFC 9068).

use std::sync::Arc;

use authly_model::clock::{Clock, SystemClock};
use aws_lc_rs::{rand, signature::Ed25519KeyPair};
use axum::{
    Form, Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::Bare;

const ISSUER: &str = "http://localhost:8080/t/acme";
const CLIENT: &str = "shop.billing";
const SCOPE: &str = "signed_urls";
const LIFETIME: i64 = 3600;

/// A key of its own and the JWS header, encoded once.
pub(crate) struct Signer {
    key: Ed25519KeyPair,
    header: String,
}

impl Signer {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let header = r#"{"typ":"at+jwt","alg":"EdDSA","kid":"AAECAwQFBgcICQoLDA0ODw"}"#;
        Ok(Self { key: Ed25519KeyPair::generate()?, header: URL_SAFE_NO_PAD.encode(header) })
    }
}

#[derive(Deserialize)]
pub(crate) struct Request {
    grant_type: String,
    scope: Option<String>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    scope: &'a str,
}

#[derive(Serialize)]
pub(crate) struct Answer {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    scope: String,
}

pub(crate) async fn issue(
    State(bare): State<Arc<Bare>>,
    Form(request): Form<Request>,
) -> Result<([(HeaderName, &'static str); 1], Json<Answer>), StatusCode> {
    if request.grant_type != "client_credentials" {
        return Err(StatusCode::BAD_REQUEST);
    }
    let scope = request.scope.unwrap_or_else(|| SCOPE.to_owned());
    let access_token = sign(&bare.signer, &scope).ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
    let answer = Answer { access_token, token_type: "Bearer", expires_in: LIFETIME, scope };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)))
}

fn sign(signer: &Signer, scope: &str) -> Option<String> {
    let mut random = [0; 16];
    rand::fill(&mut random).ok()?;
    let jti = URL_SAFE_NO_PAD.encode(random);
    let iat = SystemClock.unix();
    let claims =
        Claims { iss: ISSUER, sub: CLIENT, aud: ISSUER, client_id: CLIENT, iat, exp: iat + LIFETIME, jti: &jti, scope };
    let claims = serde_json::to_vec(&claims).ok()?;
    let mut token = String::with_capacity(512);
    token.push_str(&signer.header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = signer.key.sign(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
    Some(token)
}
