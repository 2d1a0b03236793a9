//! What a batch changes besides its records, coalesced and sorted, so that two writers never wait for each other in a ring.

use std::collections::BTreeMap;

use authly_model::ids::TenantId;
use jiff::Timestamp;

use super::record::{Effect, Outcome, Record};
use crate::{Granted, UrlRevocation, UseRequest, uses::UrlId};

/// The effects of a batch.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) uses: BTreeMap<(TenantId, UrlId), Debit>,
    pub(super) tokens: BTreeMap<(TenantId, String), Timestamp>,
    pub(super) urls: BTreeMap<(TenantId, &'static str, String), UrlRevocation>,
}

/// All debits of one URL in a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Debit {
    pub(super) k: u32,
    pub(super) max: u32,
    pub(super) expires_at: Timestamp,
}

/// What the database granted of a [`Debit`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled {
    pub(super) granted: u32,
    pub(super) used: u32,
    pub(super) max: u32,
}

impl Effects {
    pub(super) fn of(batch: &[Record]) -> Self {
        let mut effects = Self::default();
        for record in batch {
            match &record.effect {
                Effect::None => {}
                Effect::Use(request) => effects.debit(record.tenant, request),
                Effect::RevokeToken { jti, expires_at } => {
                    let latest = effects.tokens.entry((record.tenant, jti.clone())).or_insert(*expires_at);
                    *latest = (*latest).max(*expires_at);
                }
                Effect::RevokeUrls(revocation) => {
                    let (target, value) = revocation.target.to_row();
                    let entry = effects.urls.entry((record.tenant, target, value));
                    let merged = entry.or_insert_with(|| revocation.clone());
                    merged.before = merged.before.max(revocation.before);
                    merged.expires_at = merged.expires_at.max(revocation.expires_at);
                }
            }
        }
        effects
    }

    fn debit(&mut self, tenant: TenantId, request: &UseRequest) {
        let UseRequest { id, k, max, expires_at } = *request;
        let debit = self.uses.entry((tenant, id)).or_insert(Debit { k: 0, max, expires_at });
        debit.k = debit.k.saturating_add(k);
        debit.max = debit.max.min(max);
        debit.expires_at = debit.expires_at.max(expires_at);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.uses.is_empty() && self.tokens.is_empty() && self.urls.is_empty()
    }
}

/// Hands what was granted to the records, in their order.
pub(super) fn outcomes(batch: &[Record], mut settled: BTreeMap<(TenantId, UrlId), Settled>) -> Vec<Outcome> {
    let outcome = |record: &Record| {
        let Effect::Use(request) = &record.effect else { return Outcome::Recorded };
        let Some(of_url) = settled.get_mut(&(record.tenant, request.id)) else {
            return Outcome::Granted(Granted { granted: 0, used: 0 });
        };
        let granted = if request.k == 0 {
            u32::from(of_url.used < of_url.max)
        } else {
            let granted = request.k.min(of_url.granted);
            of_url.granted -= granted;
            granted
        };
        Outcome::Granted(Granted { granted, used: of_url.used })
    };
    batch.iter().map(outcome).collect()
}
