//! Objects as JSON, as an API server would show them, and back.

use std::sync::Arc;

use authly_desired::Object;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::{Value, json};

/// Kind and place, for people and for finding duplicates.
pub(crate) fn name(object: &Object) -> String {
    match object {
        Object::Namespace(namespace) => format!("Namespace {}", namespace.name),
        _ => object.reference().map(|reference| reference.to_string()).unwrap_or_default(),
    }
}

/// The object as JSON, its kind and apiVersion included.
pub(crate) fn of(object: &Object) -> Value {
    let value = match object {
        Object::Tenant(o) => serde_json::to_value(&**o),
        Object::OAuthClient(o) => serde_json::to_value(&**o),
        Object::SignedUrlRoute(o) => serde_json::to_value(&**o),
        Object::AccessPolicy(o) => serde_json::to_value(&**o),
        Object::RetentionPolicy(o) => serde_json::to_value(&**o),
        Object::Namespace(n) => {
            Ok(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n.name, "labels": n.labels}}))
        }
    };
    value.unwrap_or_default() // none of these types fails
}

/// The spec as JSON.
pub(crate) fn spec(object: &Object) -> Value {
    of(object)["spec"].take()
}

/// When it was created.
pub(crate) fn created(object: &Object) -> Option<Timestamp> {
    object.metadata()?.creation_timestamp.as_ref().map(|time| time.0)
}

/// The object with its time of creation, which an API server sets.
pub(crate) fn with_creation(object: &Object, created: Timestamp) -> Object {
    let set = |metadata: &mut ObjectMeta| metadata.creation_timestamp = Some(Time(created));
    let mut object = object.clone();
    match &mut object {
        Object::Tenant(o) => set(&mut Arc::make_mut(o).metadata),
        Object::OAuthClient(o) => set(&mut Arc::make_mut(o).metadata),
        Object::SignedUrlRoute(o) => set(&mut Arc::make_mut(o).metadata),
        Object::AccessPolicy(o) => set(&mut Arc::make_mut(o).metadata),
        Object::RetentionPolicy(o) => set(&mut Arc::make_mut(o).metadata),
        Object::Namespace(_) => {}
    }
    object
}
