//! For whom a URL is meant.
//!
//! Owns the spelling of `sx-w`. Never says who redeems: a URL's bearer does, with this as parent.
//! Governed by "Native format `sx1`", WHO.

use std::borrow::Cow;
use std::fmt;

use crate::Refusal;

const MAX_ID: usize = 128;

/// A client or a user of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who<'a> {
    /// An OAuth client id (`c.`).
    Client(Cow<'a, str>),
    /// A user id (`u.`).
    User(Cow<'a, str>),
}

impl<'a> Who<'a> {
    /// Reads `c.<client id>` or `u.<user id>`.
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        let who = match text.split_at_checked(2) {
            Some(("c.", id)) => Self::Client(Cow::Borrowed(id)),
            Some(("u.", id)) => Self::User(Cow::Borrowed(id)),
            _ => return Err(Refusal::NotCanonical("sx-w begins with c. for a client or u. for a user; add it")),
        };
        if !is_id(who.id()) {
            return Err(Refusal::NotCanonical("an id in sx-w is 1 to 128 of A-Z a-z 0-9 . _ ~ -; use such an id"));
        }
        Ok(who)
    }

    /// The id without its kind.
    pub fn id(&self) -> &str {
        match self {
            Self::Client(id) | Self::User(id) => id,
        }
    }

    pub(crate) fn into_owned(self) -> Who<'static> {
        match self {
            Self::Client(id) => Who::Client(Cow::Owned(id.into_owned())),
            Self::User(id) => Who::User(Cow::Owned(id.into_owned())),
        }
    }
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(id) => write!(f, "c.{id}"),
            Self::User(id) => write!(f, "u.{id}"),
        }
    }
}

/// The characters that no client or server rewrites, so that an id has one spelling in a URL.
fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling() {
        for good in ["c.shop.billing", "u.0190b6f2-7e1c-7000-8000-000000000001", "c.c.", "u.~"] {
            assert_eq!(Who::parse(good).unwrap().to_string(), good);
        }
        let long = format!("u.{}", "a".repeat(129));
        for bad in ["", "c", "c.", "u.", "x.a", "C.a", "shop", "c.a b", "c.a%20b", "c.ü", "ü", "c.a@b", "c.a/b", &long]
        {
            assert_eq!(Who::parse(bad).map_err(|r| r.reason()), Err("not_canonical"), "{bad}");
        }
    }
}
