//! Seals of the audit chains: Merkle roots over chain heads, numbered, linked and signed (docs/decisions/0010-seals.md).
//!
//! Owns: what a leaf, a root and a seal's message are, byte for byte, and the spelling of an anchor. The tree is that of
//! RFC 9162 section 2.1.1, in constant memory. Never does: signatures (the crate `secrets`), SQL.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{audit::LinkHash, ids::TenantId};

/// A SHA-256 hash: of a seal, or of a node of its tree.
pub type SealHash = [u8; 32];

/// The head of one chain when it was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SealedHead {
    /// The tenant.
    pub tenant: TenantId,
    /// The writer's boot.
    pub writer: Uuid,
    /// The last number of the chain.
    pub seq: i64,
    /// The link of that record.
    pub link: LinkHash,
}

/// The Merkle root over heads, fed one by one in the order of (tenant, writer).
#[derive(Debug, Clone, Default)]
pub struct RootBuilder {
    /// Roots of complete subtrees, each larger than the next: one for each bit of `leaves`.
    stack: Vec<SealHash>,
    leaves: u64,
}

impl RootBuilder {
    /// Adds the next head.
    pub fn push(&mut self, head: &SealedHead) {
        let mut hash = Sha256::new();
        hash.update([0]);
        hash.update(head.tenant.0.as_bytes());
        hash.update(head.writer.as_bytes());
        hash.update(head.seq.to_be_bytes());
        hash.update(head.link);
        self.stack.push(hash.finalize().into());
        let mut complete = self.leaves;
        while complete & 1 == 1 {
            self.join();
            complete >>= 1;
        }
        self.leaves += 1;
    }

    /// How many heads were added.
    #[must_use]
    pub const fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The root; that of no head at all is the hash of nothing.
    #[must_use]
    pub fn root(mut self) -> SealHash {
        while self.stack.len() > 1 {
            self.join();
        }
        self.stack.pop().unwrap_or_else(|| Sha256::digest([]).into())
    }

    fn join(&mut self) {
        if let (Some(right), Some(left)) = (self.stack.pop(), self.stack.pop()) {
            let mut hash = Sha256::new();
            hash.update([1]);
            hash.update(left);
            hash.update(right);
            self.stack.push(hash.finalize().into());
        }
    }
}

/// A seal without its signature. It covers the heads that moved since the seal before, and through `previous` all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// Gapless, from 1.
    pub number: i64,
    /// The hash of the seal before; all zero before the first.
    pub previous: SealHash,
    /// When, by the injected clock; never before the seal before.
    pub at: Timestamp,
    /// How many heads are under the root.
    pub heads: i64,
    /// The Merkle root over them.
    pub root: SealHash,
    /// The Ed25519 key that signs it.
    pub public_key: [u8; 32],
}

impl Seal {
    /// What is signed: a domain tag and fixed-width fields.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let mut message = b"authly seal 1\n".to_vec();
        message.extend_from_slice(&self.number.to_be_bytes());
        message.extend_from_slice(&self.previous);
        message.extend_from_slice(&self.at.as_microsecond().to_be_bytes());
        message.extend_from_slice(&self.heads.to_be_bytes());
        message.extend_from_slice(&self.root);
        message.extend_from_slice(&self.public_key);
        message
    }

    /// What the next seal and an anchor name it by: SHA-256 of the message.
    #[must_use]
    pub fn hash(&self) -> SealHash {
        Sha256::digest(self.message()).into()
    }

    /// The anchor of this seal.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        Anchor { number: self.number, hash: self.hash() }
    }
}

/// A seal as it is kept outside of the database: `seal:NUMBER:HASH`, the hash as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The seal's number.
    pub number: i64,
    /// The seal's hash.
    pub hash: SealHash,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seal:{}:", self.number)?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is no anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a seal: write it as `authly audit verify` prints it, seal:NUMBER:HASH with 64 hexadecimal digits")]
pub struct BadAnchor;

impl FromStr for Anchor {
    type Err = BadAnchor;

    fn from_str(text: &str) -> Result<Self, BadAnchor> {
        let (number, digits) = text.strip_prefix("seal:").and_then(|rest| rest.split_once(':')).ok_or(BadAnchor)?;
        let number: i64 = number.parse().ok().filter(|number| *number > 0).ok_or(BadAnchor)?;
        if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadAnchor);
        }
        let mut hash = [0; 32];
        for (at, byte) in hash.iter_mut().enumerate() {
            let pair = digits.get(2 * at..2 * at + 2).ok_or(BadAnchor)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| BadAnchor)?;
        }
        Ok(Self { number, hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(n: u8) -> SealedHead {
        let writer = Uuid::from_bytes([n; 16]);
        SealedHead { tenant: TenantId(Uuid::from_u128(1)), writer, seq: i64::from(n), link: [n; 32] }
    }

    fn leaf(head: &SealedHead) -> SealHash {
        let fields = [&[0][..], head.tenant.0.as_bytes(), head.writer.as_bytes(), &head.seq.to_be_bytes(), &head.link];
        Sha256::digest(fields.concat()).into()
    }

    /// The definition of RFC 9162 section 2.1.1, word for word.
    fn defined(leaves: &[SealHash]) -> SealHash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            many => {
                let k = many.len().next_power_of_two() / 2;
                Sha256::digest([&[1][..], &defined(&many[..k]), &defined(&many[k..])].concat()).into()
            }
        }
    }

    #[test]
    fn the_streamed_root_is_the_defined_one() {
        for count in 0..70 {
            let heads: Vec<SealedHead> = (0..count).map(head).collect();
            let mut builder = RootBuilder::default();
            heads.iter().for_each(|head| builder.push(head));
            assert_eq!(builder.leaves(), u64::from(count));
            let leaves: Vec<SealHash> = heads.iter().map(leaf).collect();
            assert_eq!(builder.root(), defined(&leaves), "{count} heads");
        }
    }

    /// Computed with Python's hashlib from the documentation of the fields.
    #[test]
    fn known_answer() {
        let seal = Seal {
            number: 7,
            previous: [1; 32],
            at: Timestamp::from_microsecond(1_700_000_000_000_001).unwrap(),
            heads: 3,
            root: [2; 32],
            public_key: [3; 32],
        };
        let anchor = "seal:7:f982baa5c359ff499a1a44887d1a120217d0804c82498143caef27a5d0659454";
        assert_eq!(seal.anchor().to_string(), anchor);
        assert_eq!(anchor.parse::<Anchor>(), Ok(seal.anchor()));
        let mut builder = RootBuilder::default();
        [head(1), head(2), head(3)].iter().for_each(|head| builder.push(head));
        assert_eq!(
            Anchor { number: 1, hash: builder.root() }.to_string(),
            "seal:1:58eee117bf08cf3b0e2a4c0ccb9a4647dacbf1c09de3f18fa2ff20b98a90555f"
        );
    }

    #[test]
    fn what_is_no_anchor_is_refused() {
        let digits = "0".repeat(64);
        for text in
            ["", "seal:1", "seal:0:", &format!("seal:0:{digits}"), &format!("seal:-1:{digits}"), &format!("1:{digits}")]
        {
            assert_eq!(text.parse::<Anchor>(), Err(BadAnchor), "{text}");
        }
        assert_eq!(format!("seal:1:{}", "é".repeat(32)).parse::<Anchor>(), Err(BadAnchor));
        assert_eq!(format!("seal:1:{digits}0").parse::<Anchor>(), Err(BadAnchor));
        assert!(format!("seal:1:{digits}").parse::<Anchor>().is_ok());
    }
}
