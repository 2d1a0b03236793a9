//! The one table that maps every OAuth error to code, status and description (RFC 6749 section 5.2,
//! RFC 7009 section 2.2.1, RFC 8707 section 2). Descriptions say what to do and never what is inside.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// Seconds after which a client may try again.
pub(crate) const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request at the token, introspection or revocation endpoint was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OAuthError {
    #[error("{0}")]
    InvalidRequest(String),
    #[error(
        "client authentication failed: check client_id, the secret or assertion, and the method registered for the client"
    )]
    InvalidClient,
    #[error("{0}")]
    InvalidGrant(&'static str),
    #[error("grant_type must be one of: client_credentials")]
    UnsupportedGrantType,
    #[error("{0}")]
    InvalidScope(String),
    #[error("{0}")]
    InvalidTarget(String),
    #[error("the client is suspended: ask the administrator of the tenant")]
    ClientSuspended,
    #[error("the tenant is suspended: ask the administrator of the platform")]
    TenantSuspended,
    #[error("denied by policy: {0}")]
    AccessDenied(String),
    #[error("the request body must be at most 64 KiB")]
    TooLarge,
    #[error("Content-Type must be application/x-www-form-urlencoded")]
    UnsupportedMediaType,
    #[error("the service cannot record the request now: try again after the time in Retry-After")]
    Unavailable,
    #[error("an internal error was logged with this request's id")]
    Internal,
}

impl OAuthError {
    fn code_and_status(&self) -> (&'static str, StatusCode) {
        match self {
            Self::InvalidRequest(_) => ("invalid_request", StatusCode::BAD_REQUEST),
            Self::InvalidClient => ("invalid_client", StatusCode::UNAUTHORIZED),
            Self::InvalidGrant(_) => ("invalid_grant", StatusCode::BAD_REQUEST),
            Self::UnsupportedGrantType => ("unsupported_grant_type", StatusCode::BAD_REQUEST),
            Self::InvalidScope(_) => ("invalid_scope", StatusCode::BAD_REQUEST),
            Self::InvalidTarget(_) => ("invalid_target", StatusCode::BAD_REQUEST),
            Self::ClientSuspended | Self::TenantSuspended => ("unauthorized_client", StatusCode::BAD_REQUEST),
            Self::AccessDenied(_) => ("access_denied", StatusCode::BAD_REQUEST),
            Self::TooLarge => ("invalid_request", StatusCode::PAYLOAD_TOO_LARGE),
            Self::UnsupportedMediaType => ("invalid_request", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::Unavailable => ("temporarily_unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal => ("server_error", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// The body of an error response (RFC 6749 section 5.2).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ErrorBody {
    /// The error code.
    error: &'static str,
    /// What went wrong and what to do.
    error_description: String,
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let (error, status) = self.code_and_status();
        let body = ErrorBody { error, error_description: describable(&self.to_string()) };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            // RFC 9110 section 11.6.1: every 401 names a scheme; for RFC 6749 section 5.2 it is the one that was used.
            Self::InvalidClient => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Basic realm=\"authly\", charset=\"UTF-8\""),
                );
            }
            Self::Unavailable => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            _ => {}
        }
        response
    }
}

/// `error_description` is limited to %x20-21 / %x23-5B / %x5D-7E (RFC 6749 section 5.2).
fn describable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
}

impl From<authly_model::grant::Refused> for OAuthError {
    fn from(refused: authly_model::grant::Refused) -> Self {
        use authly_model::grant::Refused;
        match refused {
            Refused::Scope(_) | Refused::ScopeSyntax => Self::InvalidScope(refused.to_string()),
            Refused::Resource(_) | Refused::TooManyResources => Self::InvalidTarget(refused.to_string()),
        }
    }
}
