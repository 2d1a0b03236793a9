//! Request ids: taken from `X-Request-Id` if sane, else made; echoed in the answer; in every log line of the request.
//!
//! Ids are unique, not secret: a random prefix per process and a counter, so that making one needs no randomness.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};

use crate::{Problem, edge::RequestContext};

/// The header, on requests and answers.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const MAX_LENGTH: usize = 64;

/// The id of a request: 1 to 64 of `A-Z a-z 0-9 . _ -`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id that the request carries, or a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(&HEADER).into_iter();
        match (given.next(), given.next()) {
            (Some(only), None) if is_sane(only.as_bytes()) => Self(only.clone()),
            _ => Self::new(),
        }
    }

    fn new() -> Self {
        static PREFIX: LazyLock<u64> = LazyLock::new(|| uuid::Uuid::new_v4().as_u64_pair().0);
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = u128::from(*PREFIX) << 64 | u128::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let mut text = [0; 32];
        let text = uuid::fmt::Simple::from_uuid(uuid::Uuid::from_u128(number)).encode_lower(&mut text);
        Self(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("0"))) // hex digits always fit a header
    }

    /// The id, for a request that is passed on.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

fn is_sane(bytes: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

tokio::task_local! {
    /// The id of the request that the current task answers; the log formatter reads it.
    pub(crate) static CURRENT: RequestId;
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<RequestContext>().map(|context| context.id.clone()).ok_or_else(Problem::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADER, RequestId};
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn only_a_single_sane_id_is_taken_over() {
        let with = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
            }
            RequestId::of(&headers)
        };
        assert_eq!(with(&[b"abc-1.2_Z"]).as_str(), "abc-1.2_Z");
        let long = [b'a'; 65];
        for bad in [&[&b""[..]][..], &[b"a b"], &[b"a\"b"], &[b"\xff"], &[&long], &[b"a", b"b"], &[]] {
            assert_eq!(with(bad).as_str().len(), 32, "{bad:?}");
        }
        assert_ne!(with(&[]), with(&[]));
    }
}
