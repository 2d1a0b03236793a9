//! What a URL claims: the parameters `sx-k` to `sx-c`.
//!
//! Owns their order, their spelling and what they mean together. Never judges them against a clock or a request:
//! `verified.rs` does. Governed by "Native format `sx1`".

pub(crate) mod constraints;
pub(crate) mod methods;
pub(crate) mod network;
pub(crate) mod reader;
pub(crate) mod who;

use std::fmt::Write as _;

use crate::{Constraints, Kid, Methods, Refusal, UrlId, Who, spelling};
use reader::Reader;

/// The parameters of a URL or of a prefix token, parsed. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims<'a> {
    /// The signing key's id (`sx-k`).
    pub kid: Kid,
    /// The first second at which the URL is no longer valid (`sx-e`).
    pub expires_at: i64,
    /// The URL's id (`sx-i`), with the issue time in it.
    pub id: UrlId,
    /// The first second at which it is valid (`sx-n`), if later than its issue.
    pub not_before: Option<i64>,
    /// The methods it is good for (`sx-m`).
    pub methods: Methods<'a>,
    /// For whom it is meant (`sx-w`).
    pub who: Option<Who<'a>>,
    /// What else must hold (`sx-c`).
    pub constraints: Constraints<'a>,
}

impl<'a> Claims<'a> {
    /// Claims for GET and HEAD, from issue to `expires_at`, for anybody, without constraints. Set the fields for more.
    pub fn new(kid: Kid, id: UrlId, expires_at: i64) -> Self {
        let (methods, constraints) = (Methods::default(), Constraints::default());
        Self { kid, expires_at, id, not_before: None, methods, who: None, constraints }
    }

    /// Reads the parameters up to `sx-c`; what follows is left in the reader.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Refusal> {
        let claims = Self {
            kid: Kid::parse(reader.required("sx-k=")?)?,
            expires_at: spelling::decimal(reader.required("sx-e=")?)?,
            id: UrlId::parse(reader.required("sx-i=")?)?,
            not_before: reader.optional("sx-n=").map(spelling::decimal).transpose()?,
            methods: reader.optional("sx-m=").map_or(Ok(Methods::default()), Methods::parse)?,
            who: reader.optional("sx-w=").map(Who::parse).transpose()?,
            constraints: reader.optional("sx-c=").map_or(Ok(Constraints::default()), Constraints::parse)?,
        };
        claims.check_times()?;
        Ok(claims)
    }

    /// From issue to expiry, in seconds.
    pub fn lifetime(&self) -> i64 {
        self.expires_at.saturating_sub(i64::from(self.id.issued_at))
    }

    /// A URL that can never be valid is not one: it must end after it was issued and after it begins.
    fn check_times(&self) -> Result<(), Refusal> {
        if self.lifetime() <= 0 {
            return Err(Refusal::NotCanonical("sx-e lies after the issue time in sx-i; choose a later expiry"));
        }
        if self.not_before.is_some_and(|begin| begin >= self.expires_at) {
            return Err(Refusal::NotCanonical("sx-n lies before sx-e; choose an earlier beginning or a later expiry"));
        }
        Ok(())
    }

    /// Appends `sx-k=…` to `sx-c=…` without a separator before or after.
    pub(crate) fn write(&self, out: &mut String) {
        // Writing to a String cannot fail.
        let _ = write!(out, "sx-k={}&sx-e={}&sx-i={}", self.kid, self.expires_at, self.id);
        if let Some(begin) = self.not_before {
            let _ = write!(out, "&sx-n={begin}");
        }
        if let Some(methods) = self.methods.spelled() {
            let _ = write!(out, "&sx-m={methods}");
        }
        if let Some(who) = &self.who {
            let _ = write!(out, "&sx-w={who}");
        }
        if !self.constraints.is_empty() {
            out.push_str("&sx-c=");
            self.constraints.write(out);
        }
    }

    /// The same claims, borrowing nothing.
    pub fn into_owned(self) -> Claims<'static> {
        Claims {
            kid: self.kid,
            expires_at: self.expires_at,
            id: self.id,
            not_before: self.not_before,
            methods: self.methods.into_owned(),
            who: self.who.map(Who::into_owned),
            constraints: self.constraints.into_owned(),
        }
    }
}
