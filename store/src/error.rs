//! The errors of the store. Messages say what to do; what Postgres said goes to the log, not to a caller's client.

use authly_model::ids::{ObjectRef, OwnerKey};

/// A result of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is away, or did not answer in time. Nothing was acknowledged; retry. HTTP: 503 with Retry-After.
    #[error("the store is not available: {0}; retry in a moment")]
    Unavailable(String),
    /// The queue of waited events is full. HTTP: 503 with Retry-After.
    #[error("too many requests wait for the store; retry in a moment")]
    Full,
    /// The database refused this value; other values are not affected.
    #[error("the store refused the value: {0}")]
    Refused(String),
    /// Something that is unique belongs to another object.
    #[error(transparent)]
    Conflict(Box<Conflict>),
    /// A newer leader exists: stop writing at once.
    #[error("a newer leader of installation `{installation}` has taken over: this one must stop")]
    Fenced {
        /// The installation.
        installation: String,
    },
    /// The login must not be used by this process.
    #[error("the database login is refused: {0}")]
    Login(String),
    /// The schema is older than this binary needs.
    #[error("the database schema is at version {found}, this binary needs {needed}: run `authly migrate` first")]
    Schema {
        /// The newest applied migration; 0 if there is none.
        found: i64,
        /// The newest migration of this binary.
        needed: i64,
    },
    /// A stored value cannot be read by this binary.
    #[error("a stored value cannot be read: {0}; it may have been written by a newer version")]
    Damaged(String),
}

/// A claim that another object already holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {claim} already belongs to {} of installation `{}`", .owner.object, .owner.installation)]
pub struct Conflict {
    /// The object of the batch that is refused.
    pub object: ObjectRef,
    /// What it claimed.
    pub claim: Claim,
    /// Who holds it.
    pub owner: OwnerKey,
}

/// What can belong to one object only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// An issuer, unique in the database.
    Issuer(String),
    /// A host of signed URLs, unique in the database.
    Host(String),
    /// A client id, unique in the tenant.
    ClientId(String),
    /// A tenant id.
    Tenant,
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Issuer(issuer) => write!(f, "issuer `{issuer}`"),
            Self::Host(host) => write!(f, "host `{host}`"),
            Self::ClientId(id) => write!(f, "client id `{id}`"),
            Self::Tenant => f.write_str("the tenant id"),
        }
    }
}

impl StoreError {
    /// Whether a retry may succeed without any change: 503 with Retry-After.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full)
    }
}

pub(crate) fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

/// The SQLSTATE of an answer of the database, if it is one.
pub(crate) fn sqlstate(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|e| e.code()).map(|code| code.into_owned())
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match (sqlstate(&error).as_deref(), &error) {
            (Some("42P01" | "42883" | "3F000"), _) => Self::Schema { found: 0, needed: crate::migrate::newest() },
            (Some("28000" | "28P01" | "3D000"), _) => {
                Self::Login("the database refused it: check user, password and database name".into())
            }
            // Data exception, integrity violation, or a limit of a function of ours: the value, not the store.
            (Some(code), _) if ["21", "22", "23", "54"].iter().any(|class| code.starts_with(class)) => {
                tracing::warn!(%error, code, "the database refused a value");
                Self::Refused(format!("it breaks a rule of the schema (SQLSTATE {code})"))
            }
            (Some(code), _) => {
                tracing::warn!(%error, code, "the database refused a statement");
                Self::Unavailable(format!("the database answered SQLSTATE {code}"))
            }
            (None, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => Self::Damaged(error.to_string()),
            (None, sqlx::Error::PoolTimedOut) => unavailable("no connection became free in time"),
            (None, _) => {
                tracing::warn!(%error, "the database could not be reached");
                unavailable("the database could not be reached")
            }
        }
    }
}
