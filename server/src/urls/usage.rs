//! `GET {issuer}/v1/signed-urls/{id}/usage`: how often a counted URL was redeemed.

use authly_runtime::problem::Problem;
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use serde::Serialize;

use super::revoke_one::own_or_permitted;
use crate::{api, app::App, bearer::Caller};

/// The uses of a URL.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Usage {
    /// The URL's id.
    id: String,
    /// Redemptions granted so far; 0 for a URL without the constraint `uses`.
    uses: u32,
}

/// Read the use count of a signed URL
#[utoipa::path(get, path = "/v1/signed-urls/{id}/usage", tag = "signed-urls",
    params(("id" = String, Path, description = "The id that signing answered")),
    responses((status = 200, description = "The use count", body = Usage),
              (status = 400, description = "Not an id"), (status = 401, description = "No valid token"),
              (status = 403, description = "Another client's URL"), (status = 503, description = "Try again")))]
pub(crate) async fn usage(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Usage>, Problem> {
    let id = own_or_permitted(&app, &caller, id).await?;
    let usage = app.store.url_usage(&caller.scope, &id.to_bytes()).await.map_err(|_| api::unavailable())?;
    Ok(Json(Usage { id: id.to_string(), uses: usage.map_or(0, |usage| usage.used) }))
}
