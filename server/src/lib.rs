//! The OAuth 2.1 server and the URL signing API of every tenant.
//!
//! Owns: HTTP handlers, their extractors and error tables. Never does: SQL (store), Cedar (policies), raw
//! cryptography (secrets, signed-url). The way of a request: [`issuer`] finds the tenant and builds its scope,
//! the handler parses, `model` decides, `store` acts, one commit, the answer.

mod api;
mod app;
mod bearer;
#[cfg(test)]
mod fuzz;
mod issuer;
mod keyring;
mod metrics;
mod oauth;
mod openapi;
mod urls;

pub use app::{App, AppParts};
pub use issuer::router;
pub use openapi::document;
