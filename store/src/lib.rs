//! The store: the only SQL of Authly (DESIGN.md, "Store").
//!
//! Owns: migrations, roles and row security, the walls between tenants, the configuration feed and the snapshot
//! that every replica serves from, group commit and the audit chain, use counts, revocations, the operator's
//! writes, background jobs. Never does: HTTP, decisions about tokens or URLs, unwrapped key material.
//!
//! A function that touches one tenant's rows takes a [`TenantScope`]; only [`LiveTenant::scope`] makes one. What
//! sees several tenants is behind [`Live`], [`Committer`], [`Leader`] or [`jobs`].

// `store/prepare` migrates a database first; only then can the queries below be checked.
#![cfg(not(feature = "bootstrap"))]

mod backoff;
mod committer;
mod connect;
mod ephemeral;
mod error;
mod feed;
mod hex;
mod hints;
mod history;
pub mod jobs;
mod keys;
mod leader;
mod live;
mod migrate;
mod replica;
mod revocation;
mod rewrap;
mod role;
mod scope;
mod seals;
mod time;
mod uses;
pub mod verify;

pub use backoff::Backoff;
pub use committer::{Committer, CommitterStats, Limits};
pub use connect::{ConnectOptions, Store};
pub use error::{Claim, Conflict, Result, StoreError};
pub use hints::Hints;
pub use keys::PrivateKey;
pub use leader::{Batch, Claims, KeyChange, KeyChanges, Leader, PepperChange, RetentionRun, StoredTenant};
pub use live::{Caps, Live, LiveClient, LiveKey, LiveTenant, Snapshot};
pub use migrate::{Login, login_name, migrate};
pub use replica::{LoadFailure, Replica, ReplicaIdentity, ReplicaRole};
pub use revocation::{Revocations, UrlFacts, UrlRevocation, UrlTarget};
pub use rewrap::Rewrapped;
pub use role::Role;
pub use scope::{Actor, TenantScope};
pub use uses::{Granted, UrlId, UrlUsage, UseRequest};
