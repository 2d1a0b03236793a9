//! Events, `events.k8s.io/v1`. Own code, because kube's recorder folds notices of one reason together and keeps the
//! first text, so a second error of the same object would not show. The engine publishes on transitions only.

use authly_model::clock::Clock;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::api::ObjectMeta;

use crate::engine::{Notice, NoticeKind, Target};

/// The longest note that API servers accept, in bytes.
const NOTE: usize = 1024;
const CONTROLLER: &str = "authly.dev/operator";

/// The Event of a notice. An object without namespace has its events in `default`.
pub(super) fn event(target: &Target, notice: &Notice, instance: &str, clock: &dyn Clock) -> Event {
    let now = clock.now();
    let object = &target.object.object;
    let namespace = if object.namespace.is_empty() { "default" } else { &object.namespace };
    let mut instance = instance.to_owned();
    instance.truncate(128);
    Event {
        metadata: ObjectMeta {
            namespace: Some(namespace.to_owned()),
            name: Some(format!("{}.{:x}", object.name, now.as_nanosecond())),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        type_: Some(match notice.kind {
            NoticeKind::Normal => "Normal".to_owned(),
            NoticeKind::Warning => "Warning".to_owned(),
        }),
        reason: Some(notice.reason.clone()),
        action: Some("Reconcile".to_owned()),
        note: Some(shortened(&notice.message)),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(instance),
        regarding: Some(ObjectReference {
            api_version: Some(authly_crds::API_VERSION.to_owned()),
            kind: Some(target.object.kind.as_str().to_owned()),
            name: Some(object.name.clone()),
            namespace: (!object.namespace.is_empty()).then(|| object.namespace.clone()),
            uid: Some(target.uid.clone()),
            resource_version: Some(target.version.clone()),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= NOTE {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(NOTE - '…'.len_utf8());
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{NOTE, shortened};

    #[test]
    fn notes_fit() {
        assert_eq!(shortened("short"), "short");
        let long = shortened(&"é".repeat(600));
        assert!(long.len() <= NOTE && long.ends_with('…'), "{}", long.len());
    }
}
