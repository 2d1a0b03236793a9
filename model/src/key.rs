//! Signing keys: algorithms, uses and states (DESIGN.md, "Keys, secrets, encryption").

use serde::{Deserialize, Serialize};

/// A JWS algorithm that Authly signs with (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519; the default.
    EdDSA,
    /// ECDSA P-256 with SHA-256.
    ES256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PSS with SHA-256.
    PS256,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 4] = [Self::EdDSA, Self::ES256, Self::RS256, Self::PS256];

    /// The `alg` value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDSA => "EdDSA",
            Self::ES256 => "ES256",
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
        }
    }

    /// The algorithm of this `alg` value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == text)
    }
}

/// What a key signs. Token keys and URL keys are apart, so that neither verifies for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyUse {
    /// Access tokens.
    Token,
    /// Signed URLs.
    Url,
}

impl KeyUse {
    /// The spelling in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Url => "url",
        }
    }
}

/// The life of a key: next → active → retiring → revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Published, not signing yet.
    Next,
    /// Signs and verifies; one per algorithm and use.
    Active,
    /// Verifies only.
    Retiring,
    /// Neither published nor accepted.
    Revoked,
}

impl KeyState {
    /// The spelling in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Revoked => "revoked",
        }
    }

    /// The state of this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Next, Self::Active, Self::Retiring, Self::Revoked].into_iter().find(|s| s.as_str() == text)
    }

    /// Whether the public key is in the JWKS.
    #[must_use]
    pub const fn is_published(self) -> bool {
        !matches!(self, Self::Revoked)
    }

    /// Whether a signature by this key is accepted. `Next` is: a replica may learn of the activation later than a verifier.
    #[must_use]
    pub const fn verifies(self) -> bool {
        !matches!(self, Self::Revoked)
    }
}
