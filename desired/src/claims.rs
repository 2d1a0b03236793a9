//! What Postgres already holds, as far as conflicts need it: on a conflict the one already there wins.

use std::collections::{BTreeMap, HashMap};

use authly_model::{
    ids::{ObjectName, TenantId},
    tenant::DeletionPolicy,
};

/// Who owns a tenant: `name` in `installation`, of all that share the database (operator.md, rule 9).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantOwner {
    /// The installation.
    pub installation: String,
    /// The Tenant's name.
    pub name: String,
}

/// What is stored, of this installation and of the others that share its database. Read in bulk at start-up and kept
/// up by the writer after each commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredClaims {
    /// The tenant of each host.
    pub hosts: BTreeMap<String, TenantOwner>,
    /// The tenant of each issuer.
    pub issuers: BTreeMap<String, TenantOwner>,
    /// The tenant of each id.
    pub tenant_ids: BTreeMap<TenantId, TenantOwner>,
    /// The tenants of this installation by name.
    pub tenants: BTreeMap<String, StoredTenant>,
}

/// One stored tenant of this installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTenant {
    /// Its id.
    pub id: TenantId,
    /// Its issuer, which never changes.
    pub issuer: String,
    /// What its absence means.
    pub deletion: DeletionPolicy,
    /// The object of each client id.
    pub client_ids: HashMap<String, ObjectName>,
    /// The object of each host and path prefix.
    pub paths: HashMap<(String, String), ObjectName>,
}
