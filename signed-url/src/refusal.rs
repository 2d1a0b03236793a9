//! Why a URL, a specification or a key was refused.
//!
//! Owns the stable reason strings and the sentence for a human. Never maps to HTTP: that is the edge's work.
//! Governed by "Issuing API", the answers of the proxy.

/// A refusal. `reason()` is stable and may be sent to clients and written to logs; `detail()` says which rule was
/// broken and what to do about it, and may change between versions. Neither ever quotes the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", self.reason(), self.detail())]
#[non_exhaustive]
pub enum Refusal {
    /// The one permitted spelling was not used. The text names the rule.
    NotCanonical(&'static str),
    /// There is no `sx-s` parameter and no prefix token.
    SignatureMissing,
    /// The signature does not belong to these bytes and this key.
    SignatureInvalid,
    /// No key with this `sx-k` exists for the tenant of the route. Raised by whoever looks keys up.
    UnknownKey,
    /// The present is at or after `sx-e`.
    Expired,
    /// The present is before `sx-n` or the issue time, by more than the permitted skew.
    NotYetValid(&'static str),
    /// `sx-e` minus the issue time is more than the route (or the format: 7 days) permits.
    LifetimeExceedsRoute,
    /// The request's method is not among the signed ones.
    MethodNotSigned,
    /// A constraint that this version does not know, or that this form of URL cannot carry.
    ConstraintUnsupported(&'static str),
    /// The client's address is unknown or outside the signed network.
    NetworkMismatch,
    /// The `Origin` header is missing or another one.
    OriginMismatch,
    /// The `User-Agent` header is missing or another one.
    UserAgentMismatch,
    /// The client's country is unknown or another one.
    CountryMismatch,
    /// No proof by the signed holder key.
    HolderMismatch,
    /// The path is not below the prefix of the token.
    PrefixMismatch,
    /// What was asked to be signed makes no sense, whatever its spelling.
    InvalidSpec(&'static str),
    /// The key must not be used.
    InvalidKey(&'static str),
}

impl Refusal {
    /// The stable, snake_case reason.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotCanonical(_) => "not_canonical",
            Self::SignatureMissing => "signature_missing",
            Self::SignatureInvalid => "signature_invalid",
            Self::UnknownKey => "unknown_key",
            Self::Expired => "expired",
            Self::NotYetValid(_) => "not_yet_valid",
            Self::LifetimeExceedsRoute => "lifetime_exceeds_route",
            Self::MethodNotSigned => "method_not_signed",
            Self::ConstraintUnsupported(_) => "constraint_unsupported",
            Self::NetworkMismatch => "network_mismatch",
            Self::OriginMismatch => "origin_mismatch",
            Self::UserAgentMismatch => "user_agent_mismatch",
            Self::CountryMismatch => "country_mismatch",
            Self::HolderMismatch => "holder_mismatch",
            Self::PrefixMismatch => "prefix_mismatch",
            Self::InvalidSpec(_) => "invalid_spec",
            Self::InvalidKey(_) => "invalid_key",
        }
    }

    /// One sentence for a human: the rule, and what to do.
    pub const fn detail(&self) -> &'static str {
        match self {
            Self::NotCanonical(rule) => rule,
            Self::NotYetValid(rule) | Self::ConstraintUnsupported(rule) => rule,
            Self::InvalidSpec(rule) | Self::InvalidKey(rule) => rule,
            Self::SignatureMissing => "the request carries no signature; use the link exactly as it was issued",
            Self::SignatureInvalid => {
                "host, path, query or parameters were changed, or another key signed; use the link exactly as it was issued"
            }
            Self::UnknownKey => "the key in sx-k is not one of this tenant's; ask for a new link",
            Self::Expired => "the time in sx-e has come; ask for a new link",
            Self::LifetimeExceedsRoute => {
                "from issue to expiry is longer than the route permits (7 days at most); ask for a shorter link"
            }
            Self::MethodNotSigned => "the method is not signed; ask for a link with this method",
            Self::NetworkMismatch => {
                "the client's address is not in the signed network; use the link from that network"
            }
            Self::OriginMismatch => "the Origin header is not the signed one; use the link from that site",
            Self::UserAgentMismatch => "the User-Agent header is not the signed one; use the program it was issued to",
            Self::CountryMismatch => "the client's country is unknown or not the signed one; use the link from there",
            Self::HolderMismatch => "send a DPoP proof made with the key whose thumbprint is signed",
            Self::PrefixMismatch => "the path is not below the signed prefix; ask for a token for this folder",
        }
    }
}
