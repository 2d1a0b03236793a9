//! What a client gets for what it asked: scopes (RFC 6749 section 3.3) and audiences (RFC 8707).

use std::collections::BTreeSet;

use crate::client::Client;

/// The most scope values or resources in one request.
pub const MAX_REQUESTED: usize = 32;

/// A refusal in the terms of RFC 6749 section 5.2 and RFC 8707 section 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// `invalid_scope`.
    #[error("scope `{0}` is not one of the client's scopes: add it to the OAuthClient's spec.scopes or leave it out")]
    Scope(String),
    /// `invalid_scope`: the value is not a scope-token list.
    #[error(
        "scope must be at most 32 tokens of printable ASCII without quotes or backslash, separated by single spaces"
    )]
    ScopeSyntax,
    /// `invalid_target`.
    #[error(
        "resource `{0}` is not one of the client's audiences: add it to the OAuthClient's spec.audiences or leave it out"
    )]
    Resource(String),
    /// `invalid_target`: too many.
    #[error("at most 32 resource parameters are accepted")]
    TooManyResources,
}

/// What the token will carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The scopes, sorted.
    pub scopes: BTreeSet<String>,
    /// The audiences; the issuer alone where none was asked.
    pub audiences: BTreeSet<String>,
}

/// Decides a client-credentials request: without `scope` all of the client's scopes, without `resource` the issuer.
///
/// # Errors
/// [`Refused`], naming the first value that does not fit.
pub fn client_credentials(
    client: &Client,
    issuer: &str,
    scope: Option<&str>,
    resources: &[String],
) -> Result<Granted, Refused> {
    let scopes = match scope {
        None => client.scopes.clone(),
        Some(text) => requested_scopes(text)?.into_iter().try_fold(BTreeSet::new(), |mut granted, scope| {
            if !client.scopes.contains(scope) {
                return Err(Refused::Scope(scope.to_owned()));
            }
            granted.insert(scope.to_owned());
            Ok(granted)
        })?,
    };
    if resources.len() > MAX_REQUESTED {
        return Err(Refused::TooManyResources);
    }
    let mut audiences = BTreeSet::new();
    for resource in resources {
        if resource != issuer && !client.audiences.contains(resource) {
            return Err(Refused::Resource(resource.chars().take(200).collect()));
        }
        audiences.insert(resource.clone());
    }
    if audiences.is_empty() {
        audiences.insert(issuer.to_owned());
    }
    Ok(Granted { scopes, audiences })
}

fn requested_scopes(text: &str) -> Result<Vec<&str>, Refused> {
    let tokens: Vec<&str> = text.split(' ').take(MAX_REQUESTED + 1).collect();
    if tokens.len() > MAX_REQUESTED || !tokens.iter().all(|t| is_scope_token(t)) {
        return Err(Refused::ScopeSyntax);
    }
    Ok(tokens)
}

/// `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )` (RFC 6749 section 3.3), here at most 128 bytes.
#[must_use]
pub fn is_scope_token(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
