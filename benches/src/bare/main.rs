//! The bare baselines: axum handlers that do the same HTTP and the same cryptography as the product's hot paths, and nothing else.
//! No tenant, no client, no secret, no audit, no revocation.
//!
//! Usage: `authly-bench-bare PORT FOLDER DATABASE_URL`, with the product's `jwks.json`, `sx.json` and `metadata.json` in FOLDER. See
//! DESIGN.md, "The hot paths".

mod count;
mod ed25519;
mod introspect;
mod policy;
mod redeem;
mod token;

use std::{path::Path, sync::Arc};

use anyhow::Context;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use tokio::net::TcpListener;

/// What the handlers share.
struct Bare {
    signer: token::Signer,
    rsa: token::Signer,
    tokens: ed25519::Verifier,
    urls: ed25519::Verifier,
    policies: policy::Policies,
    jwks: Bytes,
    metadata: Bytes,
    counter: count::Counter,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(folder), Some(database)) = (arguments.next(), arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: authly-bench-bare PORT FOLDER DATABASE_URL")
    };
    let port: u16 = port.parse().context("PORT must be a number")?;
    let read = |name: &str| {
        let path = Path::new(&folder).join(name);
        std::fs::read(&path).with_context(|| path.display().to_string())
    };
    let (jwks, sx) = (read("jwks.json")?, read("sx.json")?);
    let bare = Bare {
        signer: token::Signer::ed25519()?,
        rsa: token::Signer::rs256()?,
        tokens: ed25519::Verifier::of_jwks(&jwks)?,
        urls: ed25519::Verifier::of_jwks(&sx)?,
        policies: policy::Policies::new()?,
        jwks: jwks.into(),
        metadata: read("metadata.json")?.into(),
        counter: count::Counter::new(&database).await?,
    };
    println!("Ed25519 is verified with {}", bare.tokens.name());
    let socket = TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(socket, router(Arc::new(bare))).await?)
}

fn router(bare: Arc<Bare>) -> Router {
    Router::new()
        .route("/token", post(token::ed25519))
        .route("/token-rsa", post(token::rs256))
        .route("/introspect", post(introspect::introspect))
        .route("/constant", get(async || StatusCode::NO_CONTENT))
        .route("/verify", get(redeem::verify))
        .route("/decide", get(redeem::decide))
        .route("/count", get(count::count))
        .route("/jwks.json", get(async |State(bare): State<Arc<Bare>>| document(&bare.jwks)))
        .route("/metadata.json", get(async |State(bare): State<Arc<Bare>>| document(&bare.metadata)))
        .with_state(bare)
}

fn document(bytes: &Bytes) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")], bytes.clone())
}
