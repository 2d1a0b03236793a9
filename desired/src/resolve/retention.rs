//! RetentionPolicies: the longest period wins, the loser says Conflicted and keeps only the rules it won (rule 13).
//! Enforce and DryRun do not compete: a dry run only counts, so it neither deletes nor holds back.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use authly_crds as crds;
use authly_model::{
    diff::Item,
    duration::Seconds,
    ids::{Kind, ObjectName, ObjectRef},
    retention::{DataClass, Retention, RetentionMode, Rule},
    tenant::Role,
};
use jiff::Timestamp;

use super::{Resolved, Scope, is_deleting};
use crate::{
    object::created,
    verdict::{Effective, Reason, Refusal, Verdict},
    world::Entry,
};

type Policies = BTreeMap<ObjectName, Entry<crds::RetentionPolicy>>;
/// The order of those that govern a class in a mode: the longest period first, then the older, then by name.
type Rank<'a> = (Reverse<Seconds>, Option<Timestamp>, &'a ObjectName);

impl Scope<'_> {
    pub(super) fn retentions(&self, entries: &Policies, resolved: &mut Resolved) {
        let live = || entries.iter().filter(|(_, entry)| !is_deleting(&entry.object.metadata));
        let alone: Vec<_> = live().map(|(name, entry)| (name, entry, self.retention(name, entry))).collect();
        let mut winners: HashMap<(bool, DataClass), Rank<'_>> = HashMap::new();
        for (name, entry, outcome) in &alone {
            for (mode, rule) in outcome.iter().flat_map(|r| r.rules.iter().map(|rule| (r.mode, rule))) {
                let rank = (Reverse(rule.after), created(&entry.object.metadata), *name);
                let winner = winners.entry((mode == RetentionMode::Enforce, rule.class)).or_insert(rank);
                *winner = rank.min(*winner);
            }
        }
        for (name, _, outcome) in &alone {
            let (item, verdict) = match outcome {
                Err(refusal) => (Item::Keep, Verdict::refused(refusal.clone(), Effective::default())),
                Ok(retention) => settle(retention.clone(), &winners, self.is_held()),
            };
            resolved.desired.retentions.insert((*name).clone(), item);
            let reference = ObjectRef { kind: Kind::RetentionPolicy, object: (*name).clone() };
            resolved.verdicts.insert(reference, verdict);
        }
    }

    fn is_held(&self) -> bool {
        self.tenant.as_ref().is_ok_and(|tenant| tenant.legal_hold)
    }

    fn retention(&self, name: &ObjectName, entry: &Entry<crds::RetentionPolicy>) -> Result<Retention, Refusal> {
        let (tenant, role) = self.admit(name, &entry.violations)?;
        if role == Role::Member {
            let message = format!(
                "retention needs role Owner, and namespace `{}` is a Member of Tenant `{}`: \
                 declare it in an Owner's namespace",
                name.namespace, tenant.name
            );
            return Err(Refusal::new(Reason::OwnerRequired, "metadata.namespace", message));
        }
        let spec = &entry.object.spec;
        let rules = spec.rules.iter().flat_map(|rule| {
            let after = rule.after.parse().unwrap_or(Seconds(i64::MAX));
            rule.data.iter().map(move |class| {
                let class = match class {
                    crds::DataClass::Tokens => DataClass::Tokens,
                    crds::DataClass::Audit => DataClass::Audit,
                };
                Rule { class, after, action: class.action() }
            })
        });
        let mode = match spec.mode {
            Some(crds::RetentionMode::Enforce) => RetentionMode::Enforce,
            Some(crds::RetentionMode::DryRun) | None => RetentionMode::DryRun,
        };
        Ok(Retention { object: name.clone(), mode, rules: rules.collect() })
    }
}

/// Takes away the rules that another policy won. The rest holds, so that the shorter period stops at once.
fn settle(
    mut retention: Retention,
    winners: &HashMap<(bool, DataClass), Rank<'_>>,
    held: bool,
) -> (Item<Retention>, Verdict) {
    let enforce = retention.mode == RetentionMode::Enforce;
    let mut lost = None;
    retention.rules.retain(|rule| match winners.get(&(enforce, rule.class)) {
        Some((after, _, winner)) if **winner != retention.object => {
            let message = format!(
                "{} is kept for {} by RetentionPolicy {winner}, and the longest period wins: \
                 remove the class from one of them",
                rule.class.as_str(),
                after.0
            );
            lost.get_or_insert(Refusal::new(Reason::Conflicted, "spec.rules", message));
            false
        }
        _ => true,
    });
    let effective = Effective {
        mode: Some(if held { "LegalHold" } else { retention.mode.as_str() }.to_owned()),
        target: Some("Tenant".to_owned()),
        ..Effective::default()
    };
    let verdict = match lost {
        None => Verdict::accepted(effective),
        Some(refusal) => Verdict::refused(refusal, effective),
    };
    (Item::Valid(retention), verdict)
}
