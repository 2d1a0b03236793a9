//! The constraints.
//!
//! Owns their letters, order, bounds and spelling. Never ignores one that it does not know.
//! Governed by "Native format `sx1`", CONSTRAINTS; RFC 7638 for the holder's thumbprint.

mod values;

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use crate::format::MAX_WINDOW;
use crate::{MAX_USES, Network, Refusal, spelling};
pub use values::{Country, HeaderDigest, Thumbprint};

/// The letters in the order of their appearance.
const ORDER: &[u8] = b"urxioagpj";
const MAX_POLICY: usize = 64;

/// What must hold when a URL is redeemed, beyond signature, time and method. Counts are 1 to 1,000,000.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Constraints<'a> {
    /// `u`: how often it may be used. Not in prefix tokens.
    pub uses: Option<u32>,
    /// `r`: how often in a window.
    pub rate: Option<Rate>,
    /// `x`: how many requests at a time; only a proxy can know. Not in prefix tokens.
    pub concurrent: Option<u32>,
    /// `i`: where the client must be.
    pub network: Option<Network>,
    /// `o`: the digest of the `Origin` header.
    pub origin: Option<HeaderDigest>,
    /// `a`: the digest of the `User-Agent` header.
    pub user_agent: Option<HeaderDigest>,
    /// `g`: the client's country.
    pub country: Option<Country>,
    /// `p`: a policy kept on the server, named by 1 to 64 of `A-Z a-z 0-9 _ -`.
    pub policy: Option<Cow<'a, str>>,
    /// `j`: the key whose possession must be proven (DPoP).
    pub holder: Option<Thumbprint>,
}

/// At most `count` requests in any `seconds` (1 to 86,400).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Requests, 1 to 1,000,000.
    pub count: u32,
    /// The window in seconds, 1 to 86,400.
    pub seconds: u32,
}

impl<'a> Constraints<'a> {
    /// True if nothing is constrained; then `sx-c` is not written.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True if one of `u`, `r`, `x`, `p` is present: only somebody with the shared state can decide those.
    pub fn need_online(&self) -> bool {
        self.uses.is_some() || self.rate.is_some() || self.concurrent.is_some() || self.policy.is_some()
    }

    /// Reads the value of `sx-c`.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Refusal> {
        let mut constraints = Self::default();
        let mut next = ORDER;
        for part in text.split('.') {
            let letter =
                *part.as_bytes().first().ok_or(Refusal::NotCanonical("no empty constraint in sx-c; drop the dot"))?;
            if !ORDER.contains(&letter) {
                return Err(UNKNOWN);
            }
            let index = next.iter().position(|known| *known == letter).ok_or(Refusal::NotCanonical(
                "constraints in sx-c are u, r, x, i, o, a, g, p, j, each once, in this order; sort them",
            ))?;
            next = next.get(index + 1..).unwrap_or_default();
            constraints.set(letter, part.get(1..).unwrap_or_default())?;
        }
        Ok(constraints)
    }

    fn set(&mut self, letter: u8, value: &'a str) -> Result<(), Refusal> {
        match letter {
            b'u' => self.uses = Some(count(value)?),
            b'r' => self.rate = Some(Rate::parse(value)?),
            b'x' => self.concurrent = Some(count(value)?),
            b'i' => self.network = Some(Network::parse(value)?),
            b'o' => self.origin = Some(HeaderDigest::parse(value)?),
            b'a' => self.user_agent = Some(HeaderDigest::parse(value)?),
            b'g' => self.country = Some(Country::parse(value)?),
            b'p' => self.policy = Some(policy(value)?),
            b'j' => self.holder = Some(Thumbprint::parse(value)?),
            _ => return Err(UNKNOWN),
        }
        Ok(())
    }

    /// Appends the form that [`Constraints::parse`] reads.
    pub(crate) fn write(&self, out: &mut String) {
        let start = out.len();
        // Writing to a String cannot fail.
        let _ = self.write_each(out);
        out.truncate(out.len().saturating_sub(1).max(start)); // the dot after the last one
    }

    fn write_each(&self, out: &mut String) -> fmt::Result {
        if let Some(uses) = self.uses {
            write!(out, "u{uses}.")?;
        }
        if let Some(rate) = self.rate {
            write!(out, "r{}-{}.", rate.count, rate.seconds)?;
        }
        if let Some(concurrent) = self.concurrent {
            write!(out, "x{concurrent}.")?;
        }
        if let Some(network) = self.network {
            out.push('i');
            network.write(out)?;
            out.push('.');
        }
        if let Some(origin) = self.origin {
            write!(out, "o{origin}.")?;
        }
        if let Some(user_agent) = self.user_agent {
            write!(out, "a{user_agent}.")?;
        }
        if let Some(country) = self.country {
            write!(out, "g{country}.")?;
        }
        if let Some(policy) = &self.policy {
            write!(out, "p{policy}.")?;
        }
        if let Some(holder) = self.holder {
            write!(out, "j{holder}.")?;
        }
        Ok(())
    }

    pub(crate) fn into_owned(self) -> Constraints<'static> {
        let Self { uses, rate, concurrent, network, origin, user_agent, country, policy, holder } = self;
        let policy = policy.map(|policy| Cow::Owned(policy.into_owned()));
        Constraints { uses, rate, concurrent, network, origin, user_agent, country, policy, holder }
    }
}

impl Rate {
    fn parse(text: &str) -> Result<Self, Refusal> {
        const RULE: &str = "r is requests, 1 to 1000000, a hyphen and seconds, 1 to 86400; correct it";
        let (count, seconds) = text.split_once('-').ok_or(Refusal::NotCanonical(RULE))?;
        Ok(Self {
            count: spelling::bounded(count, 1, MAX_USES, RULE)?,
            seconds: spelling::bounded(seconds, 1, MAX_WINDOW, RULE)?,
        })
    }
}

fn count(text: &str) -> Result<u32, Refusal> {
    spelling::bounded(text, 1, MAX_USES, "u and x are 1 to 1000000; correct the count")
}

fn policy(text: &str) -> Result<Cow<'_, str>, Refusal> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if plain && (1..=MAX_POLICY).contains(&text.len()) {
        return Ok(Cow::Borrowed(text));
    }
    Err(Refusal::NotCanonical("p names a policy with 1 to 64 of A-Z a-z 0-9 _ -; use such a name"))
}

const UNKNOWN: Refusal = Refusal::ConstraintUnsupported(
    "sx-c holds a constraint that this verifier does not know; update it, or ask for a link without",
);

#[cfg(test)]
mod tests;
