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
