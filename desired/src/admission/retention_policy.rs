//! The CEL rules of RetentionPolicy.

use authly_crds::{DataClass, RetentionAction, RetentionPolicySpec};

use super::{Violation, between};

/// The longest retention period, 36525 days.
const MAX_PERIOD: i64 = 3_155_760_000;

pub(super) fn check(new: &RetentionPolicySpec, found: &mut Vec<Violation>) {
    for (i, rule) in new.rules.iter().enumerate() {
        let field = format!("spec.rules[{i}]");
        between(Some(&rule.after), 0, MAX_PERIOD, &format!("{field}.after"), found);
        let fits = |class: &DataClass| match class {
            DataClass::Tokens => rule.action == Some(RetentionAction::Delete),
            DataClass::Audit => rule.action == Some(RetentionAction::Anonymize),
        };
        if rule.action.is_some() && !rule.data.iter().all(fits) {
            let message = "Tokens are deleted and Audit is anonymized: leave action out or split the rule";
            found.push(Violation::new(format!("{field}.action"), message));
        }
        if rule.data.iter().any(|class| new.rules[..i].iter().any(|earlier| earlier.data.contains(class))) {
            found.push(Violation::new(format!("{field}.data"), "a class of data stands in at most one rule"));
        }
    }
}
