//! Generated client secrets: 256 random bits with a prefix and a checksum, stored as a peppered digest.
//!
//! `authly_cs_` ‖ base64url of 32 bytes (43) ‖ first 6 base64url characters of SHA-256 over what precedes. The prefix lets
//! scanners find a leaked one, the checksum tells a typing error from a wrong secret without any look-up. It is not
//! a security check.

use authly_model::client::SecretHash;
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::{error::Result, hmac_key::Pepper, random};

const PREFIX: &str = "authly_cs_";
const BODY: usize = 43;
const CHECKSUM: usize = 6;

/// A client secret in clear: it exists only while it is handed out or checked.
#[derive(Clone)]
pub struct ClientSecret(SecretString);

/// The text is not a client secret of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a client secret: it starts with authly_cs_ and has 59 characters; copy it again from the Secret")]
pub struct BadClientSecret;

impl ClientSecret {
    /// A new secret.
    ///
    /// # Errors
    /// [`crate::SecretsError::Crypto`] if the system's randomness fails.
    pub fn generate() -> Result<Self> {
        Ok(Self::from_bytes(&Zeroizing::new(random::bytes()?)))
    }

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut text = String::with_capacity(PREFIX.len() + BODY + CHECKSUM);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        let sum = checksum(&text);
        text.push_str(&sum);
        Self(SecretString::from(text))
    }

    /// Reads what a client presented. Cheap: no look-up, one hash.
    ///
    /// # Errors
    /// [`BadClientSecret`] if the prefix, length, alphabet or checksum is wrong.
    pub fn parse(text: &str) -> std::result::Result<Self, BadClientSecret> {
        let (body, sum) = text.split_at_checked(PREFIX.len() + BODY).ok_or(BadClientSecret)?;
        let encoded = body.strip_prefix(PREFIX).ok_or(BadClientSecret)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map(Zeroizing::new).map_err(|_| BadClientSecret)?;
        if bytes.len() != 32 || sum != checksum(body) {
            return Err(BadClientSecret);
        }
        Ok(Self(SecretString::from(text)))
    }

    /// The secret in clear, for the one answer or Kubernetes Secret that carries it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// HMAC-SHA-256 under the pepper: what is stored.
    #[must_use]
    pub fn digest(&self, pepper: &Pepper) -> [u8; 32] {
        pepper.digest(self.expose().as_bytes())
    }

    /// Whether this is the secret behind `hash`; constant-time. A hash under another pepper never matches.
    #[must_use]
    pub fn matches(&self, pepper: &Pepper, hash: &SecretHash) -> bool {
        pepper.id() == hash.pepper_id && pepper.matches(self.expose().as_bytes(), &hash.digest)
    }
}

impl std::fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientSecret(..)")
    }
}

fn checksum(text: &str) -> String {
    let mut sum = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    sum.truncate(CHECKSUM);
    sum
}

#[cfg(test)]
mod tests {
    use super::{BadClientSecret, ClientSecret};
    use crate::hmac_key::Pepper;
    use authly_model::client::SecretHash;

    /// Computed with Python's hashlib and base64.
    const KNOWN: &str = "authly_cs_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8loquVA";

    #[test]
    fn known_answer_and_round_trip() {
        let bytes: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        assert_eq!(ClientSecret::from_bytes(&bytes).expose(), KNOWN);
        let secret = ClientSecret::generate().unwrap();
        assert_eq!(ClientSecret::parse(secret.expose()).unwrap().expose(), secret.expose());
        assert_ne!(secret.expose(), ClientSecret::generate().unwrap().expose());
        assert_eq!(format!("{secret:?}"), "ClientSecret(..)");
    }

    #[test]
    fn typing_errors_are_found() {
        for at in 0..KNOWN.len() {
            let mut bytes = KNOWN.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(bytes).unwrap();
            assert_eq!(ClientSecret::parse(&text).err(), Some(BadClientSecret), "{at}");
            assert!(ClientSecret::parse(&KNOWN[..at]).is_err());
        }
        for text in ["", "é", &format!("{KNOWN}A"), &format!(" {KNOWN}"), &"é".repeat(59)] {
            assert!(ClientSecret::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn matches_only_its_own_hash() {
        let (pepper, other) = (Pepper::new("a".to_owned(), &[1; 32]), Pepper::new("b".to_owned(), &[2; 32]));
        let secret = ClientSecret::generate().unwrap();
        let hash = SecretHash { pepper_id: "a".to_owned(), digest: secret.digest(&pepper).to_vec() };
        assert!(secret.matches(&pepper, &hash));
        assert!(!secret.matches(&other, &hash));
        assert!(!secret.matches(&Pepper::new("a".to_owned(), &[2; 32]), &hash));
        assert!(!ClientSecret::generate().unwrap().matches(&pepper, &hash));
        assert!(!secret.matches(&pepper, &SecretHash { digest: Vec::new(), ..hash }));
    }
}
