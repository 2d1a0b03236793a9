//! The small values in constraints.
//!
//! Owns digests of headers, countries and thumbprints, each with one spelling. Never keeps the header itself.
//! Governed by "Native format `sx1`", CONSTRAINTS; RFC 7638.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::{Refusal, spelling};

/// The first 96 bits of SHA-256 of a header's value, taken raw: 16 base64url characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HeaderDigest(pub [u8; 12]);

impl HeaderDigest {
    /// Of the bytes of the header's value.
    pub fn of(value: &[u8]) -> Self {
        let mut digest = [0; 12];
        for (to, from) in digest.iter_mut().zip(Sha256::digest(value)) {
            *to = from;
        }
        Self(digest)
    }

    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        spelling::base64_array(text, "o and a are 16 base64url characters of the header's SHA-256; correct it")
            .map(Self)
    }
}

impl fmt::Display for HeaderDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spelling::base64(&self.0))
    }
}

/// Two upper-case letters, as in ISO 3166-1; whether the code is assigned is not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Reads `DE`, never `de`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        match *text.as_bytes() {
            [first @ b'A'..=b'Z', second @ b'A'..=b'Z'] => Ok(Self([first, second])),
            _ => Err(Refusal::NotCanonical("g is a country code of two upper-case letters; correct it")),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

/// The SHA-256 thumbprint of a JWK (RFC 7638): 43 base64url characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint(pub [u8; 32]);

impl Thumbprint {
    /// Reads 43 base64url characters whose last two bits are zero.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        spelling::base64_array(text, "j is the key's SHA-256 thumbprint, 43 base64url characters; correct it").map(Self)
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spelling::base64(&self.0))
    }
}
