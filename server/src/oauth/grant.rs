//! One file per grant type; `token.rs` dispatches.

pub(crate) mod client_credentials;
pub(crate) mod permits;
