//! `client_credentials` without a client: parses the same form, signs one JWT of the same claims with aws-lc-rs, and answers
//! the same members (RFC 6749 section 5.1, RFC 9068).

use std::sync::Arc;

use authly_model::clock::{Clock, SystemClock};
use aws_lc_rs::{
    rand::{self, SystemRandom},
    rsa::KeySize,
    signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
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
    key: Key,
    header: String,
}

enum Key {
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    pub(crate) fn ed25519() -> anyhow::Result<Self> {
        Ok(Self::new(Key::Ed25519(Ed25519KeyPair::generate()?), "EdDSA"))
    }

    /// As long a key as the product makes.
    pub(crate) fn rs256() -> anyhow::Result<Self> {
        Ok(Self::new(Key::Rsa(RsaKeyPair::generate(KeySize::Rsa2048)?), "RS256"))
    }

    fn new(key: Key, algorithm: &str) -> Self {
        let header = format!(r#"{{"typ":"at+jwt","alg":"{algorithm}","kid":"AAECAwQFBgcICQoLDA0ODw"}}"#);
        Self { key, header: URL_SAFE_NO_PAD.encode(header) }
    }

    /// Appends the signature of what is there.
    fn sign(&self, token: &mut String) -> Option<()> {
        let mut long;
        let short;
        let signature: &[u8] = match &self.key {
            Key::Ed25519(key) => {
                short = key.sign(token.as_bytes());
                short.as_ref()
            }
            Key::Rsa(key) => {
                long = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut long).ok()?;
                &long
            }
        };
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, token);
        Some(())
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

type Issued = Result<([(HeaderName, &'static str); 1], Json<Answer>), StatusCode>;

pub(crate) async fn ed25519(State(bare): State<Arc<Bare>>, Form(request): Form<Request>) -> Issued {
    issue(&bare.signer, request)
}

pub(crate) async fn rs256(State(bare): State<Arc<Bare>>, Form(request): Form<Request>) -> Issued {
    issue(&bare.rsa, request)
}

fn issue(signer: &Signer, request: Request) -> Issued {
    if request.grant_type != "client_credentials" {
        return Err(StatusCode::BAD_REQUEST);
    }
    let scope = request.scope.unwrap_or_else(|| SCOPE.to_owned());
    let access_token = sign(signer, &scope).ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
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
    signer.sign(&mut token)?;
    Some(token)
}
