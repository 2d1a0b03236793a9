//! The answer to a request, and how Cedar's response becomes one: any error is a deny.

use cedar_policy::{AuthorizationError, Response};

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is permitted.
    pub allow: bool,
    /// The names of the policies that decided, sorted: `shop/reports#0`, `builtin/issueToken`. Those that permit; or
    /// those that forbid and those that failed; none where nothing permits.
    pub policies: Vec<String>,
    /// Whether a policy failed to evaluate, which denies.
    pub errors: bool,
    /// Whether a policy of the slice reads the time or the address: such a decision must not be cached.
    pub reads_time_or_address: bool,
    /// What each Shadow policy object in reach would have changed.
    pub shadow: Vec<ShadowOutcome>,
}

/// What would have been decided, had a Shadow policy object been enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowOutcome {
    /// The AccessPolicy, `<namespace>/<name>`.
    pub object: String,
    /// The decision with this object enforced besides what is.
    pub allow: bool,
    /// Its policies that matched or failed.
    pub policies: Vec<String>,
    /// Whether one of its policies failed to evaluate.
    pub errors: bool,
}

impl Decision {
    /// A deny without a policy: the request could not be evaluated.
    pub(crate) fn failed() -> Self {
        Self { allow: false, policies: Vec::new(), errors: true, reads_time_or_address: true, shadow: Vec::new() }
    }

    /// The deciding policies for people: `a, b`, or that none permits it.
    #[must_use]
    pub fn named(&self) -> String {
        match (self.policies.is_empty(), self.errors) {
            (false, _) => self.policies.join(", "),
            (true, true) => "the policies could not be evaluated".to_owned(),
            (true, false) => "no policy permits it".to_owned(),
        }
    }
}

/// Cedar's response: what matched, and what failed.
pub(crate) struct Outcome {
    pub(crate) allow: bool,
    pub(crate) forbidden: bool,
    pub(crate) errors: bool,
    pub(crate) policies: Vec<String>,
}

impl Outcome {
    /// Cedar skips a policy that fails, even a forbid; here it denies.
    pub(crate) fn of(response: &Response) -> Self {
        let diagnostics = response.diagnostics();
        let allow = response.decision() == cedar_policy::Decision::Allow;
        let matched = || diagnostics.reason().map(ToString::to_string);
        let failed = diagnostics.errors().map(|error| match error {
            AuthorizationError::PolicyEvaluationError(error) => error.policy_id().to_string(),
        });
        let mut policies: Vec<String> = failed.collect();
        let errors = !policies.is_empty();
        if !(errors && allow) {
            policies.extend(matched());
        }
        policies.sort_unstable();
        Self { allow: allow && !errors, forbidden: !allow && diagnostics.reason().next().is_some(), errors, policies }
    }
}
