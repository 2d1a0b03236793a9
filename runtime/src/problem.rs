//! Problem details (RFC 9457): the one form of errors of Authly's own APIs.
//!
//! The type of a problem is `https://authly.dev/problems/<code>`; a code never changes its meaning. Never shows internals.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

/// The media type of RFC 9457 section 3.
pub const CONTENT_TYPE: &str = "application/problem+json";
/// What a problem's type starts with; its code follows.
pub const TYPE_BASE: &str = "https://authly.dev/problems/";

/// Members with a meaning of their own (RFC 9457 section 3.1); extensions never overwrite them.
const RESERVED: [&str; 5] = ["type", "title", "status", "detail", "instance"];

/// An error answer. Boxed, because it travels in the error half of many small results.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone, PartialEq)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Option<Cow<'static, str>>,
    instance: Option<String>,
    extensions: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with a code such as `used_up` and a short title that is the same for every occurrence.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        let (extensions, headers) = (Map::new(), Vec::new());
        Self(Box::new(Inner { status, code, title, detail: None, instance: None, extensions, headers }))
    }

    /// 400: the request is not well-formed.
    #[must_use]
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", "The request is not well-formed").detail(detail)
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here")
    }

    /// 405.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This method is not supported here")
    }

    /// 500: says nothing but where to look.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side")
            .detail("look for the X-Request-Id of this answer in the logs")
    }

    /// 503 with `Retry-After` (RFC 9110 section 10.2.3).
    #[must_use]
    pub fn unavailable(detail: impl Into<Cow<'static, str>>, retry_after_seconds: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The service cannot answer now")
            .detail(detail)
            .header(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds))
    }

    /// What happened this time and what to do about it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// A URI reference of this occurrence.
    #[must_use]
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.0.instance = Some(instance.into());
        self
    }

    /// An extension member (RFC 9457 section 3.2). The five standard names are ignored here.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        if !RESERVED.contains(&name) {
            self.0.extensions.insert(name.to_owned(), value.into());
        }
        self
    }

    /// A header of the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The code: the last segment of the type.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The body.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut body = self.0.extensions.clone();
        body.insert("type".to_owned(), format!("{TYPE_BASE}{}", self.0.code).into());
        body.insert("title".to_owned(), self.0.title.into());
        body.insert("status".to_owned(), self.0.status.as_u16().into());
        if let Some(detail) = &self.0.detail {
            body.insert("detail".to_owned(), detail.as_ref().into());
        }
        if let Some(instance) = &self.0.instance {
            body.insert("instance".to_owned(), instance.as_str().into());
        }
        Value::Object(body)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        let mut response = (self.0.status, headers, self.to_json().to_string()).into_response();
        for (name, value) in self.0.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

/// A router's fallback: `router.fallback(problem::not_found)`.
pub async fn not_found() -> Problem {
    Problem::not_found()
}

/// A router's fallback for methods: `router.method_not_allowed_fallback(problem::method_not_allowed)`.
pub async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}

#[cfg(test)]
mod tests {
    use super::Problem;
    use axum::response::IntoResponse;
    use http::StatusCode;
    use serde_json::json;

    #[test]
    fn has_the_members_of_rfc_9457_and_extensions_beside_them() {
        let problem = Problem::new(StatusCode::GONE, "used_up", "All uses are spent")
            .detail("ask for a new URL")
            .instance("/v1/signed-urls/x")
            .with("uses", 3)
            .with("status", 200);
        assert_eq!(
            problem.to_json(),
            json!({"type": "https://authly.dev/problems/used_up", "title": "All uses are spent", "status": 410,
                   "detail": "ask for a new URL", "instance": "/v1/signed-urls/x", "uses": 3})
        );
        let response = Problem::unavailable("the store is down", 2).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
