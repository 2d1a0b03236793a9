//! Signing.
//!
//! Owns putting URLs and tokens together. Never signs what the reader would refuse: the same reader checks each text
//! before it is signed. Never normalises a target. Governed by "Native format `sx1`" and "By prefix".

use std::fmt;

use crate::claims::reader::Reader;
use crate::format::{sx1, sx1p};
use crate::keys::Signature;
use crate::target::check_length;
use crate::{Claims, Host, MAX_TTL, PATH_MARKER, Refusal, SigningKey, Target, spelling};

/// Signs one URL. `target` is path and query as a client will send them, already canonical.
pub fn sign(host: &Host, target: &str, claims: &Claims<'_>, key: &SigningKey) -> Result<SignedUrl, Refusal> {
    let unsigned = prepare(host, target, claims)?;
    let signature = key.sign(unsigned.signing_input());
    unsigned.finish(&signature)
}

/// Signs everything below `prefix`, which begins and ends with a slash.
pub fn sign_prefix(host: &Host, prefix: &str, claims: &Claims<'_>, key: &SigningKey) -> Result<PrefixToken, Refusal> {
    let unsigned = prepare_prefix(host, prefix, claims)?;
    let signature = key.sign(unsigned.signing_input());
    unsigned.finish(&signature)
}

/// Prepares what [`sign`] signs, for a key that lies elsewhere: a key service, or another implementation of Ed25519.
pub fn prepare(host: &Host, target: &str, claims: &Claims<'_>) -> Result<UnsignedUrl, Refusal> {
    let target = Target::parse(target)?;
    let mut text = String::with_capacity(host.as_str().len() + target.as_str().len() + 512);
    text.extend([sx1::DOMAIN, host.as_str(), "\n"]);
    let target_start = text.len();
    text.push_str(target.as_str());
    text.push(if target.query().is_some() { '&' } else { '?' });
    push_claims(&mut text, claims)?;
    Ok(UnsignedUrl { host: host.clone(), text, target_start })
}

/// Prepares what [`sign_prefix`] signs, for a key that lies elsewhere.
pub fn prepare_prefix(host: &Host, prefix: &str, claims: &Claims<'_>) -> Result<UnsignedToken, Refusal> {
    let target = Target::parse(prefix)?;
    if target.query().is_some() || !prefix.ends_with('/') {
        return Err(Refusal::NotCanonical("a prefix is a path that ends with a slash; end it at a folder"));
    }
    sx1p::check_claims(claims)?;
    let mut text = String::with_capacity(host.as_str().len() + prefix.len() + 512);
    text.extend([sx1p::DOMAIN, host.as_str(), "\n", prefix, "\n"]);
    let params_start = text.len();
    push_claims(&mut text, claims)?;
    text.extend(["&sx-p=", &prefix.len().to_string()]);
    Ok(UnsignedToken { host: host.clone(), prefix: prefix.to_owned(), text, params_start })
}

/// Appends the parameters and reads them back: what does not come back the same is not signed.
fn push_claims(text: &mut String, claims: &Claims<'_>) -> Result<(), Refusal> {
    if claims.lifetime() > MAX_TTL {
        return Err(Refusal::LifetimeExceedsRoute);
    }
    let start = text.len();
    claims.write(text);
    let mut reader = Reader::new(text.get(start..).unwrap_or_default());
    let read = Claims::read(&mut reader)?;
    reader.finish()?;
    if read != *claims {
        return Err(Refusal::InvalidSpec("a value holds a separator of the format; use plain names"));
    }
    Ok(())
}

/// A URL that lacks only its signature.
#[derive(Debug, Clone)]
pub struct UnsignedUrl {
    host: Host,
    text: String,
    target_start: usize,
}

impl UnsignedUrl {
    /// The bytes to sign.
    pub fn signing_input(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Adds a signature made elsewhere: 64 bytes of Ed25519 or 32 of HMAC-SHA-256. It is not verified here.
    pub fn with_signature(self, signature: &[u8]) -> Result<SignedUrl, Refusal> {
        self.finish(&Signature::from_slice(signature)?)
    }

    fn finish(mut self, signature: &Signature) -> Result<SignedUrl, Refusal> {
        self.text.push_str(sx1::SIGNATURE);
        spelling::push_base64(&mut self.text, signature.as_bytes());
        let url = SignedUrl { host: self.host, text: self.text, target_start: self.target_start };
        check_length(url.target())?;
        Ok(url)
    }
}

/// A signed URL. Whoever has it may use it: it does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl {
    host: Host,
    text: String,
    target_start: usize,
}

impl SignedUrl {
    /// Path and query with the signature's parameters.
    pub fn target(&self) -> &str {
        self.text.get(self.target_start..).unwrap_or_default()
    }

    /// The full URL; `dev` permits http on localhost names.
    pub fn url(&self, dev: bool) -> String {
        self.host.origin(dev) + self.target()
    }
}

/// A prefix token that lacks only its signature.
#[derive(Debug, Clone)]
pub struct UnsignedToken {
    host: Host,
    prefix: String,
    text: String,
    params_start: usize,
}

impl UnsignedToken {
    /// The bytes to sign.
    pub fn signing_input(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Adds a signature made elsewhere: 64 bytes of Ed25519 or 32 of HMAC-SHA-256. It is not verified here.
    pub fn with_signature(self, signature: &[u8]) -> Result<PrefixToken, Refusal> {
        self.finish(&Signature::from_slice(signature)?)
    }

    fn finish(self, signature: &Signature) -> Result<PrefixToken, Refusal> {
        let params = self.text.get(self.params_start..).unwrap_or_default();
        let mut token = spelling::base64(params.as_bytes());
        token.push('.');
        spelling::push_base64(&mut token, signature.as_bytes());
        let token = PrefixToken { host: self.host, prefix: self.prefix, token };
        check_length(&token.target())?;
        Ok(token)
    }
}

/// A token for everything below a prefix. Whoever has it may use it: it does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct PrefixToken {
    host: Host,
    prefix: String,
    token: String,
}

impl PrefixToken {
    /// The token: the value of the cookie [`crate::COOKIE_NAME`].
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The target of the prefix itself; names below it are appended.
    pub fn target(&self) -> String {
        [PATH_MARKER, &self.token, &self.prefix].concat()
    }

    /// The full URL of the prefix; `dev` permits http on localhost names.
    pub fn url(&self, dev: bool) -> String {
        self.host.origin(dev) + &self.target()
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedUrl").field("host", &self.host).finish_non_exhaustive()
    }
}

impl fmt::Debug for PrefixToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrefixToken").field("host", &self.host).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
