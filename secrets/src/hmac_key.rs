//! HMAC-SHA-256 keys of a tenant: peppers of client secrets, and the tag key of signed-URL ids
//! (signed-url.md, "Native format `sx1`").

use aws_lc_rs::hmac;

/// The length of a tag in a signed URL's id.
pub const TAG_LENGTH: usize = 6;

/// The key under which client secrets are digested.
pub struct Pepper {
    id: String,
    key: hmac::Key,
}

impl Pepper {
    pub(crate) fn new(id: String, key: &[u8]) -> Self {
        Self { id, key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// The pepper's key id, stored beside each digest.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn digest(&self, message: &[u8]) -> [u8; 32] {
        sign(&self.key, &[message])
    }

    /// Constant-time.
    pub(crate) fn matches(&self, message: &[u8], digest: &[u8]) -> bool {
        hmac::verify(&self.key, message, digest).is_ok()
    }
}

impl std::fmt::Debug for Pepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pepper").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Whom a tag stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagKind {
    /// A client.
    Client,
    /// A user.
    User,
}

/// The key that turns client and user ids into the tags of signed-URL ids.
pub struct TagKey(hmac::Key);

impl TagKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// HMAC-SHA-256 over kind (`u` or `c`), a NUL and the id, cut to six bytes.
    #[must_use]
    pub fn tag(&self, kind: TagKind, id: &str) -> [u8; TAG_LENGTH] {
        let kind: &[u8] = match kind {
            TagKind::Client => b"c\0",
            TagKind::User => b"u\0",
        };
        let [a, b, c, d, e, f, ..] = sign(&self.0, &[kind, id.as_bytes()]);
        [a, b, c, d, e, f]
    }
}

impl std::fmt::Debug for TagKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TagKey(..)")
    }
}

fn sign(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.sign().as_ref()); // HMAC-SHA-256 tags are 32 bytes
    out
}

#[cfg(test)]
mod tests {
    use super::{Pepper, TagKey, TagKind};

    /// RFC 4231 section 4.3 (test case 2), and Python's hmac for the tags.
    #[test]
    fn known_answers() {
        let pepper = Pepper::new("p".to_owned(), b"Jefe");
        let digest = pepper.digest(b"what do ya want for nothing?");
        assert_eq!(digest[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        assert_eq!(digest[28..], [0x64, 0xec, 0x38, 0x43]);
        assert!(pepper.matches(b"what do ya want for nothing?", &digest));
        assert!(!pepper.matches(b"what do ya want for nothing!", &digest));
        assert!(!pepper.matches(b"what do ya want for nothing?", &digest[..31]));
        let tags = TagKey::new(&[1; 32]);
        assert_eq!(tags.tag(TagKind::Client, "shop.billing"), [53, 12, 100, 136, 183, 157]);
        assert_eq!(tags.tag(TagKind::User, "shop.billing"), [118, 36, 35, 103, 183, 15]);
        assert_eq!(format!("{tags:?} {pepper:?}"), "TagKey(..) Pepper { id: \"p\", .. }");
    }
}
