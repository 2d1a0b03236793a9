//! Watches of the five kinds and of Namespaces, as the engine's inputs (operator.md, rules 5, 15 and 17).
//!
//! Lists come in pages of 500. Objects are watched untyped: one that does not parse is an input of its own and never
//! stops the stream. What vanished while a watch was down is found by the next list and becomes a deletion.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use authly_desired::Object;
use authly_model::ids::{Kind, ObjectName, ObjectRef};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DynamicObject, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::sync::mpsc;

use super::failure::describe_watch;
use crate::engine::{Declared, FINALIZER, Input, Target};

/// Counts the first complete lists; the last one lets the engine begin.
#[derive(Clone)]
pub(super) struct Barrier(Arc<AtomicUsize>);

impl Barrier {
    pub(super) fn new(sources: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(sources)))
    }

    async fn arrive(&self, inputs: &mpsc::Sender<Input>) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) != 1 || inputs.send(Input::Synced).await.is_ok()
    }
}

/// The resource of a kind.
pub(super) fn resource(kind: Kind) -> ApiResource {
    match kind {
        Kind::Tenant => ApiResource::erase::<authly_crds::Tenant>(&()),
        Kind::OAuthClient => ApiResource::erase::<authly_crds::OAuthClient>(&()),
        Kind::SignedUrlRoute => ApiResource::erase::<authly_crds::SignedUrlRoute>(&()),
        Kind::AccessPolicy => ApiResource::erase::<authly_crds::AccessPolicy>(&()),
        Kind::RetentionPolicy => ApiResource::erase::<authly_crds::RetentionPolicy>(&()),
    }
}

/// Watches a kind until the engine is gone.
pub(super) async fn watch_kind(client: Client, kind: Kind, inputs: mpsc::Sender<Input>, barrier: Barrier) {
    let api: Api<DynamicObject> = Api::all_with(client, &resource(kind));
    let stream = watcher(api, watcher::Config::default())
        .map(|event| event.map(|event| event.modify(|object| object.managed_fields_mut().clear())));
    let translate = |object: DynamicObject| Input::Declared(Box::new(declared(kind, object)));
    let gone = |place: ObjectName| Input::Deleted(ObjectRef { kind, object: place });
    forward(stream, kind.as_str(), (translate, gone), &inputs, &barrier).await;
}

/// Watches the labels of Namespaces until the engine is gone.
pub(super) async fn watch_namespaces(client: Client, inputs: mpsc::Sender<Input>, barrier: Barrier) {
    let stream = watcher(Api::<PartialObjectMeta<Namespace>>::all(client), watcher::Config::default());
    let translate = |found: PartialObjectMeta<Namespace>| Input::Namespace {
        name: found.name_any(),
        labels: Some(found.metadata.labels.unwrap_or_default()),
    };
    let gone = |place: ObjectName| Input::Namespace { name: place.name, labels: None };
    forward(stream, "Namespace", (translate, gone), &inputs, &barrier).await;
}

async fn forward<K: Resource + Send + 'static>(
    stream: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    what: &str,
    (translate, gone): (impl Fn(K) -> Input, impl Fn(ObjectName) -> Input),
    inputs: &mpsc::Sender<Input>,
    barrier: &Barrier,
) {
    let mut stream = std::pin::pin!(stream.default_backoff());
    let (mut known, mut listed) = (BTreeSet::new(), BTreeSet::new());
    let mut first = true;
    while let Some(event) = stream.next().await {
        let open = match event {
            Ok(Event::Init) => {
                listed.clear();
                true
            }
            Ok(Event::InitApply(object)) => {
                listed.insert(place(object.meta()));
                inputs.send(translate(object)).await.is_ok()
            }
            Ok(Event::InitDone) => {
                let mut open = true;
                for vanished in known.difference(&listed) {
                    open &= inputs.send(gone(ObjectName::clone(vanished))).await.is_ok();
                }
                known = std::mem::take(&mut listed);
                open & (!std::mem::take(&mut first) || barrier.arrive(inputs).await)
            }
            Ok(Event::Apply(object)) => {
                known.insert(place(object.meta()));
                inputs.send(translate(object)).await.is_ok()
            }
            Ok(Event::Delete(object)) => {
                let place = place(object.meta());
                known.remove(&place);
                inputs.send(gone(place)).await.is_ok()
            }
            Err(error) => {
                tracing::warn!(kind = what, error = %describe_watch(&error), "the watch failed; trying again");
                true
            }
        };
        if !open {
            return;
        }
    }
}

fn place(meta: &kube::api::ObjectMeta) -> ObjectName {
    ObjectName::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

fn declared(kind: Kind, mut object: DynamicObject) -> Declared {
    let meta = &object.metadata;
    let target = Target {
        object: ObjectRef { kind, object: place(meta) },
        uid: meta.uid.clone().unwrap_or_default(),
        version: meta.resource_version.clone().unwrap_or_default(),
    };
    Declared {
        target,
        generation: meta.generation.unwrap_or(0),
        deleting: meta.deletion_timestamp.is_some(),
        finalizer: object.finalizers().iter().any(|name| name == FINALIZER),
        status: object.data.get_mut("status").map(serde_json::Value::take).unwrap_or_default(),
        object: typed(kind, object),
    }
}

fn typed(kind: Kind, object: DynamicObject) -> Result<Object, String> {
    let typed = match kind {
        Kind::Tenant => object.try_parse::<authly_crds::Tenant>().map(Object::from),
        Kind::OAuthClient => object.try_parse::<authly_crds::OAuthClient>().map(Object::from),
        Kind::SignedUrlRoute => object.try_parse::<authly_crds::SignedUrlRoute>().map(Object::from),
        Kind::AccessPolicy => object.try_parse::<authly_crds::AccessPolicy>().map(Object::from),
        Kind::RetentionPolicy => object.try_parse::<authly_crds::RetentionPolicy>().map(Object::from),
    };
    typed.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::declared;
    use authly_model::ids::Kind;
    use kube::api::DynamicObject;
    use serde_json::json;

    fn object(spec: serde_json::Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "authly.dev/v1alpha1", "kind": "OAuthClient",
            "metadata": {"name": "billing", "namespace": "shop", "uid": "u", "resourceVersion": "5", "generation": 2},
            "spec": spec, "status": {"observedGeneration": -1},
        }))
        .unwrap()
    }

    #[test]
    fn what_does_not_parse_keeps_its_place_and_says_why() {
        let good = declared(Kind::OAuthClient, object(json!({"tenantRef": {"name": "acme"}, "type": "Service"})));
        assert_eq!(good.target.object.to_string(), "OAuthClient shop/billing");
        assert_eq!((good.generation, good.status["observedGeneration"].as_i64()), (2, Some(-1)));
        assert_eq!(good.object.unwrap().tenant(), Some("acme"));
        for spec in [json!({"tenantRef": {"name": "acme"}, "type": "Toaster"}), json!({"type": "Service"}), json!([])] {
            let bad = declared(Kind::OAuthClient, object(spec));
            assert_eq!(bad.target.version, "5");
            assert!(bad.object.is_err());
        }
    }
}
