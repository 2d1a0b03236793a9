#![doc = include_str!("../README.md")]
//!
//! # The crate
//! Owns: the schema, the built-in policies, validation, the evaluator. Never does: I/O, ambient time, SQL; it knows no
//! tenant but the one whose set it evaluates (signed-url.md, "Cedar"; operator.md, rules 1, 3 and 12).

mod compile;
mod decision;
mod object_tests;
mod qualify;
mod request;
mod scan;
mod slice;
mod source;
mod tenant;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use compile::PolicyFailure;
pub use decision::{Decision, ShadowOutcome};
pub use object_tests::{PolicyTest, TestAction, TestFailure, TestReport, run_tests, validate};
pub use request::{Redeem, Request, RevokeScope, Sign, WhoRef};
pub use source::PolicyError;
pub use tenant::TenantPolicies;
