//! The chains of one writer boot: one per tenant, gapless numbers from 1, each link over the previous one.
//!
//! A number is used again only after a definite answer that it was not written. After an unclear one, or in another history of
//! the store, the writer takes a new id: its chains end where they end, whole either way, and new ones begin.

use std::{collections::HashMap, sync::Arc};

use authly_model::{
    audit::{Link, LinkHash, link_hash},
    ids::TenantId,
};
use authly_secrets::AuditSealer;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::record::{Outcome, Record};
use crate::{Result, StoreError};

/// The chains of a writer.
pub(super) struct Chains {
    pub(super) writer: Uuid,
    of: HashMap<TenantId, Chain>,
}

struct Chain {
    sealer: AuditSealer,
    /// Whether its sealed key is stored.
    registered: bool,
    head: Head,
}

#[derive(Clone, Copy)]
struct Head {
    seq: i64,
    link: LinkHash,
}

/// The columns of a batch, encrypted and chained; what the heads become once it is committed.
#[derive(Default)]
pub(super) struct Sealed {
    pub(super) tenants: Vec<Uuid>,
    pub(super) seqs: Vec<i64>,
    pub(super) kinds: Vec<&'static str>,
    pub(super) payloads: Vec<Vec<u8>>,
    pub(super) payload_hashes: Vec<Vec<u8>>,
    pub(super) links: Vec<Vec<u8>>,
    heads: HashMap<TenantId, Head>,
}

impl Chains {
    /// Chains of a new writer.
    pub(super) fn new() -> Self {
        Self { writer: Uuid::new_v4(), of: HashMap::new() }
    }

    /// Makes the tenant's chain, if this writer has none yet.
    pub(super) fn open(&mut self, tenant: TenantId, audit_public: &Arc<[u8]>) -> Result<()> {
        if !self.of.contains_key(&tenant) {
            let sealer = AuditSealer::new(tenant, self.writer, audit_public)
                .map_err(|e| StoreError::Refused(format!("the tenant's audit key cannot be used: {e}")))?;
            self.of.insert(tenant, Chain { sealer, registered: false, head: Head { seq: 0, link: [0; 32] } });
        }
        Ok(())
    }

    /// Tenants of the batch whose sealed key is not stored yet, with it, in order.
    pub(super) fn unregistered(&self, batch: &[Record]) -> (Vec<Uuid>, Vec<Vec<u8>>) {
        let mut tenants: Vec<TenantId> = batch.iter().map(|r| r.tenant).collect();
        tenants.sort_unstable();
        tenants.dedup();
        let chains = tenants.iter().filter_map(|t| Some((t.0, self.of.get(t)?)));
        chains.filter(|(_, c)| !c.registered).map(|(t, c)| (t, c.sealer.sealed_key().to_vec())).unzip()
    }

    /// Encrypts and chains a batch; the heads stay until [`Self::committed`].
    pub(super) fn seal(&self, batch: &[Record], outcomes: &[Outcome], at: Timestamp) -> Result<Sealed> {
        let mut sealed = Sealed::default();
        for (record, outcome) in batch.iter().zip(outcomes) {
            let missing = || StoreError::Refused("the tenant has no audit chain".into());
            let chain = self.of.get(&record.tenant).ok_or_else(missing)?;
            let head = sealed.heads.entry(record.tenant).or_insert(chain.head);
            let number = head.seq + 1;
            let payload = chain
                .sealer
                .seal(number, &record.plain(outcome))
                .map_err(|e| StoreError::Refused(format!("the record cannot be encrypted: {e}")))?;
            let payload_hash: [u8; 32] = Sha256::digest(&payload).into();
            let link = link_hash(&Link {
                previous: &head.link,
                tenant: record.tenant,
                writer: self.writer,
                number,
                at_micros: at.as_microsecond(),
                kind: record.kind.as_str(),
                payload_hash: &payload_hash,
            });
            *head = Head { seq: number, link };
            sealed.tenants.push(record.tenant.0);
            sealed.seqs.push(number);
            sealed.kinds.push(record.kind.as_str());
            sealed.payloads.push(payload);
            sealed.payload_hashes.push(payload_hash.to_vec());
            sealed.links.push(link.to_vec());
        }
        Ok(sealed)
    }

    /// The batch is in the database: the heads move.
    pub(super) fn committed(&mut self, sealed: Sealed) {
        for (tenant, head) in sealed.heads {
            if let Some(chain) = self.of.get_mut(&tenant) {
                chain.head = head;
                chain.registered = true;
            }
        }
    }
}
