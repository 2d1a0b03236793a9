//! The CEL rules of AccessPolicy.

use authly_crds::{AccessPolicySpec, TestAction};

use super::Violation;

pub(super) fn check(new: &AccessPolicySpec, found: &mut Vec<Violation>) {
    for (i, test) in new.tests.iter().enumerate() {
        let field = format!("spec.tests[{i}]");
        let fits = match test.action {
            TestAction::IssueToken => test.route.is_none() && test.path.is_none(),
            TestAction::Sign | TestAction::Redeem => test.route.is_some() && test.path.is_some(),
        };
        if !fits {
            found.push(Violation::new(&field, "sign and redeem need route and path, issueToken takes neither"));
        }
        if test.action != TestAction::Redeem && test.as_.is_none() {
            found.push(Violation::new(&field, "issueToken and sign need as"));
        }
    }
}
