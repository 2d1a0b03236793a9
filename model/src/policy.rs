//! An access policy as `desired` resolved it: Cedar source, mode, and the role that guards it.

use serde::{Deserialize, Serialize};

use crate::{ids::ObjectName, tenant::Role};

/// The effective configuration of an access policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The AccessPolicy object; decisions name policies as `<namespace>/<name>#<index>`.
    pub object: ObjectName,
    /// The role of its namespace; a Member's policies get the guard.
    pub role: Role,
    /// Whether it decides.
    pub mode: Mode,
    /// The Cedar source as the author wrote it.
    pub cedar: String,
}

/// Whether a policy decides or only reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Decides.
    Enforce,
    /// Evaluated apart; never decides, its errors never deny.
    Shadow,
}
