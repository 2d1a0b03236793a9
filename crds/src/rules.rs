//! CEL rules (`x-kubernetes-validations`). Owns how a rule is written into a schema and the expressions that several
//! kinds share. Each rule has its equal in Rust, in `desired/src/admission`; the manifest corpus holds both together.

use serde_json::{Value, json};

/// The value of `x-kubernetes-validations`: pairs of a rule and the message that says what to do.
pub(crate) fn rules<const N: usize>(pairs: [(String, &str); N]) -> Value {
    pairs.into_iter().map(|(rule, message)| json!({"rule": rule, "message": message})).collect()
}

/// One rule.
pub(crate) fn rule(rule: &str, message: &str) -> Value {
    rules([(rule.to_owned(), message)])
}

/// A required field that never changes.
pub(crate) fn immutable() -> Value {
    rule("self == oldSelf", "is immutable: delete the object and create it again")
}

/// The seconds of a duration such as `15m`, as an expression.
pub(crate) fn seconds(of: &str) -> String {
    let last = format!("size({of}) - 1");
    let units = "{'s': 1, 'm': 60, 'h': 3600, 'd': 86400}";
    format!("int({of}.substring(0, {last})) * {units}[{of}.substring({last})]")
}
