//! The gateway: redeems signed URLs as a reverse proxy and as the judge of other proxies (forward-auth).
//!
//! Owns: what a request presents, the decision, the way to the backend. Never does: SQL (store), signature formats
//! (signed-url), Cedar (policies). It holds no secret: it verifies with published keys alone. The way of a request:
//! `presented` → `redeem` (`proof`) → `proxy` or `forward_auth`.

mod answer;
mod app;
mod backend;
mod files;
mod forward_auth;
#[cfg(test)]
mod fuzz;
mod headers;
mod keys;
mod metrics;
mod presented;
mod progress;
mod proof;
mod proxy;
mod redeem;

pub use app::{Gateway, GatewayParts, KEPT_BYTES, router};
pub use backend::{BadService, Services};
