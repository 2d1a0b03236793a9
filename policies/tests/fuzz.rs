//! Cedar sources of any shape: compiled, or an error with line and column. Whatever compiles decides without a panic.
#![allow(clippy::unwrap_used)]

use authly_model::{
    ids::{ObjectName, TenantId},
    policy::{Mode, Policy},
    tenant::Role,
};
use authly_policies::TenantPolicies;

#[test]
fn sources() {
    authly_fuzzing::run("cedar", 500, |input| {
        let object = ObjectName { namespace: "shop".to_owned(), name: "a".to_owned() };
        let cedar = String::from_utf8_lossy(input).into_owned();
        let policy = Policy { object, role: Role::Member, mode: Mode::Enforce, cedar };
        let (_, failures) = TenantPolicies::compile(TenantId(uuid::Uuid::nil()), &[policy]);
        for failure in failures {
            assert!(!failure.to_string().is_empty());
        }
    });
}
