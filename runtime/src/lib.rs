//! What every role runs on: listeners that bound everything, who the client is, problem details, logs, metrics, health,
//! configuration checks, the cache of proofs and the way to stop.
//!
//! Owns: sockets that accept, the layer around every router (request id, access log, panics, metrics), trusted proxies.
//! Never does: SQL, OAuth, policies, TLS (an ingress terminates it).

mod access_log;
pub mod config;
mod edge;
#[cfg(test)]
mod fuzz;
pub mod health;
pub mod host;
mod http_metrics;
pub mod listener;
pub mod management;
pub mod metrics;
pub mod problem;
mod proofs;
pub mod request_id;
pub mod shutdown;
pub mod telemetry;
pub mod trusted;

pub use health::Health;
pub use listener::{Drained, Limits, Listener, ServeOptions, serve};
pub use metrics::Metrics;
pub use problem::Problem;
pub use proofs::{Proofs, Scope};
pub use request_id::RequestId;
pub use trusted::{ClientAddress, Networks, Peer};
