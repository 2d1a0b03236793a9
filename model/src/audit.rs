//! Audit events, their classes, and the chain that makes a change visible (DESIGN.md, "Events, by class").
//!
//! The chain is per (tenant, writer boot): gapless numbers from 1, each row's hash over the previous hash and
//! the hash of the encrypted payload, so that erasing a payload keeps the chain whole.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::ids::TenantId;

/// What happened. The spelling is stored in clear and is part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// An access token was issued.
    TokenIssued,
    /// A token request was denied by policy.
    TokenDenied,
    /// A token was revoked.
    TokenRevoked,
    /// A URL was signed.
    UrlSigned,
    /// Signing was denied by policy.
    UrlDenied,
    /// URLs were revoked.
    UrlRevoked,
    /// A counted URL was redeemed, or its uses were found spent.
    UrlUsed,
    /// A redemption was denied (spooled).
    RedeemDenied,
    /// Redemptions of a route in a minute (spooled).
    Redeemed,
    /// Redemptions of a route in a minute that a Shadow policy would have denied (spooled).
    RedeemShadow,
    /// Introspections of a client in a minute (spooled).
    Introspected,
    /// Spooled records were lost; the payload says how many.
    SpoolLost,
}

impl EventKind {
    /// The stored spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenIssued => "token_issued",
            Self::TokenDenied => "token_denied",
            Self::TokenRevoked => "token_revoked",
            Self::UrlSigned => "url_signed",
            Self::UrlDenied => "url_denied",
            Self::UrlRevoked => "url_revoked",
            Self::UrlUsed => "url_used",
            Self::RedeemDenied => "redeem_denied",
            Self::Redeemed => "redeemed",
            Self::RedeemShadow => "redeem_shadow",
            Self::Introspected => "introspected",
            Self::SpoolLost => "spool_lost",
        }
    }
}

/// An event before it is numbered, encrypted and chained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The tenant.
    pub tenant: TenantId,
    /// What happened.
    pub kind: EventKind,
    /// When, by the injected clock.
    pub at: Timestamp,
    /// Who, what, why: a small JSON object, encrypted before it is stored. No secret, no token.
    pub payload: serde_json::Value,
}

/// The hash of one link of the chain.
pub type LinkHash = [u8; 32];

/// What a link's hash covers.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// The previous link's hash; all zero before the first.
    pub previous: &'a LinkHash,
    /// The tenant.
    pub tenant: TenantId,
    /// The writer's boot.
    pub writer: Uuid,
    /// The gapless number within (tenant, writer), from 1.
    pub number: i64,
    /// Microseconds since the Unix epoch.
    pub at_micros: i64,
    /// The kind's stored spelling.
    pub kind: &'a str,
    /// SHA-256 of the encrypted payload.
    pub payload_hash: &'a [u8; 32],
}

/// The hash of a link: SHA-256 over a domain tag and fixed-width fields; the kind is last and length-prefixed.
#[must_use]
pub fn link_hash(link: &Link<'_>) -> LinkHash {
    let mut hash = Sha256::new();
    hash.update(b"authly audit link 1\n");
    hash.update(link.previous);
    hash.update(link.tenant.0.as_bytes());
    hash.update(link.writer.as_bytes());
    hash.update(link.number.to_be_bytes());
    hash.update(link.at_micros.to_be_bytes());
    hash.update(link.payload_hash);
    hash.update((link.kind.len() as u64).to_be_bytes());
    hash.update(link.kind.as_bytes());
    hash.finalize().into()
}
