//! Scenarios: the engine against a cluster in memory, which can fail at any write, and a real store.

mod cluster;
mod credentials;
mod existing;
mod failures;
pub(crate) mod lab;
mod lifecycle;
mod pepper;
mod purge;
mod restarts;
mod signing;
mod steps;
mod world;
