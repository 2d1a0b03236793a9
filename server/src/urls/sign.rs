//! `POST {issuer}/v1/signed-urls`: a signed URL, or a token for a prefix, if the policies of the tenant permit it.

use authly_runtime::problem::Problem;
use axum::{Json, extract::State, response::IntoResponse};
use http::StatusCode;

use super::{
    issue::{Issued, Issuer, SignResponse},
    spec::SignRequest,
};
use crate::{
    api::{self, StrictJson},
    app::App,
    bearer::Caller,
};

/// Sign a URL
///
/// Answers after the audit record is durable. A denial names the policies that decided. With `prefix` in place of `path`, a token
/// that is good for everything below it.
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
    let mut issued = Issuer::of(&app, &caller).await?.issue(&request);
    if let Some((kind, record)) = issued.take_event() {
        app.record(&caller.scope, kind, record).await.map_err(|_| api::unavailable())?;
    }
    match issued {
        Issued::Signed(answer, _) => {
            app.metrics.url_signed();
            Ok((StatusCode::CREATED, Json(answer)))
        }
        Issued::Denied(problem, _) => {
            app.metrics.url_denied();
            Err(problem)
        }
        Issued::Invalid(problem) => Err(problem),
    }
}
