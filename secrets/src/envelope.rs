//! Envelope encryption: AES-256-GCM under a named key, bound to the place where the value is stored
//! (DESIGN.md, "Keys, secrets, encryption"; NIST SP 800-38D).
//!
//! `version (1) ‖ key id length (1) ‖ key id ‖ nonce (12) ‖ ciphertext ‖ tag (16)`. The associated data covers the
//! header up to the nonce and the place, so a value moved to another tenant, table, column or row does not open.
//! Nonces are random: a key may seal at most 2^32 values, which tenant and platform keys stay far below.

use authly_model::ids::TenantId;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::{
    error::{Result, SecretsError},
    random,
};

const VERSION: u8 = 1;
const TAG_LEN: usize = 16;
const DOMAIN: &[u8] = b"authly envelope 1\n";

/// Where a sealed value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The tenant that owns the row.
    pub tenant: TenantId,
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row's key within the tenant, in one spelling.
    pub row: &'a str,
}

impl Place<'_> {
    /// The associated data: fixed-width or length-prefixed fields only, so two places never share an encoding.
    fn associated_data(&self, header: &[u8]) -> Vec<u8> {
        let mut aad = DOMAIN.to_vec();
        aad.extend_from_slice(self.tenant.0.as_bytes());
        for field in [header, self.table.as_bytes(), self.column.as_bytes(), self.row.as_bytes()] {
            aad.extend_from_slice(&(field.len() as u64).to_be_bytes());
            aad.extend_from_slice(field);
        }
        aad
    }
}

/// An AES-256-GCM key and its id.
pub(crate) struct EnvelopeKey {
    id: String,
    key: LessSafeKey,
}

impl std::fmt::Debug for EnvelopeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnvelopeKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl EnvelopeKey {
    /// A key of 32 bytes under an id of 1 to 255 bytes.
    pub(crate) fn new(id: String, key: &[u8]) -> Result<Self> {
        if id.is_empty() || id.len() > usize::from(u8::MAX) {
            return Err(SecretsError::BadKey("encryption"));
        }
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| SecretsError::BadKey("encryption"))?;
        Ok(Self { id, key: LessSafeKey::new(key) })
    }

    /// The key's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Seals `plain` for `place`.
    pub(crate) fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        self.seal_with(place, plain, random::bytes()?)
    }

    fn seal_with(&self, place: &Place<'_>, plain: &[u8], nonce: [u8; NONCE_LEN]) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(2 + self.id.len() + NONCE_LEN + plain.len() + TAG_LEN);
        out.push(VERSION);
        out.push(u8::try_from(self.id.len()).map_err(|_| SecretsError::BadKey("encryption"))?);
        out.extend_from_slice(self.id.as_bytes());
        let aad = Aad::from(place.associated_data(&out));
        out.extend_from_slice(&nonce);
        let mut body = plain.to_vec(); // becomes the ciphertext in place, so no copy of the plaintext stays behind
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .map_err(|_| SecretsError::Crypto("encrypt"))?;
        out.append(&mut body);
        Ok(out)
    }
}

/// The keys that may open a value: the first seals, all of them open.
#[derive(Debug)]
pub(crate) struct Keyring(Vec<EnvelopeKey>);

impl Keyring {
    /// A ring whose first key seals.
    pub(crate) fn new(active: EnvelopeKey, older: impl IntoIterator<Item = EnvelopeKey>) -> Self {
        Self(std::iter::once(active).chain(older).collect())
    }

    /// The key that seals.
    pub(crate) fn active(&self) -> Result<&EnvelopeKey> {
        self.0.first().ok_or(SecretsError::BadKey("encryption"))
    }

    /// Opens a value sealed for `place` by any of the keys.
    pub(crate) fn open(&self, place: &Place<'_>, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let (header, rest) = split_header(blob)?;
        let id = &header[2..];
        let key = self.0.iter().find(|k| k.id.as_bytes() == id).ok_or_else(|| SecretsError::UnknownKey {
            key_id: String::from_utf8_lossy(id).chars().filter(|c| c.is_ascii_graphic()).collect(),
        })?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(SecretsError::Truncated)?;
        if body.len() < TAG_LEN {
            return Err(SecretsError::Truncated);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SecretsError::Truncated)?;
        let mut plain = Zeroizing::new(body.to_vec());
        let aad = Aad::from(place.associated_data(header));
        let length = key.key.open_in_place(nonce, aad, &mut plain).map_err(|_| SecretsError::Rejected)?.len();
        plain.truncate(length);
        Ok(plain)
    }
}

