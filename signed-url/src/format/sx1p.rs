//! The layout of a prefix token.
//!
//! Owns `base64url(params).base64url(signature)`, in a path or a cookie, and which bytes are signed. Never verifies.
//! Governed by "By prefix".

use crate::claims::reader::Reader;
use crate::keys::Signature;
use crate::target::{Target, check_length};
use crate::{Claims, PATH_MARKER, Refusal, spelling};

/// The first line of what is signed; a token can never be read as a URL or the reverse.
pub(crate) const DOMAIN: &str = "sx1p\n";

/// A token, read but not verified.
pub(crate) struct Parts {
    pub(crate) claims: Claims<'static>,
    pub(crate) signature: Signature,
    /// The parameters as they are signed, decoded.
    pub(crate) params: String,
    /// The length of PREFIX in bytes.
    pub(crate) prefix_length: usize,
}

/// Cuts a target with a prefix token into the token and what the backend gets, neither of them read any further; `None` if
/// it carries no token.
pub fn split_token(text: &str) -> Result<Option<(&str, &str)>, Refusal> {
    let Some(rest) = text.strip_prefix(PATH_MARKER) else {
        return Ok(None);
    };
    check_length(text)?;
    let end = rest.find('/').ok_or(Refusal::NotCanonical("a slash and the path follow the token; add them"))?;
    Ok(rest.split_at_checked(end))
}

/// Reads a token.
pub(crate) fn read(token: &str) -> Result<Parts, Refusal> {
    const RULE: &str = "a token is two base64url texts with a dot between; use it as issued";
    check_length(token)?;
    let (params, signature) = token.split_once('.').ok_or(Refusal::NotCanonical(RULE))?;
    let signature = Signature::parse(signature)?;
    let params = spelling::base64_text(params, RULE)?;
    let mut reader = Reader::new(&params);
    let claims = Claims::read(&mut reader)?;
    let prefix_length = spelling::decimal(reader.required("sx-p=")?)?;
    reader.finish()?;
    check_claims(&claims)?;
    let claims = claims.into_owned();
    let prefix_length = usize::try_from(prefix_length).unwrap_or(usize::MAX);
    Ok(Parts { claims, signature, params, prefix_length })
}

/// Counting and concurrency have no meaning for a folder that a player reads in hundreds of requests.
pub(crate) fn check_claims(claims: &Claims<'_>) -> Result<(), Refusal> {
    if claims.constraints.uses.is_some() || claims.constraints.concurrent.is_some() {
        return Err(Refusal::ConstraintUnsupported(
            "u and x cannot be part of a prefix token; sign single URLs instead",
        ));
    }
    Ok(())
}

/// The first `length` bytes of the path, which must end with a slash.
pub(crate) fn prefix<'a>(target: &Target<'a>, length: usize) -> Result<&'a str, Refusal> {
    let prefix = target.path().get(..length).filter(|prefix| prefix.ends_with('/'));
    prefix.ok_or(Refusal::PrefixMismatch)
}
