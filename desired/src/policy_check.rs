//! A policy alone: Cedar's verdict and its tests, by `authly-policies`. Owns the memo: compiling is the dear part of
//! resolving a tenant, and depends only on the object and the role of its namespace.

use std::sync::OnceLock;

use authly_crds::{AccessPolicySpec, Expectation};
use authly_model::{policy::Policy, tenant::Role};
use authly_policies::{PolicyTest, TestAction, run_tests, validate};

use crate::verdict::{Reason, Refusal};

/// What Cedar and the tests say.
#[derive(Debug, Clone)]
pub(crate) struct PolicyCheck {
    pub(crate) verdict: Result<(), Refusal>,
    /// Passed of declared, if they ran.
    pub(crate) tests: Option<String>,
}

/// The checks of one version of a policy, by role.
#[derive(Debug, Default)]
pub(crate) struct PolicyChecks {
    member: OnceLock<PolicyCheck>,
    owner: OnceLock<PolicyCheck>,
}

impl PolicyChecks {
    pub(crate) fn of(&self, policy: &Policy, spec: &AccessPolicySpec) -> &PolicyCheck {
        let memo = match policy.role {
            Role::Member => &self.member,
            Role::Owner => &self.owner,
        };
        memo.get_or_init(|| check(policy, spec))
    }
}

fn check(policy: &Policy, spec: &AccessPolicySpec) -> PolicyCheck {
    if let Err(errors) = validate(policy) {
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let mut refusal = Refusal::new(Reason::PolicyInvalid, "spec.cedar", said.join("; "));
        refusal.at = errors.first().map(|error| (error.line as u64, error.column as u64));
        return PolicyCheck { verdict: Err(refusal), tests: None };
    }
    let tests: Vec<PolicyTest> = spec.tests.iter().map(test).collect();
    let report = run_tests(policy, &tests);
    let verdict = match report.failures.first() {
        None => Ok(()),
        Some(first) => {
            let said: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
            let message = format!("{report} tests hold: {}", said.join("; "));
            Err(Refusal::new(Reason::PolicyTestsFailed, format!("spec.tests[{}]", first.index), message))
        }
    };
    PolicyCheck { verdict, tests: Some(report.to_string()) }
}

fn test(declared: &authly_crds::PolicyTest) -> PolicyTest {
    PolicyTest {
        as_: declared.as_.clone(),
        action: match declared.action {
            authly_crds::TestAction::IssueToken => TestAction::IssueToken,
            authly_crds::TestAction::Sign => TestAction::Sign,
            authly_crds::TestAction::Redeem => TestAction::Redeem,
        },
        route: declared.route.clone(),
        path: declared.path.clone(),
        allow: declared.expect == Expectation::Allow,
    }
}
