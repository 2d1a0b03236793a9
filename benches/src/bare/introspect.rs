//! Introspection reduced to its cryptography: parses the same form and verifies one Ed25519 JWS signature (RFC 7515 section 5.2). The
//! claims are not read.

use std::sync::Arc;

use axum::{Form, Json, extract::State, http::StatusCode};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::Bare;

#[derive(Deserialize)]
pub(crate) struct Request {
    token: String,
}

#[derive(Serialize)]
pub(crate) struct Answer {
    active: bool,
}

/// A token that does not verify is an error here, so that a run over the wrong tokens fails.
pub(crate) async fn introspect(
    State(bare): State<Arc<Bare>>,
    Form(request): Form<Request>,
) -> Result<Json<Answer>, StatusCode> {
    if is_signed(&bare, &request.token).unwrap_or(false) {
        Ok(Json(Answer { active: true }))
    } else {
        Err(StatusCode::FORBIDDEN)
    }
}

fn is_signed(bare: &Bare, token: &str) -> Option<bool> {
    let (signed, signature) = token.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    Some(bare.tokens.is_valid(signed.as_bytes(), &signature))
}
