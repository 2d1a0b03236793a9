//! The platform key (KEK): where it comes from, its id, and the ring that unwraps tenants' data keys.
//!
//! A mounted Kubernetes Secret is a file. The key's bytes live only inside aws-lc-rs once parsed.

use std::path::PathBuf;

use aws_lc_rs::digest;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::{
    envelope::{EnvelopeKey, Keyring},
    error::{Result, SecretsError},
    random,
};

const KEY_LEN: usize = 32;
/// The longest file that is read: any accepted spelling fits.
const MAX_FILE: usize = 256;

/// Where a platform key comes from.
#[derive(Debug)]
pub enum KekSource {
    /// A file: 32 raw bytes, 64 hex digits, or base64.
    File(PathBuf),
    /// The value of an environment variable (`AUTHLY_KEK`): 64 hex digits or base64.
    Environment(SecretString),
}

/// One platform key. Its id is the first eight hex digits of SHA-256 of `authly kek id` and the key.
#[derive(Debug)]
pub struct Kek(EnvelopeKey);

impl Kek {
    /// Reads and checks a key.
    ///
    /// # Errors
    /// [`SecretsError::KekFile`], [`SecretsError::KekFormat`], [`SecretsError::KekWeak`].
    pub fn load(source: &KekSource) -> Result<Self> {
        let (place, key) = match source {
            KekSource::File(path) => {
                let bytes = std::fs::read(path)
                    .map(Zeroizing::new)
                    .map_err(|source| SecretsError::KekFile { path: path.clone(), source })?;
                (format!("file {}", path.display()), from_file(&bytes))
            }
            KekSource::Environment(text) => ("AUTHLY_KEK".to_owned(), from_text(text.expose_secret().as_bytes())),
        };
        let Some(key) = key else { return Err(SecretsError::KekFormat { place }) };
        if is_placeholder(&key) {
            return Err(SecretsError::KekWeak { place });
        }
        Ok(Self(EnvelopeKey::new(key_id(&key), key.as_slice())?))
    }

    /// The key's id, as envelopes carry it.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.id()
    }
}

/// The platform keys of a process: one wraps, all of them unwrap.
#[derive(Debug)]
pub struct KekRing(pub(crate) Keyring);

impl KekRing {
    /// A ring of the active key and older ones.
    #[must_use]
    pub fn new(active: Kek, older: impl IntoIterator<Item = Kek>) -> Self {
        Self(Keyring::new(active.0, older.into_iter().map(|kek| kek.0)))
    }

    /// The id of the key that wraps.
    ///
    /// # Errors
    /// Never in practice: a ring has an active key.
    pub fn active_id(&self) -> Result<&str> {
        Ok(self.0.active()?.id())
    }
}

/// A new platform key as 64 hex digits, for a file with mode 0600 (`authly dev`).
///
/// # Errors
/// [`SecretsError::Crypto`] if the system's randomness fails.
pub fn generate_kek() -> Result<SecretString> {
    let key = Zeroizing::new(random::bytes::<KEY_LEN>()?);
    Ok(SecretString::from(hex(key.as_slice())))
}

fn key_id(key: &[u8; KEY_LEN]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"authly kek id");
    context.update(key);
    hex(&context.finish().as_ref()[..4])
}

fn from_file(bytes: &[u8]) -> Option<Zeroizing<[u8; KEY_LEN]>> {
    // 32 printable characters are a password, not 32 random bytes: a random key is all printable once in 10^13.
    if bytes.len() == KEY_LEN && !bytes.iter().all(|b| matches!(b, b' '..=b'~' | b'\n' | b'\r')) {
        return exact(bytes);
    }
    if bytes.len() > MAX_FILE {
        return None;
    }
    from_text(bytes)
}

fn from_text(text: &[u8]) -> Option<Zeroizing<[u8; KEY_LEN]>> {
    let text = text.trim_ascii();
    if text.len() == 2 * KEY_LEN {
        let digits = std::str::from_utf8(text).ok()?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let bytes: Option<Vec<u8>> =
            (0..KEY_LEN).map(|i| u8::from_str_radix(digits.get(2 * i..2 * i + 2)?, 16).ok()).collect();
        return exact(&Zeroizing::new(bytes?));
    }
    [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD]
        .into_iter()
        .find_map(|engine| engine.decode(text).ok().map(Zeroizing::new))
        .and_then(|bytes| exact(&bytes))
}

fn exact(bytes: &[u8]) -> Option<Zeroizing<[u8; KEY_LEN]>> {
    <[u8; KEY_LEN]>::try_from(bytes).ok().map(Zeroizing::new)
}

/// Fewer than eight different bytes among 32: zeros, or a pattern from a template.
fn is_placeholder(key: &[u8; KEY_LEN]) -> bool {
    key.iter().collect::<std::collections::BTreeSet<_>>().len() < 8
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::{Kek, KekSource, from_file, from_text, generate_kek};
    use crate::error::SecretsError;
    use secrecy::{ExposeSecret, SecretString};

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn environment(text: &str) -> Result<Kek, SecretsError> {
        Kek::load(&KekSource::Environment(SecretString::from(text.to_owned())))
    }

    /// The id was computed with Python's hashlib.
    #[test]
    fn every_spelling_is_the_same_key() {
        let raw: Vec<u8> = (0..32).collect();
        let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        assert_eq!(from_file(&raw).unwrap().as_slice(), raw);
        for text in [HEX, &format!("{HEX}\n"), &HEX.to_uppercase(), base64, base64.trim_end_matches('=')] {
            assert_eq!(from_text(text.as_bytes()).unwrap().as_slice(), raw, "{text}");
        }
        assert_eq!(environment(HEX).unwrap().id(), "c571957d");
        assert!(environment(generate_kek().unwrap().expose_secret()).is_ok());
    }

    #[test]
    fn what_is_not_a_key_is_refused_without_showing_it() {
        let zeros = "0".repeat(64);
        for (text, weak) in
            [("", false), ("hunter2", false), (&HEX[1..], false), (&HEX[2..], false), (zeros.as_str(), true)]
        {
            let error = environment(text).unwrap_err();
            assert_eq!(matches!(error, SecretsError::KekWeak { .. }), weak, "{text}");
            assert!(error.to_string().contains("openssl rand -hex 32"));
            assert!(text.len() < 5 || !error.to_string().contains(text));
        }
        assert!(from_file(b"a password of 32 characters long").is_none());
        let missing = Kek::load(&KekSource::File("/nonexistent/kek".into())).unwrap_err();
        assert!(missing.to_string().contains("/nonexistent/kek"));
        assert_eq!(format!("{:?}", environment(HEX).unwrap()), "Kek(EnvelopeKey { id: \"c571957d\", .. })");
    }
}
