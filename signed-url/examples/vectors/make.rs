//! Makes vectors. Owns signing without this crate: strings and the bare primitives, so that bytes which the crate would
//! refuse to sign carry a correct signature too.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::Signer as _;
use hmac::{KeyInit as _, Mac as _};

use super::Vector;

pub(super) const HOST: &str = "cdn.example.com";
pub(super) const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
pub(super) const ISSUED: i64 = 1_795_436_400;
pub(super) const EXPIRES: i64 = 1_795_440_000;
/// The parameters of the design page's vectors.
pub(super) const PARAMS: &str = "sx-k=AAECAwQFBgcI&sx-e=1795440000&sx-i=awQvcAECAwQFBgoLDA0OD96tvu8AESIz";

pub(super) fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex<const N: usize>(text: &str) -> [u8; N] {
    std::array::from_fn(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap())
}

pub(super) fn signing_key() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&unhex(SEED))
}

pub(super) fn ed25519(input: &str) -> [u8; 64] {
    signing_key().sign(input.as_bytes()).to_bytes()
}

/// By the HMAC key 00 to 1f.
pub(super) fn hmac(key: &[u8], input: &str) -> Vec<u8> {
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(input.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A vector with this target as it stands: GET, a minute after issue, key `ed25519`.
pub(super) fn request(group: &str, name: &str, host: &str, target: &str) -> Vector {
    Vector {
        name: format!("{group}: {name}"),
        group: group.to_owned(),
        host: host.to_owned(),
        target: target.to_owned(),
        cookie: None,
        method: "GET".to_owned(),
        now: ISSUED + 60,
        max_ttl: 86_400,
        client: None,
        origin: None,
        user_agent: None,
        country: None,
        holder: None,
        key: Some("ed25519".to_owned()),
        result: String::new(),
        reason: None,
        stripped: None,
        signing_input: None,
    }
}

/// A vector with `before`, a target up to its signature, correctly signed for `host`.
pub(super) fn signed(group: &str, name: &str, host: &str, before: &str) -> Vector {
    let input = format!("sx1\n{host}\n{before}");
    let target = format!("{before}&sx-s={}", b64(&ed25519(&input)));
    Vector { signing_input: Some(input), ..request(group, name, host, &target) }
}

/// The usual case: this application target, the usual parameters.
pub(super) fn target(group: &str, name: &str, target: &str) -> Vector {
    let separator = if target.contains('?') { '&' } else { '?' };
    signed(group, name, HOST, &format!("{target}{separator}{PARAMS}"))
}

/// The usual path with these parameters.
pub(super) fn params(group: &str, name: &str, params: &str) -> Vector {
    signed(group, name, HOST, &format!("/a?{params}"))
}

/// A token with these parameters, correctly signed for `prefix`.
pub(super) fn token(host: &str, prefix: &str, params: &str) -> String {
    let input = format!("sx1p\n{host}\n{prefix}\n{params}");
    format!("{}.{}", b64(params.as_bytes()), b64(&ed25519(&input)))
}

impl Vector {
    pub(super) fn admitted(self, stripped: &str) -> Self {
        Self { result: "admitted".to_owned(), stripped: Some(stripped.to_owned()), ..self }
    }

    pub(super) fn needs_online(self, stripped: &str) -> Self {
        Self { result: "needs_online".to_owned(), stripped: Some(stripped.to_owned()), ..self }
    }

    pub(super) fn refused(self, reason: &str) -> Self {
        Self { result: "refused".to_owned(), reason: Some(reason.to_owned()), signing_input: None, ..self }
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The same request with one piece of its target replaced after signing.
    pub(super) fn tampered(self, from: &str, to: &str) -> Self {
        assert!(self.target.contains(from), "{}: nothing to replace", self.name);
        let target = self.target.replacen(from, to, 1);
        Self { target, ..self }
    }
}
