//! AccessPolicies: mode, role, Cedar's verdict and the tests (rules 1, 3, 4).

use std::collections::BTreeMap;

use authly_crds as crds;
use authly_model::{
    ids::{Kind, ObjectName, ObjectRef},
    policy::{Mode, Policy},
};

use super::{Resolved, Scope, is_deleting};
use crate::{
    policy_check::PolicyChecks,
    verdict::{Effective, Refusal, Verdict},
    world::Entry,
};
use authly_model::diff::Item;

type Policies = BTreeMap<ObjectName, (Entry<crds::AccessPolicy>, PolicyChecks)>;

impl Scope<'_> {
    pub(super) fn policies(&self, entries: &Policies, resolved: &mut Resolved) {
        for (name, (entry, checks)) in entries {
            if is_deleting(&entry.object.metadata) {
                continue;
            }
            let (item, verdict) = match self.policy(name, entry) {
                Err(refusal) => (Item::Keep, Verdict::refused(refusal, Effective::default())),
                Ok(policy) => judge(policy, checks, &entry.object.spec),
            };
            resolved.desired.policies.insert(name.clone(), item);
            resolved.verdicts.insert(ObjectRef { kind: Kind::AccessPolicy, object: name.clone() }, verdict);
        }
    }

    fn policy(&self, name: &ObjectName, entry: &Entry<crds::AccessPolicy>) -> Result<Policy, Refusal> {
        let (_, role) = self.admit(name, &entry.violations)?;
        let mode = match entry.object.spec.mode {
            Some(crds::PolicyMode::Shadow) => Mode::Shadow,
            Some(crds::PolicyMode::Enforce) | None => Mode::Enforce,
        };
        Ok(Policy { object: name.clone(), role, mode, cedar: entry.object.spec.cedar.clone() })
    }
}

fn judge(policy: Policy, checks: &PolicyChecks, spec: &crds::AccessPolicySpec) -> (Item<Policy>, Verdict) {
    let check = checks.of(&policy, spec);
    let mode = match policy.mode {
        Mode::Enforce => "Enforce",
        Mode::Shadow => "Shadow",
    };
    let effective = Effective { mode: Some(mode.to_owned()), tests: check.tests.clone(), ..Effective::default() };
    match &check.verdict {
        Ok(()) => (Item::Valid(policy), Verdict::accepted(effective)),
        Err(refusal) => (Item::Keep, Verdict::refused(refusal.clone(), effective)),
    }
}
