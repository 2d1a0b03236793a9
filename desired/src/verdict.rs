//! What is said of each object: conditions in the making (operator.md, rule 6). Owns the reasons and which of them mean
//! that this object's own spec must change.

use std::fmt;

/// Why an object is not accepted, or its references do not resolve. The spelling is the condition's `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The object alone is wrong: an API server would have refused it.
    Invalid,
    /// Its Tenant is not declared.
    TenantNotFound,
    /// Its Tenant is declared and refused.
    TenantNotAccepted,
    /// Its namespace does not exist.
    NamespaceNotFound,
    /// The Tenant does not admit its namespace.
    NamespaceNotAllowed,
    /// The kind needs a namespace with role Owner.
    OwnerRequired,
    /// The stored issuer is another one.
    IssuerImmutable,
    /// Another tenant has the issuer.
    IssuerConflict,
    /// The stored tenant id is another one.
    TenantIdImmutable,
    /// Another tenant has the tenant id.
    TenantIdConflict,
    /// Another tenant has the host.
    HostConflict,
    /// The host is not one of the Tenant's urlHosts.
    HostNotAllowed,
    /// The client id belongs to another namespace.
    ClientIdNotAllowed,
    /// Another client has the client id.
    ClientIdConflict,
    /// Another client writes the same Secret.
    SecretNameConflict,
    /// A key of the client is none.
    InvalidKey,
    /// Another route has the host and prefix.
    PathConflict,
    /// The prefix lies under a prefix of another namespace.
    PathNotAllowed,
    /// Cedar refuses the policy.
    PolicyInvalid,
    /// A test of the policy fails.
    PolicyTestsFailed,
    /// Another retention policy keeps the data longer.
    Conflicted,
}

impl Reason {
    /// The condition's `reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid",
            Self::TenantNotFound => "TenantNotFound",
            Self::TenantNotAccepted => "TenantNotAccepted",
            Self::NamespaceNotFound => "NamespaceNotFound",
            Self::NamespaceNotAllowed => "NamespaceNotAllowed",
            Self::OwnerRequired => "OwnerRequired",
            Self::IssuerImmutable => "IssuerImmutable",
            Self::IssuerConflict => "IssuerConflict",
            Self::TenantIdImmutable => "TenantIdImmutable",
            Self::TenantIdConflict => "TenantIdConflict",
            Self::HostConflict => "HostConflict",
            Self::HostNotAllowed => "HostNotAllowed",
            Self::ClientIdNotAllowed => "ClientIdNotAllowed",
            Self::ClientIdConflict => "ClientIdConflict",
            Self::SecretNameConflict => "SecretNameConflict",
            Self::InvalidKey => "InvalidKey",
            Self::PathConflict => "PathConflict",
            Self::PathNotAllowed => "PathNotAllowed",
            Self::PolicyInvalid => "PolicyInvalid",
            Self::PolicyTestsFailed => "PolicyTestsFailed",
            Self::Conflicted => "Conflicted",
        }
    }

    /// Whether this object's own spec must change; otherwise another object may yet make it right (Reconciling).
    #[must_use]
    pub const fn is_stalled(self) -> bool {
        !matches!(
            self,
            Self::TenantNotFound
                | Self::TenantNotAccepted
                | Self::NamespaceNotFound
                | Self::NamespaceNotAllowed
                | Self::OwnerRequired
                | Self::HostNotAllowed
        )
    }

    /// Whether a reference, rather than the object, is at fault.
    #[must_use]
    const fn is_reference(self) -> bool {
        matches!(self, Self::TenantNotFound | Self::TenantNotAccepted | Self::NamespaceNotFound)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The condition's reason.
    pub reason: Reason,
    /// What is wrong and what to do.
    pub message: String,
    /// The field, such as `spec.hosts[0]`.
    pub field: String,
    /// Line and column from 1 within the field's text; of Cedar source.
    pub at: Option<(u64, u64)>,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), field: field.into(), at: None }
    }
}

/// Effective values for status. What is not known is `None`; after a refusal the last values still hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    /// Tenant: the declared id, else the stored one.
    pub tenant_id: Option<String>,
    /// Tenant and OAuthClient.
    pub issuer: Option<String>,
    /// OAuthClient.
    pub client_id: Option<String>,
    /// OAuthClient with authMethod ClientSecret.
    pub secret_name: Option<String>,
    /// SignedUrlRoute: the first host, and `+1` for each further.
    pub host: Option<String>,
    /// SignedUrlRoute.
    pub path: Option<String>,
    /// SignedUrlRoute.
    pub max_ttl: Option<String>,
    /// SignedUrlRoute.
    pub default_ttl: Option<String>,
    /// AccessPolicy and RetentionPolicy.
    pub mode: Option<String>,
    /// AccessPolicy: passed of declared, such as `2/2`.
    pub tests: Option<String>,
    /// RetentionPolicy.
    pub target: Option<String>,
}

/// What is said of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Condition `Accepted`. Refused means that the last good version, if any, keeps serving.
    pub accepted: Result<(), Refusal>,
    /// Condition `ResolvedRefs`.
    pub resolved_refs: Result<(), Refusal>,
    /// Condition `Stalled`: this object's own spec must change.
    pub stalled: bool,
    /// Values for status.
    pub effective: Effective,
}

impl Verdict {
    pub(crate) const fn accepted(effective: Effective) -> Self {
        Self { accepted: Ok(()), resolved_refs: Ok(()), stalled: false, effective }
    }

    pub(crate) fn refused(refusal: Refusal, effective: Effective) -> Self {
        let resolved_refs = if refusal.reason.is_reference() { Err(refusal.clone()) } else { Ok(()) };
        Self { stalled: refusal.reason.is_stalled(), accepted: Err(refusal), resolved_refs, effective }
    }
}
