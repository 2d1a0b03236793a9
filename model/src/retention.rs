//! Retention: what is deleted or anonymised, and after how long (operator.md, "RetentionPolicy data").

use serde::{Deserialize, Serialize};

use crate::{duration::Seconds, ids::ObjectName};

/// The effective configuration of a retention policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// The RetentionPolicy object.
    pub object: ObjectName,
    /// Whether rows go, or are only counted.
    pub mode: RetentionMode,
    /// The rules; at most one per class after the longest period won (rule 13).
    pub rules: Vec<Rule>,
}

/// Whether rows go, or are only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetentionMode {
    /// Counts what would go.
    DryRun,
    /// Deletes or anonymises.
    Enforce,
}

impl RetentionMode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::DryRun, Self::Enforce];

    /// The spelling in manifests and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DryRun => "DryRun",
            Self::Enforce => "Enforce",
        }
    }

    /// The mode of this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}

/// One class of data and its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The class.
    pub class: DataClass,
    /// How long past its own end (expiry, or for audit its time) a row stays.
    pub after: Seconds,
    /// What happens then.
    pub action: Action,
}

/// A class of data. Adding one makes every exhaustive match ask for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DataClass {
    /// Expired revocations, replay ids and use counts past their floor.
    Tokens,
    /// Audit records: payloads go, the hash skeleton stays.
    Audit,
}

/// What happens to a row past its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// The row goes.
    Delete,
    /// Its payload goes; counts and hashes stay.
    Anonymize,
}

impl DataClass {
    /// Every class.
    pub const ALL: [Self; 2] = [Self::Tokens, Self::Audit];

    /// The class of this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// The only action that the class supports today.
    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            Self::Tokens => Action::Delete,
            Self::Audit => Action::Anonymize,
        }
    }

    /// The spelling in manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "Tokens",
            Self::Audit => "Audit",
        }
    }
}
