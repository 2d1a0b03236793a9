//! What can be said of an AccessPolicy alone: its errors, and whether its tests hold (operator.md, rule 12).
//!
//! Tests are decided by this policy, the guards and the built-in policies; no other object of the tenant takes part.

use std::collections::BTreeSet;

use authly_model::{
    ids::{ObjectName, TenantId},
    policy::{Mode, Policy},
};
use cedar_policy::EntityUid;
use jiff::Timestamp;

use crate::{
    request::{Redeem, Request, Sign, WhoRef},
    source::{PolicyError, on_wide_stack, read, unreadable},
    tenant::TenantPolicies,
    vocabulary::Type,
};

/// The lifetime that tests sign with.
const EXPIRES_IN: i64 = 900;
/// The host of tests: a route's hosts are not the policy's to know.
const HOST: &str = "test.invalid";

/// One decision that must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyTest {
    /// Who asks, `Client::"…"` or `User::"…"`; for `redeem` the one whom the URL is for, if any.
    pub as_: Option<String>,
    /// What is asked.
    pub action: TestAction,
    /// The route, `<name>` in the policy's namespace or `<namespace>/<name>`; for `sign` and `redeem`.
    pub route: Option<String>,
    /// The path; for `sign` and `redeem`.
    pub path: Option<String>,
    /// Whether it must be permitted.
    pub allow: bool,
}

/// The action of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestAction {
    /// `issueToken`, without scopes or audiences.
    IssueToken,
    /// `sign`: GET and HEAD for 15 minutes, not counted, for nobody in particular.
    Sign,
    /// `redeem`: GET at 2000-01-01T00:00:00Z from an unknown address.
    Redeem,
}

impl TestAction {
    const fn as_str(self) -> &'static str {
        match self {
            Self::IssueToken => "issueToken",
            Self::Sign => "sign",
            Self::Redeem => "redeem",
        }
    }
}

/// How the tests of an object went; displays as `2/2`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TestReport {
    /// The number of tests.
    pub total: usize,
    /// Those that do not hold, by their index.
    pub failures: Vec<TestFailure>,
}

/// A test that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tests[{index}]: {message}")]
pub struct TestFailure {
    /// The test's index, from 0.
    pub index: usize,
    /// What was expected, what was decided, by which policies.
    pub message: String,
}

impl TestReport {
    /// Whether all hold.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl std::fmt::Display for TestReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.total - self.failures.len(), self.total)
    }
}

/// Checks an object alone: size, nesting, syntax, strict types, level 1.
///
/// # Errors
/// Every error, at most 20, with its place in the author's text.
pub fn validate(policy: &Policy) -> Result<(), Vec<PolicyError>> {
    on_wide_stack(|| read(&policy.cedar).map(|_| ())).unwrap_or_else(|| Err(unreadable()))
}

/// Runs an object's tests. A Shadow object is tested as if it were enforced; one that does not compile fails them all.
#[must_use]
pub fn run_tests(policy: &Policy, tests: &[PolicyTest]) -> TestReport {
    let enforced = Policy { mode: Mode::Enforce, ..policy.clone() };
    let (policies, failures) = TenantPolicies::compile(TenantId(uuid::Uuid::nil()), std::slice::from_ref(&enforced));
    let run = |(index, test): (usize, &PolicyTest)| {
        let outcome = match failures.first() {
            Some(failure) => Err(failure.to_string()),
            None => run_one(&policies, &policy.object, test),
        };
        outcome.err().map(|message| TestFailure { index, message })
    };
    TestReport { total: tests.len(), failures: tests.iter().enumerate().filter_map(run).collect() }
}

fn run_one(policies: &TenantPolicies, object: &ObjectName, test: &PolicyTest) -> Result<(), String> {
    let who = test.as_.as_deref().map(principal).transpose()?;
    let route = test.route.as_deref().map(|route| match route.split_once('/') {
        Some((namespace, name)) => ObjectName::new(namespace, name),
        None => ObjectName::new(&object.namespace, route),
    });
    let nothing = BTreeSet::new();
    let methods = ["GET".to_owned(), "HEAD".to_owned()];
    let missing = |what: &str| format!("{} needs {what}", test.action.as_str());
    let target = || {
        let route = route.as_ref().ok_or_else(|| missing("route"))?;
        Ok::<_, String>((route, test.path.as_deref().ok_or_else(|| missing("path"))?))
    };
    let own_client;
    let request = match test.action {
        TestAction::IssueToken => {
            let Some(Who::Client(id)) = &who else { return Err(missing("as: Client::\"…\"")) };
            own_client = client_object(object, id);
            Request::issue_token(id, &own_client, &nothing, &nothing)
        }
        TestAction::Sign => {
            let signer = who.as_ref().ok_or_else(|| missing("as"))?.as_ref();
            let (route, path) = target()?;
            let (is_prefix, methods, expires_in) = (false, methods.as_slice(), EXPIRES_IN);
            let (for_, uses) = (None, None);
            Request::sign(&Sign { signer, route, host: HOST, path, is_prefix, methods, expires_in, for_, uses })
        }
        TestAction::Redeem => {
            let (route, path) = target()?;
            let (who, now) = (who.as_ref().map(Who::as_ref), Timestamp::constant(946_684_800, 0));
            Request::redeem(Redeem { who, route, host: HOST, path, method: "GET", address: None, now })
        }
    };
    let decision = policies.decide(&request);
    if decision.allow == test.allow {
        return Ok(());
    }
    let word = |allow| if allow { "Allow" } else { "Deny" };
    Err(format!("expected {}, decided {}: {}", word(test.allow), word(decision.allow), decision.named()))
}

enum Who {
    Client(String),
    User(String),
}

impl Who {
    fn as_ref(&self) -> WhoRef<'_> {
        match self {
            Self::Client(id) => WhoRef::Client(id),
            Self::User(id) => WhoRef::User(id),
        }
    }
}

fn principal(text: &str) -> Result<Who, String> {
    let refused =
        || format!("`{}` is nobody: write Client::\"<client id>\"", text.chars().take(80).collect::<String>());
    let uid: EntityUid = text.parse().map_err(|_| refused())?;
    let id = uid.id().unescaped().to_owned();
    match Type::parse(&uid.type_name().to_string()) {
        Some(Type::Client) => Ok(Who::Client(id)),
        Some(Type::User) => Ok(Who::User(id)),
        _ => Err(refused()),
    }
}

/// The OAuthClient behind an id: ids with a dot start with their namespace (operator.md, rule 1); others are taken as own.
fn client_object(policy: &ObjectName, client_id: &str) -> ObjectName {
    match client_id.split_once('.') {
        Some((namespace, name)) => ObjectName::new(namespace, name),
        None => ObjectName::new(&policy.namespace, client_id),
    }
}
