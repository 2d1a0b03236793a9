//! The pure domain of Authly: ids, clock, tenants, clients, routes, policies, retention, tokens,
//! keys, events and the diff between what is declared and what is stored.
//!
//! Owns: the types that travel between `desired`, `store`, `server`, `gateway` and `operator`, and
//! the decisions that need no I/O. Never does: I/O, SQL, HTTP, Kubernetes, ambient time or randomness.

pub mod audit;
pub mod chain;
pub mod client;
pub mod clock;
pub mod diff;
pub mod duration;
pub mod feed;
pub mod follow;
pub mod grant;
pub mod ids;
pub mod key;
pub mod policy;
pub mod retention;
pub mod rotation;
pub mod route;
pub mod seal;
pub mod tenant;
pub mod token;
