//! The commands other than dev mode: parse, connect, run, drain.

pub(crate) mod admin;
pub(crate) mod audit;
pub(crate) mod crds;
pub(crate) mod gateway;
pub(crate) mod migrate;
pub(crate) mod operator;
pub(crate) mod server;
