#![doc = include_str!("../README.md")]
//!
//! ---
//! This file owns the public surface. It never holds logic. The format is fixed by "Native format `sx1`" and
//! "By prefix" of the signed-URL design page; the sections named in each file are sections of that page.

mod claims;
mod format;
mod host;
mod id;
mod keys;
mod offline;
mod refusal;
mod sign;
mod spelling;
mod target;
mod unverified;
mod verified;

pub use claims::Claims;
pub use claims::constraints::{Constraints, Country, HeaderDigest, Rate, Thumbprint};
pub use claims::methods::Methods;
pub use claims::network::Network;
pub use claims::who::Who;
pub use format::sx1p::split_token;
pub use format::{COOKIE_NAME, MAX_TARGET, MAX_TTL, MAX_USES, PATH_MARKER, SKEW};
pub use host::Host;
pub use id::{Kid, Tag, TagKind, UrlId, tag};
pub use keys::derive::derive_hmac_key;
pub use keys::{SigningKey, VerifyingKey};
pub use offline::{Offline, OfflineRequest, verify_offline};
pub use refusal::Refusal;
pub use sign::{PrefixToken, SignedUrl, UnsignedToken, UnsignedUrl, prepare, prepare_prefix, sign, sign_prefix};
pub use target::Target;
pub use unverified::{UnverifiedUrl, parse_unverified, parse_unverified_cookie};
pub use verified::VerifiedUrl;
