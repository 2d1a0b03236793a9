//! The test laboratory: real parts for the suites in `tests/tests`, started on this machine and stopped with the run.
//!
//! Nothing here ships. A part that is missing is an error that says how to get it, never a skipped test.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

pub mod api;
pub mod api_proxy;
pub mod attacks;
pub mod audit;
pub mod chart;
pub mod controlplane;
pub mod database;
pub mod dev;
pub mod echo;
pub mod fault;
pub mod flood;
pub mod forge;
pub mod manifests;
pub mod objects;
pub mod operators;
pub mod postgres;
pub mod postgres_proxy;
pub mod process;
pub mod raw;
pub mod replicas;
pub mod rotating;
pub mod scratch;
pub mod slow;
pub mod stack;
pub mod verifier;

/// Whether the full forms of the suites were asked for.
pub fn is_long() -> bool {
    std::env::var_os("AUTHLY_LONG").is_some()
}
