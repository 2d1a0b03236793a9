//! The annotations by which people ask for something now, or for nothing (operator.md, rule 14).
//!
//! A request is any value that was not handled yet; by custom the time. What was handled is echoed in status.

use authly_desired::Object;

/// Reconciles the object now, its Secret and the store included.
pub(super) const RECONCILE: &str = "authly.dev/reconcile-requested-at";
/// Rotates the secret of a client, or the signing keys of a Tenant, now.
pub(super) const ROTATE: &str = "authly.dev/rotate-requested-at";
/// Gives a Tenant another pepper.
const PEPPER: &str = "authly.dev/rotate-pepper-requested-at";
/// Pauses the object, unless it says `false`.
pub(super) const PAUSED: &str = "authly.dev/paused";

/// The longest value that counts; of a longer one the beginning.
const LIMIT: usize = 253;

/// What the annotations of an object ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Triggers {
    pub(super) reconcile: Option<String>,
    pub(super) rotate: Option<String>,
    pub(super) pepper: Option<String>,
    pub(super) paused: bool,
}

impl Triggers {
    /// Reads an object's annotations.
    pub(super) fn of(object: &Object) -> Self {
        let annotations = object.metadata().and_then(|metadata| metadata.annotations.as_ref());
        let value = |name: &str| annotations?.get(name).map(|value| shortened(value)).filter(|value| !value.is_empty());
        Self {
            reconcile: value(RECONCILE),
            rotate: value(ROTATE),
            pepper: value(PEPPER),
            paused: annotations.and_then(|all| all.get(PAUSED)).is_some_and(|value| value != "false"),
        }
    }
}

/// What counts of a value: it is echoed in status and stored, so control characters do not.
fn shortened(value: &str) -> String {
    let mut value: String = value.chars().filter(|c| !c.is_control()).collect();
    value.truncate(value.floor_char_boundary(LIMIT));
    value
}

#[cfg(test)]
mod tests {
    use super::Triggers;
    use authly_crds::OAuthClient;
    use serde_json::json;

    fn triggers(annotations: serde_json::Value) -> Triggers {
        let client: OAuthClient = serde_json::from_value(json!({
            "apiVersion": "authly.dev/v1alpha1", "kind": "OAuthClient",
            "metadata": {"name": "billing", "namespace": "shop", "annotations": annotations},
            "spec": {"tenantRef": {"name": "acme"}, "type": "Service"},
        }))
        .unwrap();
        Triggers::of(&client.into())
    }

    #[test]
    fn any_value_is_a_request_and_only_false_does_not_pause() {
        assert_eq!(triggers(json!(null)), Triggers::default());
        let asked = triggers(json!({"authly.dev/rotate-requested-at": "now", "authly.dev/reconcile-requested-at": ""}));
        assert_eq!(asked, Triggers { rotate: Some("now".to_owned()), ..Triggers::default() });
        for (value, paused) in [("true", true), ("", true), ("false", false)] {
            assert_eq!(triggers(json!({"authly.dev/paused": value})).paused, paused, "{value}");
        }
        let dirty = triggers(
            json!({"authly.dev/rotate-pepper-requested-at": "a\u{0}b\n", "authly.dev/rotate-requested-at": "\n"}),
        );
        assert_eq!(dirty, Triggers { pepper: Some("ab".to_owned()), ..Triggers::default() });
        let long = triggers(json!({"authly.dev/rotate-requested-at": "ä".repeat(400)}));
        assert!(long.rotate.unwrap().len() <= 253);
    }
}
