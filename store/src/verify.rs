//! `authly audit verify`: every chain of every tenant and every seal, read in one consistent view and in bounded memory.
//!
//! Owns: what is read and in which order, and the report. Role jobs, which is read-only here: it sees payloads as ciphertext
//! and needs no key. Never does: opening payloads; deciding what is wrong with one chain (`authly_model::chain`).

mod chains;
mod sealed;

use std::{collections::BTreeSet, fmt};

use authly_model::{
    chain::Fault,
    ids::TenantId,
    seal::{Anchor, Seal},
};
use uuid::Uuid;

use crate::{Result, Store};

/// Rows of one page.
const PAGE: i32 = 500;
/// Findings that are named; further ones are counted.
const NAMED: usize = 10_000;

/// What is trusted from outside of the database.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trusted {
    /// A seal that was kept.
    pub anchor: Option<Anchor>,
    /// The public sealing key that every seal must be signed with.
    pub key: Option<[u8; 32]>,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct AuditReport {
    /// Tenants with records or seals.
    pub tenants: u64,
    /// Chains: one for each tenant and writer.
    pub chains: u64,
    /// Records.
    pub records: u64,
    /// Records without a payload, erased by retention.
    pub erased: u64,
    /// Records that no seal covers yet.
    pub unsealed: u64,
    /// Seals.
    pub seals: u64,
    /// The last seal.
    pub last: Option<Seal>,
    /// The public keys that signed the seals.
    pub keys: BTreeSet<[u8; 32]>,
    /// What is wrong, the seals first.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub more: u64,
}

/// One thing that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// With a chain.
    Chain {
        /// The tenant.
        tenant: TenantId,
        /// The writer's boot.
        writer: Uuid,
        /// What.
        fault: Fault,
    },
    /// With a seal.
    Seal {
        /// Its number.
        number: i64,
        /// What.
        fault: SealFault,
    },
}

/// What is wrong with a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// It and those up to `last` are missing.
    #[error("removed, up to seal {last}")]
    Removed {
        /// The last missing number.
        last: i64,
    },
    /// It does not carry the hash of the seal before it.
    #[error("does not follow the seal before it: one of them is forged")]
    Unlinked,
    /// The signature is not that of its key.
    #[error("forged: its signature is not that of its key")]
    Signature,
    /// It is signed by another key than the trusted one.
    #[error("forged: it is not signed by the given key")]
    ForeignKey,
    /// It is another one than the anchor.
    #[error("forged: it is not the seal that was given as anchor")]
    NotTheAnchor,
    /// The heads under it do not give its root.
    #[error("its heads were edited, added or removed: they do not give its root")]
    Heads,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain { tenant, writer, fault } => write!(f, "tenant {tenant} writer {writer}: {fault}"),
            Self::Seal { number, fault } => write!(f, "seal {number}: {fault}"),
        }
    }
}

impl AuditReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty() && self.more == 0
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < NAMED { self.findings.push(finding) } else { self.more += 1 }
    }
}

/// Verifies everything that is committed now. Role jobs.
///
/// # Errors
/// `Unavailable`; `Damaged` if a row has another shape than this binary knows. What is wrong with records and seals is in
/// the report, not an error.
pub async fn verify(store: &Store, trusted: Trusted) -> Result<AuditReport> {
    let mut report = AuditReport::default();
    let mut tx = store.begin_snapshot().await?;
    let mut tenants = sealed::verify(&mut tx, trusted, &mut report).await?;
    let known = sqlx::query_scalar!("-- roles: server, gateway, operator, jobs\nSELECT id FROM tenant ORDER BY id")
        .fetch_all(&mut *tx)
        .await
        .map_err(|e| store.failed(e))?;
    tenants.extend(known);
    for tenant in tenants {
        chains::verify(&mut tx, TenantId(tenant), &mut report).await?;
    }
    tx.rollback().await.map_err(|e| store.failed(e))?;
    Ok(report)
}
