//! Checks one audit chain, record by record, and names exactly what is wrong with it.
//!
//! Owns: telling an edited record from a removed, reordered, inserted or rewritten one, in bounded memory. Pure.
//! Never does: reading records or seals (the store's), opening payloads.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    audit::{Link, LinkHash, link_hash},
    ids::TenantId,
};

/// Records that do not fit are kept to find out whether they were only moved; beyond so many they count as edited.
const SUSPECTS: usize = 64;
/// Faults of one chain that are named; further ones are counted.
const NAMED: usize = 1000;

/// A record as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its number.
    pub seq: i64,
    /// Microseconds since the Unix epoch.
    pub at_micros: i64,
    /// The kind's stored spelling.
    pub kind: &'a str,
    /// The encrypted payload, unless it is erased.
    pub payload: Option<&'a [u8]>,
    /// SHA-256 of the payload.
    pub payload_hash: &'a [u8; 32],
    /// Its link.
    pub link: &'a LinkHash,
}

/// What a seal says about a chain: the link of the record with this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedLink {
    /// The record's number.
    pub seq: i64,
    /// Its link when it was sealed.
    pub link: LinkHash,
    /// The seal's number.
    pub seal: i64,
}

/// What is wrong with a chain. Numbers are those of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A record's kind, time, payload, hash or link was changed.
    #[error("record {seq} was edited")]
    Edited {
        /// Its number.
        seq: i64,
    },
    /// Records are missing before others.
    #[error("{} removed", records(*first, *last))]
    Removed {
        /// The first missing number.
        first: i64,
        /// The last.
        last: i64,
    },
    /// A record was moved.
    #[error("record {seq} was reordered: it was written as {was}")]
    Reordered {
        /// Where it stands.
        seq: i64,
        /// Where it belongs.
        was: i64,
    },
    /// There are two records with one number.
    #[error("a second record {seq} was inserted")]
    Inserted {
        /// The number.
        seq: i64,
    },
    /// The chain is whole in itself, but not the one that was sealed.
    #[error("records {first} to {last} were rewritten: seal {seal} holds another record {last}")]
    Rewritten {
        /// The first number that may be false: the one after the last record that is as sealed.
        first: i64,
        /// The sealed number.
        last: i64,
        /// The seal that says so.
        seal: i64,
    },
    /// The end of the chain is missing.
    #[error("{} cut off: seal {seal} holds record {last}", records(*first, *last))]
    Cut {
        /// The first missing number.
        first: i64,
        /// The last one that is sealed.
        last: i64,
        /// The seal that says so.
        seal: i64,
    },
    /// More faults than are named one by one.
    #[error("{count} more records do not fit")]
    More {
        /// How many.
        count: u64,
    },
}

fn records(first: i64, last: i64) -> String {
    if first == last { format!("record {first} was") } else { format!("records {first} to {last} were") }
}

/// A record that does not fit where it stands.
struct Suspect {
    seq: i64,
    at_micros: i64,
    kind: String,
    payload_hash: [u8; 32],
    link: LinkHash,
    /// What may be the link before it.
    previous: Vec<LinkHash>,
}

/// The check of one chain. Give it every record in the order of their numbers, then [`Self::finish`].
pub struct ChainCheck {
    tenant: TenantId,
    writer: Uuid,
    last: i64,
    /// What may be the link of `last`; unknown after a gap.
    heads: Vec<LinkHash>,
    /// The last number that is as sealed.
    proven: i64,
    rewritten: bool,
    suspects: Vec<Suspect>,
    faults: Vec<Fault>,
    more: u64,
}

impl ChainCheck {
    /// The check of this chain.
    #[must_use]
    pub fn new(tenant: TenantId, writer: Uuid) -> Self {
        let (suspects, faults) = (Vec::new(), Vec::new());
        Self { tenant, writer, last: 0, heads: vec![[0; 32]], proven: 0, rewritten: false, suspects, faults, more: 0 }
    }

    /// The highest number seen.
    #[must_use]
    pub const fn last(&self) -> i64 {
        self.last
    }

