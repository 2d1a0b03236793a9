//! Names of keys and of URLs.
//!
//! Owns KID, ID and the tags in it. Never makes randomness or reads a clock: both are arguments.
//! Governed by "Native format `sx1`", KID and ID.

use std::fmt;

use hmac::Mac as _;

use crate::keys::hmac_sha256;
use crate::{Refusal, spelling};

/// Six bytes that stand for a subject or a client within one tenant; all zero means "none".
pub type Tag = [u8; 6];

/// The id of a key: nine random bytes, the JWKS `kid` when spelled.
///
/// It says nothing about the tenant or the algorithm: look it up only together with the route's tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kid(pub [u8; 9]);

impl Kid {
    /// Reads twelve base64url characters.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        spelling::base64_array(text, "sx-k is 12 base64url characters; use the JWKS kid").map(Self)
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spelling::base64(&self.0))
    }
}

/// What a tag stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagKind {
    /// A person (`u`): the subject tag.
    User,
    /// An OAuth client (`c`): the client tag.
    Client,
}

/// Makes the tag of `id` with the tenant's tag key: HMAC-SHA-256 over kind, a NUL and the id, cut to six bytes.
pub fn tag(key: &[u8], kind: TagKind, id: &str) -> Tag {
    let mut mac = hmac_sha256(key);
    mac.update(match kind {
        TagKind::User => b"u\0",
        TagKind::Client => b"c\0",
    });
    mac.update(id.as_bytes());
    let mut tag = Tag::default();
    for (to, from) in tag.iter_mut().zip(mac.finalize().into_bytes()) {
        *to = from;
    }
    tag
}

/// The id of one URL: enough to revoke by URL, subject, client or time of issue without a row per URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UrlId {
    /// When it was issued, in Unix seconds.
    pub issued_at: u32,
    /// The subject's tag, zero if there is none.
    pub subject: Tag,
    /// The client's tag, zero if there is none.
    pub client: Tag,
    /// Eight bytes from a cryptographic generator.
    pub random: [u8; 8],
}

impl UrlId {
    /// Puts an id together; `issued_at` is the present in Unix seconds.
    pub fn new(issued_at: i64, subject: Option<Tag>, client: Option<Tag>, random: [u8; 8]) -> Result<Self, Refusal> {
        let issued_at = u32::try_from(issued_at)
            .map_err(|_| Refusal::InvalidSpec("the issue time lies before 1970 or after 2106; set the clock"))?;
        Ok(Self { issued_at, subject: subject.unwrap_or_default(), client: client.unwrap_or_default(), random })
    }

    /// Reads 32 base64url characters.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        spelling::base64_array(text, "an id (sx-i) is 32 base64url characters; use it as issued").map(Self::from_bytes)
    }

    /// The 24 bytes: issue time, big-endian, then subject tag, client tag, random.
    pub fn to_bytes(&self) -> [u8; 24] {
        let parts = [&self.issued_at.to_be_bytes()[..], &self.subject, &self.client, &self.random];
        let mut bytes = [0; 24];
        for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    /// The reverse of [`UrlId::to_bytes`]; every 24 bytes are an id.
    pub fn from_bytes(bytes: [u8; 24]) -> Self {
        let mut id = Self { issued_at: 0, subject: [0; 6], client: [0; 6], random: [0; 8] };
        let mut time = [0; 4];
        let fields = time.iter_mut().chain(&mut id.subject).chain(&mut id.client).chain(&mut id.random);
        for (to, from) in fields.zip(bytes) {
            *to = from;
        }
        id.issued_at = u32::from_be_bytes(time);
        id
    }
}

impl fmt::Display for UrlId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spelling::base64(&self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_the_design_page() {
        let id = UrlId::parse("awQvcAECAwQFBgoLDA0OD96tvu8AESIz").unwrap();
        assert_eq!(id.issued_at, 1_795_436_400);
        assert_eq!(id.subject, [1, 2, 3, 4, 5, 6]);
        assert_eq!(id.client, [10, 11, 12, 13, 14, 15]);
        assert_eq!(id.random, [0xde, 0xad, 0xbe, 0xef, 0, 0x11, 0x22, 0x33]);
        assert_eq!(id.to_string(), "awQvcAECAwQFBgoLDA0OD96tvu8AESIz");
        assert_eq!(UrlId::from_bytes(id.to_bytes()), id);
    }

    #[test]
    fn tags_keep_kinds_and_keys_apart() {
        let user = tag(b"key", TagKind::User, "shop.billing");
        assert_ne!(user, tag(b"key", TagKind::Client, "shop.billing"));
        assert_ne!(user, tag(b"another", TagKind::User, "shop.billing"));
        assert_ne!(user, Tag::default());
    }

    #[test]
    fn times_outside_four_bytes_are_refused() {
        assert!(UrlId::new(-1, None, None, [0; 8]).is_err());
        assert!(UrlId::new(i64::from(u32::MAX) + 1, None, None, [0; 8]).is_err());
    }
}
