//! `POST {issuer}/v1/signed-urls/batch`: up to 1,000 URLs in one request, each judged by itself, answered in order, once all of their
//! audit records are durable, which is one commit.

use authly_runtime::problem::Problem;
use axum::{
    Json,
    extract::{FromRequest, Request, State},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    issue::{Issued, Issuer, SignResponse},
    spec::SignRequest,
};
use crate::{api, app::App, bearer::Caller};

/// The most URLs of one request.
const MAX_URLS: usize = 1000;
/// The largest body: a kilobyte for each of them.
const MAX_BODY: usize = 1024 * 1024;
/// After so many signatures other requests have their turn.
const TURN: usize = 16;

/// What a client asks to be signed.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchRequest {
    /// 1 to 1,000 signing requests.
    #[schema(value_type = Vec<SignRequest>, min_items = 1, max_items = 1000)]
    requests: Vec<Value>,
}

/// One result for each request, in the same order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct BatchResponse {
    results: Vec<BatchResult>,
}

/// What became of one request.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct BatchResult {
    /// What the request would have been answered by itself: 201, 400, 403, 404.
    status: u16,
    /// The signed URL, with 201.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<Box<SignResponse>>,
    /// Why there is none (RFC 9457), with any other status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    problem: Option<Value>,
}

impl<S: Send + Sync> FromRequest<S> for BatchRequest {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let batch: Self = api::json(request, MAX_BODY).await?;
        if (1..=MAX_URLS).contains(&batch.requests.len()) {
            return Ok(batch);
        }
        Err(api::invalid(format!("requests must be 1 to {MAX_URLS} signing requests")))
    }
}

/// Sign many URLs
///
/// Each is judged as if it were asked for alone; one that is refused harms no other. Nothing is answered before all audit records are
/// durable: with 503 none of the URLs is handed out.
#[utoipa::path(post, path = "/v1/signed-urls/batch", tag = "signed-urls", request_body = BatchRequest,
    responses((status = 200, description = "One result for each, in order", body = BatchResponse),
              (status = 400, description = "Not of this shape"), (status = 401, description = "No valid token"),
              (status = 403, description = "The token lacks the scope"), (status = 413, description = "Too large"),
              (status = 415, description = "Not JSON"), (status = 503, description = "Try again")))]
pub(crate) async fn batch(
    State(app): State<App>,
    caller: Caller,
    BatchRequest { requests }: BatchRequest,
) -> Result<Json<BatchResponse>, Problem> {
    let issuer = Issuer::of(&app, &caller).await?;
    let (mut results, mut events) = (Vec::with_capacity(requests.len()), Vec::with_capacity(requests.len()));
    for (place, request) in requests.into_iter().enumerate() {
        if place % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        let mut issued = match serde_json::from_value::<SignRequest>(request) {
            Ok(request) => issuer.issue(&request),
            Err(error) => Issued::Invalid(api::invalid(error.to_string())),
        };
        events.extend(issued.take_event());
        results.push(issued);
    }
    app.committer.record_all(&caller.scope, events).await.map_err(|_| api::unavailable())?;
    Ok(Json(BatchResponse { results: results.into_iter().map(|issued| result(&app, issued)).collect() }))
}

fn result(app: &App, issued: Issued) -> BatchResult {
    let refused = |problem: Problem| BatchResult {
        status: problem.status().as_u16(),
        signed: None,
        problem: Some(problem.to_json()),
    };
    match issued {
        Issued::Signed(signed, _) => {
            app.metrics.url_signed();
            BatchResult { status: 201, signed: Some(signed), problem: None }
        }
        Issued::Denied(problem, _) => {
            app.metrics.url_denied();
            refused(problem)
        }
        Issued::Invalid(problem) => refused(problem),
    }
}
