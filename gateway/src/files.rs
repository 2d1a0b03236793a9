//! A backend that serves a folder, for dev mode and small installations. Paths are those that the signature covers;
//! `tower-http` refuses `..`; links in the folder are followed, so link only what may be served.

use std::path::Path;

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use tower_http::services::ServeDir;

/// A folder.
#[derive(Debug, Clone)]
pub(crate) struct Files(ServeDir);

impl Files {
    pub(crate) fn new(folder: &Path) -> Self {
        Self(ServeDir::new(folder).append_index_html_on_directories(false))
    }

    /// Answers a request whose target has no `sx-*` any more.
    pub(crate) async fn serve(&self, request: Request) -> Response {
        match self.0.clone().try_call(request).await {
            Ok(response) => response.map(Body::new).into_response(),
            // A name too long for the file system, a loop of links: there is no such file.
            Err(error) => {
                tracing::debug!(kind = %error.kind(), "a file could not be opened");
                StatusCode::NOT_FOUND.into_response()
            }
        }
    }
}