    /// Checks the next record, and against what is sealed of it.
    pub fn push(&mut self, record: &Record<'_>, sealed: Option<&SealedLink>) {
        if record.seq <= self.last {
            self.add(Fault::Inserted { seq: record.seq });
            self.heads.push(*record.link);
            return;
        }
        if record.seq > self.last + 1 {
            self.add(Fault::Removed { first: self.last + 1, last: record.seq - 1 });
            self.heads.clear();
        }
        self.last = record.seq;
        if record.payload.is_some_and(|payload| Sha256::digest(payload).as_slice() != record.payload_hash) {
            self.add(Fault::Edited { seq: record.seq });
        }
        let fits = self.heads.is_empty() || self.heads.iter().any(|head| self.link(head, record) == *record.link);
        if fits {
            self.heads = vec![*record.link];
            self.compare(record, sealed);
        } else {
            // Its link or what the link covers is false: the next one tells which.
            let covers = self.heads.first().map(|head| self.link(head, record));
            let previous =
                std::mem::replace(&mut self.heads, [Some(*record.link), covers].into_iter().flatten().collect());
            self.suspect(record, previous);
        }
    }

    /// Ends the check: `sealed` is the last that is sealed of the chain, if anything is.
    #[must_use]
    pub fn finish(mut self, sealed: Option<&SealedLink>) -> Vec<Fault> {
        self.resolve();
        if let Some(sealed) = sealed.filter(|sealed| sealed.seq > self.last) {
            self.faults.push(Fault::Cut { first: self.last + 1, last: sealed.seq, seal: sealed.seal });
        }
        if self.more > 0 {
            self.faults.push(Fault::More { count: self.more });
        }
        self.faults
    }

    fn add(&mut self, fault: Fault) {
        if self.faults.contains(&fault) {
            return;
        }
        if self.faults.len() < NAMED { self.faults.push(fault) } else { self.more += 1 }
    }

    fn compare(&mut self, record: &Record<'_>, sealed: Option<&SealedLink>) {
        match sealed.filter(|sealed| sealed.seq == record.seq) {
            Some(sealed) if sealed.link == *record.link => self.proven = record.seq,
            // Once a chain is another one, every later seal says so again.
            Some(sealed) if !self.rewritten => {
                self.rewritten = true;
                self.add(Fault::Rewritten { first: self.proven + 1, last: record.seq, seal: sealed.seal });
            }
            _ => {}
        }
    }

    fn suspect(&mut self, record: &Record<'_>, previous: Vec<LinkHash>) {
        if self.suspects.len() >= SUSPECTS {
            self.resolve();
        }
        self.suspects.push(Suspect {
            seq: record.seq,
            at_micros: record.at_micros,
            kind: record.kind.to_owned(),
            payload_hash: *record.payload_hash,
            link: *record.link,
            previous,
        });
    }

    /// Finds for each place of a suspect the record that belongs there; where there is none, its own was edited.
    fn resolve(&mut self) {
        let suspects = std::mem::take(&mut self.suspects);
        let mut before: Option<(i64, LinkHash)> = None;
        for place in &suspects {
            let known = before.filter(|(seq, _)| seq + 1 == place.seq).map(|(_, link)| link);
            let previous: Vec<LinkHash> = known.into_iter().chain(place.previous.iter().copied()).collect();
            let fits = |s: &&Suspect| previous.iter().any(|p| self.link_of(p, place.seq, s) == s.link);
            before = if fits(&place) {
                Some((place.seq, place.link))
            } else if let Some(moved) = suspects.iter().find(fits) {
                self.add(Fault::Reordered { seq: moved.seq, was: place.seq });
                Some((place.seq, moved.link))
            } else {
                self.add(Fault::Edited { seq: place.seq });
                None
            };
        }
    }

    fn link(&self, previous: &LinkHash, record: &Record<'_>) -> LinkHash {
        link_hash(&Link {
            previous,
            tenant: self.tenant,
            writer: self.writer,
            number: record.seq,
            at_micros: record.at_micros,
            kind: record.kind,
            payload_hash: record.payload_hash,
        })
    }

    fn link_of(&self, previous: &LinkHash, seq: i64, suspect: &Suspect) -> LinkHash {
        let Suspect { at_micros, kind, payload_hash, link, .. } = suspect;
        self.link(previous, &Record { seq, at_micros: *at_micros, kind, payload: None, payload_hash, link })
    }
}

#[cfg(test)]
mod tests;
