//! The layout of one signed URL.
//!
//! Owns `PATH?[APPQUERY&]sx-k=…&sx-s=SIG` and which of its bytes are signed. Never verifies.
//! Governed by "Native format `sx1`".

use crate::claims::reader::Reader;
use crate::keys::Signature;
use crate::target::{Split, Target};
use crate::{Claims, Refusal};

/// The first line of what is signed; keeps these signatures apart from every other use of a key.
pub(crate) const DOMAIN: &str = "sx1\n";

/// What stands before the signature.
pub(crate) const SIGNATURE: &str = "&sx-s=";

/// A target with its signature, read but not verified.
pub(crate) struct Parts<'a> {
    /// What the backend gets.
    pub(crate) target: Target<'a>,
    pub(crate) claims: Claims<'a>,
    pub(crate) signature: Signature,
    /// Everything before the last `&sx-s=`.
    pub(crate) signed_target: &'a str,
}

/// Reads a target that ends with the signature's parameters.
pub(crate) fn read(text: &str) -> Result<Parts<'_>, Refusal> {
    let split = Split::parse(text)?;
    let mut reader = Reader::new(split.suffix.ok_or(Refusal::SignatureMissing)?);
    let claims = Claims::read(&mut reader)?;
    let spelled = reader.required("sx-s=")?;
    reader.finish()?;
    let signature = Signature::parse(spelled)?;
    // The signature is the end of the text and holds no `&`, so this is the last index of `&sx-s=`.
    let signed_target = text.get(..text.len() - spelled.len() - SIGNATURE.len()).unwrap_or_default();
    Ok(Parts { target: split.target, claims, signature, signed_target })
}
