//! Manifests → the desired state of a tenant (operator.md, rules 1 to 4, 9, 10 and 13). Pure: no Kubernetes client, no
//! I/O, no clock. Shared by operator, dev mode and tests.
//!
//! [`manifest::parse`] reads a file; [`validate`] is the API server's verdict on one object; [`World`] holds all objects
//! of an installation; [`desired`] resolves one tenant into what must be served and a [`Verdict`] per object.

pub mod admission;
mod claims;
pub mod defaults;
mod keys;
pub mod manifest;
mod object;
mod policy_check;
mod resolve;
mod schema;
mod verdict;
mod world;
mod yaml;

pub use admission::{Violation, validate};
pub use claims::{StoredClaims, StoredTenant, TenantOwner};
pub use manifest::{Manifest, ManifestError, parse};
pub use object::{Namespace, Object, object_name};
pub use resolve::{Resolved, desired};
pub use verdict::{Effective, Reason, Refusal, Verdict};
pub use world::{World, secret_of};
pub use yaml::Positions;
