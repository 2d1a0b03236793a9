//! Forward-auth reduced to its cryptography: one Ed25519 signature over the signed bytes of an `sx1` URL (signed-url.md, "Native
//! format"), and the same followed by one Cedar decision. Nothing is parsed beyond the signature.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::Bare;

const SIGNATURE: &str = "&sx-s=";

pub(crate) async fn verify(State(bare): State<Arc<Bare>>, headers: HeaderMap) -> StatusCode {
    answer(verified(&bare, &headers).is_some())
}

pub(crate) async fn decide(State(bare): State<Arc<Bare>>, headers: HeaderMap) -> StatusCode {
    let decision = verified(&bare, &headers).and_then(|(host, target)| {
        let path = target.split('?').next()?;
        let method = headers.get("x-forwarded-method")?.to_str().ok()?;
        bare.policies.decide(host, path, method)
    });
    answer(decision.unwrap_or(false))
}

const fn answer(is_allowed: bool) -> StatusCode {
    if is_allowed { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN }
}

/// Host and target of a URL whose signature is good.
fn verified<'a>(bare: &Bare, headers: &'a HeaderMap) -> Option<(&'a str, &'a str)> {
    let host = headers.get("x-forwarded-host")?.to_str().ok()?;
    let target = headers.get("x-forwarded-uri")?.to_str().ok()?;
    let (signed, signature) = target.rsplit_once(SIGNATURE)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let mut message = Vec::with_capacity(512);
    for part in ["sx1\n", host, "\n", signed] {
        message.extend_from_slice(part.as_bytes());
    }
    bare.urls.is_valid(&message, &signature).then_some((host, target))
}
