//! OAuth 2.1 endpoints of a tenant.

pub(crate) mod access_token;
pub(crate) mod assertion;
pub(crate) mod assertion_keys;
pub(crate) mod client_auth;
pub(crate) mod documents;
pub(crate) mod error;
pub(crate) mod form;
pub(crate) mod grant;
pub(crate) mod introspect;
pub(crate) mod jwks;
pub(crate) mod jws;
pub(crate) mod metadata;
pub(crate) mod revoke;
pub(crate) mod token;

#[cfg(test)]
mod tests {
    use super::{introspect::introspect, token::token};

    /// What a request's future holds is copied at each layer that it goes through, which was a sixth of the time of a token
    /// (docs/performance.md). What few requests need belongs on the heap (`Box::pin`).
    #[test]
    fn a_request_takes_little_memory() {
        fn size<A, B, C, D, F: Future>(_: fn(A, B, C, D) -> F) -> usize {
            size_of::<F>()
        }
        let sizes = [("token", size(token)), ("introspect", size(introspect))];
        println!("{sizes:?}");
        assert!(sizes.iter().all(|(_, bytes)| *bytes <= 3 * 1024), "{sizes:?}");
    }
}
