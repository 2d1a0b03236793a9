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

/// 32 characters of base64 are 192 bits. What is shorter may be a password, and a fast hash is wrong for those.
const SUPPLIED_MIN: usize = 32;
const SUPPLIED_MAX: usize = 256;
const SUPPLIED_DIFFERENT: usize = 8;

/// A client secret in clear: it exists only while it is handed out or checked.
#[derive(Clone)]
pub struct ClientSecret(SecretString);

/// The text is not a client secret of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a client secret: it starts with authly_cs_ and has 59 characters; copy it again from the Secret")]
pub struct BadClientSecret;

/// What is wrong with a secret that was not generated here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSuppliedSecret {
    /// Too short.
    #[error("it is shorter than 32 characters: generate a random one, such as by `openssl rand -base64 48`")]
    Short,
    /// Too long.
    #[error("it is longer than 256 characters")]
    Long,
    /// Not printable.
    #[error("it has characters other than printable ASCII: often a line break at the end; write it without")]
    Characters,
    /// Hardly random.
    #[error("it has fewer than 8 different characters: generate a random one")]
    Uniform,
    /// Begins as one of ours.
    #[error("it begins as a generated secret, and its checksum is wrong: copy it again")]
    Damaged,
}

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

    /// A secret that came from elsewhere, as a client presents it or a Secret of someone else holds it. It is hashed as
    /// fast as a generated one, so it must be as hard to guess: long, and not one character again and again.
    ///
    /// # Errors
    /// [`BadSuppliedSecret`] says what is wrong with it, and nothing of it.
    pub fn supplied(text: &str) -> std::result::Result<Self, BadSuppliedSecret> {
        if text.starts_with(PREFIX) {
            return Self::parse(text).map_err(|_| BadSuppliedSecret::Damaged);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadSuppliedSecret::Characters);
        }
        match text.len() {
            ..SUPPLIED_MIN => return Err(BadSuppliedSecret::Short),
            SUPPLIED_MIN..=SUPPLIED_MAX => {}
            _ => return Err(BadSuppliedSecret::Long),
        }
        if different(text) < SUPPLIED_DIFFERENT {
            return Err(BadSuppliedSecret::Uniform);
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

/// How many different characters of ASCII it has. Each request that presents a secret asks, so nothing is allocated for it.
fn different(text: &str) -> usize {
    let mut seen = [false; 128];
    for byte in text.bytes() {
        if let Some(seen) = seen.get_mut(usize::from(byte)) {
            *seen = true;
        }
    }
    seen.into_iter().filter(|seen| *seen).count()
}

fn checksum(text: &str) -> String {
    let mut sum = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    sum.truncate(CHECKSUM);
    sum
}

#[cfg(test)]
mod tests {
    use super::{BadClientSecret, BadSuppliedSecret, ClientSecret};
    use crate::hmac_key::Pepper;
    use authly_model::client::SecretHash;

    /// Computed with Python's hashlib and base64.
    const KNOWN: &str = "authly_cs_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8loquVA";

    #[test]
    fn a_supplied_secret_is_as_hard_to_guess_as_a_generated_one() {
        let good = "0123456789abcdef0123456789abcdef";
        assert_eq!(ClientSecret::supplied(good).unwrap().expose(), good);
        assert_eq!(ClientSecret::supplied(KNOWN).unwrap().expose(), KNOWN);
        let longest: String = good.chars().cycle().take(256).collect();
        assert!(ClientSecret::supplied(&longest).is_ok());
        for (text, expected) in [
            ("", BadSuppliedSecret::Short),
            (&good[1..], BadSuppliedSecret::Short),
            (&format!("{longest}x"), BadSuppliedSecret::Long),
            (&format!("{good}\n"), BadSuppliedSecret::Characters),
            (&format!("{good} {good}"), BadSuppliedSecret::Characters),
            (&format!("{good}é"), BadSuppliedSecret::Characters),
            (&"abcdefg".repeat(6), BadSuppliedSecret::Uniform),
            (&KNOWN.replace("loquVA", "loquVB"), BadSuppliedSecret::Damaged),
        ] {
            assert_eq!(ClientSecret::supplied(text).unwrap_err(), expected, "{text:?}");
        }
    }

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