/// The id of the key that sealed a value.
pub(crate) fn wrapped_by(blob: &[u8]) -> Result<&[u8]> {
    split_header(blob).map(|(header, _)| &header[2..])
}

fn split_header(blob: &[u8]) -> Result<(&[u8], &[u8])> {
    match blob {
        [VERSION, length, ..] => blob.split_at_checked(2 + usize::from(*length)).ok_or(SecretsError::Truncated),
        [VERSION] | [] => Err(SecretsError::Truncated),
        [version, ..] => Err(SecretsError::Version(*version)),
    }
}

#[cfg(test)]
mod tests {
    use super::{EnvelopeKey, Keyring, Place};
    use crate::error::SecretsError;
    use authly_model::ids::TenantId;
    use uuid::Uuid;

    const PLACE: Place<'static> = Place { tenant: TenantId(Uuid::nil()), table: "t", column: "c", row: "r" };

    fn key(id: &str, byte: u8) -> EnvelopeKey {
        EnvelopeKey::new(id.to_owned(), &[byte; 32]).unwrap()
    }

    /// The bytes come from Python's `cryptography` (AESGCM), written from the header of this file.
    #[test]
    fn known_answer() {
        let blob = key("k1", 7).seal_with(&PLACE, b"attack at dawn", [9; 12]).unwrap();
        let hex: String = blob.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "01026b3109090909090909090909090946f1f0f5dd9be100d442af599184ce2c311f95f7ac5a74a2032370199fcb");
    }

    #[test]
    fn any_change_of_place_or_bytes_is_refused() {
        let ring = Keyring::new(key("new", 1), [key("old", 2)]);
        for sealed_by in [key("new", 1), key("old", 2)] {
            let blob = sealed_by.seal(&PLACE, b"secret").unwrap();
            assert_eq!(ring.open(&PLACE, &blob).unwrap().as_slice(), b"secret");
            let other = TenantId(Uuid::from_u128(1));
            for place in [
                Place { tenant: other, ..PLACE },
                Place { table: "tc", column: "", ..PLACE },
                Place { column: "x", ..PLACE },
                Place { row: "rr", ..PLACE },
            ] {
                assert!(matches!(ring.open(&place, &blob), Err(SecretsError::Rejected)), "{place:?}");
            }
            for at in 0..blob.len() {
                let mut changed = blob.clone();
                changed[at] ^= 1;
                assert!(ring.open(&PLACE, &changed).is_err(), "byte {at}");
                assert!(ring.open(&PLACE, &blob[..at]).is_err(), "cut to {at}");
            }
        }
    }

    #[test]
    fn errors_name_the_cause() {
        let ring = Keyring::new(key("new", 1), []);
        let mut blob = key("gone", 3).seal(&PLACE, b"").unwrap();
        assert!(matches!(ring.open(&PLACE, &blob), Err(SecretsError::UnknownKey { key_id }) if key_id == "gone"));
        blob[0] = 2;
        assert!(matches!(ring.open(&PLACE, &blob), Err(SecretsError::Version(2))));
        assert!(matches!(ring.open(&PLACE, &[]), Err(SecretsError::Truncated)));
        assert!(matches!(ring.open(&PLACE, &[1, 3, b'n', b'e', b'w', 0]), Err(SecretsError::Truncated)));
        // the same id with other bytes is not the same key
        let impostor = key("new", 9).seal(&PLACE, b"x").unwrap();
        assert!(matches!(ring.open(&PLACE, &impostor), Err(SecretsError::Rejected)));
        assert_eq!(format!("{ring:?}"), "Keyring([EnvelopeKey { id: \"new\", .. }])");
    }
}
