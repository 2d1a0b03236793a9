//! The management listener of every role: `/healthz`, `/readyz`, `/metrics`. It is never exposed to clients, and it
//! outlives the other listeners while they drain.

use axum::{Json, Router, extract::State, response::IntoResponse, routing::get};
use http::{StatusCode, header};
use serde_json::json;

use crate::{Health, Metrics, Problem, problem};

/// The router of the management listener.
pub fn router(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz).with_state(health))
        .route("/metrics", get(scrape).with_state(metrics))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
}

async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    let conditions = health.conditions();
    let ready = conditions.iter().all(|(_, ready)| *ready);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let conditions: serde_json::Map<_, _> =
        conditions.into_iter().map(|(name, ready)| (name.to_owned(), ready.into())).collect();
    (status, [(header::CACHE_CONTROL, "no-store")], Json(json!({"ready": ready, "conditions": conditions})))
}

async fn scrape(State(metrics): State<Metrics>) -> Result<impl IntoResponse, Problem> {
    let text = metrics.encode().map_err(|_| Problem::internal())?;
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}
