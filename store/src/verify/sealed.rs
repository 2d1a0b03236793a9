//! The seals: gapless, linked, signed, each root over its heads, and the anchor among them.

use std::collections::{BTreeSet, VecDeque};

use authly_model::seal::{RootBuilder, SealHash, SealedHead};
use authly_secrets::verify_sealed;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{AuditReport, Finding, PAGE, SealFault, Trusted};
use crate::{
    Result,
    seals::{self, StoredSeal},
};

/// Verifies all seals; the tenants that have heads under them.
pub(super) async fn verify(
    conn: &mut PgConnection,
    trusted: Trusted,
    report: &mut AuditReport,
) -> Result<BTreeSet<Uuid>> {
    let mut heads = Heads::default();
    let mut before = Before { number: 0, hash: Some([0; 32]) };
    loop {
        let page = seals::page(conn, before.number, PAGE.into()).await?;
        if page.is_empty() {
            break;
        }
        for stored in page {
            let number = stored.seal.number;
            for fault in faults(&stored, &before, trusted) {
                let first = if matches!(fault, SealFault::Removed { .. }) { before.number + 1 } else { number };
                report.find(Finding::Seal { number: first, fault });
            }
            let (root, count) = heads.root_of(conn, number).await?;
            if root != stored.seal.root || i64::try_from(count) != Ok(stored.seal.heads) {
                report.find(Finding::Seal { number, fault: SealFault::Heads });
            }
            report.seals += 1;
            report.keys.insert(stored.seal.public_key);
            before = Before { number, hash: Some(stored.seal.hash()) };
            report.last = Some(stored.seal);
        }
    }
    if let Some(anchor) = trusted.anchor.filter(|anchor| anchor.number > before.number) {
        let fault = SealFault::Removed { last: anchor.number };
        report.find(Finding::Seal { number: before.number + 1, fault });
    }
    heads.rest(conn).await?;
    Ok(heads.tenants)
}

struct Before {
    number: i64,
    /// `None` never matches: what is missing cannot be followed.
    hash: Option<SealHash>,
}

fn faults(stored: &StoredSeal, before: &Before, trusted: Trusted) -> Vec<SealFault> {
    let seal = &stored.seal;
    let gap = seal.number > before.number + 1;
    let checks = [
        (gap, SealFault::Removed { last: seal.number - 1 }),
        (!gap && before.hash != Some(seal.previous), SealFault::Unlinked),
        (!verify_sealed(&seal.public_key, &seal.message(), &stored.signature), SealFault::Signature),
        (trusted.key.is_some_and(|key| key != seal.public_key), SealFault::ForeignKey),
        (trusted.anchor.is_some_and(|a| a.number == seal.number && a.hash != seal.hash()), SealFault::NotTheAnchor),
    ];
    checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, fault)| fault).collect()
}

/// The heads under all seals, in order, a page at a time.
#[derive(Default)]
struct Heads {
    page: VecDeque<(i64, SealedHead)>,
    after: (i64, Uuid, Uuid),
    tenants: BTreeSet<Uuid>,
}

impl Heads {
    /// The root over the heads of a seal, and how many there are. Heads of numbers before it belong to no seal.
    async fn root_of(&mut self, conn: &mut PgConnection, number: i64) -> Result<(SealHash, u64)> {
        let mut root = RootBuilder::default();
        while let Some((seal, head)) = self.peek(conn).await? {
            if seal > number {
                break;
            }
            if seal == number {
                root.push(&head);
            }
            self.page.pop_front();
        }
        let count = root.leaves();
        Ok((root.root(), count))
    }

    /// Heads of seals that are missing: their tenants are looked at as well.
    async fn rest(&mut self, conn: &mut PgConnection) -> Result<()> {
        while self.peek(conn).await?.is_some() {
            self.page.pop_front();
        }
        Ok(())
    }

    async fn peek(&mut self, conn: &mut PgConnection) -> Result<Option<(i64, SealedHead)>> {
        if self.page.is_empty() {
            self.page = seals::heads(conn, self.after, PAGE).await?.into();
            if let Some((seal, head)) = self.page.back() {
                self.after = (*seal, head.tenant.0, head.writer);
            }
            self.tenants.extend(self.page.iter().map(|(_, head)| head.tenant.0));
        }
        Ok(self.page.front().copied())
    }
}
