//! The two-sided handshake (operator.md, rule 1): an object names a Tenant, the Tenant admits its namespace.

use std::collections::{BTreeMap, HashMap};

use authly_crds::{AllowedNamespaces, NamespaceRole};
use authly_model::tenant::Role;

use crate::verdict::{Reason, Refusal};

type Labels = BTreeMap<String, String>;

/// The role of every existing namespace. Where several entries match, Owner wins.
pub(super) fn roles<'a>(
    namespaces: &'a BTreeMap<String, Labels>,
    tenant: &str,
    allowed: &[AllowedNamespaces],
) -> HashMap<&'a str, Result<Role, Refusal>> {
    let role_of = |(name, labels): (&'a String, &'a Labels)| {
        let matching = allowed.iter().filter(|entry| admits(entry, name, labels));
        let role = matching.map(|entry| role(entry.role)).max();
        (name.as_str(), role.ok_or_else(|| refused(name, tenant)))
    };
    namespaces.iter().map(role_of).collect()
}

fn admits(entry: &AllowedNamespaces, name: &str, labels: &Labels) -> bool {
    match (&entry.name, &entry.selector) {
        (Some(own), None) => own == name,
        (None, Some(selector)) => {
            !selector.match_labels.is_empty()
                && selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        }
        _ => false,
    }
}

const fn role(role: NamespaceRole) -> Role {
    match role {
        NamespaceRole::Member => Role::Member,
        NamespaceRole::Owner => Role::Owner,
    }
}

fn refused(namespace: &str, tenant: &str) -> Refusal {
    let message = format!(
        "Tenant `{tenant}` does not admit namespace `{namespace}`: \
         add {{name: {namespace}, role: Member}} to its spec.allowedNamespaces"
    );
    Refusal::new(Reason::NamespaceNotAllowed, "spec.tenantRef", message)
}
