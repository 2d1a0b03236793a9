//! The annotations that trigger and pause, on every kind (operator.md, rule 14).

use std::time::Duration;

use anyhow::ensure;
use authly_tests::process::eventually;
use serde_json::{Value, json};

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(60);
const RECONCILE: &str = "authly.dev/reconcile-requested-at";
const PAUSED: &str = "authly.dev/paused";

fn others(id: &str) -> String {
    let meta = |name: &str| format!("metadata: {{name: {name}, namespace: shop-{id}}}");
    let tenant = format!("tenantRef: {{name: acme-{id}}}");
    format!(
        r#"apiVersion: authly.dev/v1alpha1
kind: SignedUrlRoute
{}
spec: {{{tenant}, hosts: ["files-{id}.example"], pathPrefix: /reports/}}
---
apiVersion: authly.dev/v1alpha1
kind: AccessPolicy
{}
spec: {{{tenant}, cedar: 'forbid (principal, action == Action::"sign", resource);'}}
---
apiVersion: authly.dev/v1alpha1
kind: RetentionPolicy
{}
spec: {{{tenant}, rules: [{{data: [Tokens], after: 30d}}]}}
"#,
        meta("reports"),
        meta("policy"),
        meta("standard"),
    )
}

impl World {
    async fn mark(&self, what: &str, annotation: &str) {
        let args: Vec<&str> =
            ["annotate", "--overwrite"].into_iter().chain(what.split(' ')).chain([annotation]).collect();
        self.kubectl(&args).await;
    }

    async fn sees(&self, what: &str, text: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let what = if what.starts_with("tenant") { what.to_owned() } else { format!("{what} -n {}", self.namespace) };
        eventually(&format!("{what}: {text}"), PATIENCE, || async {
            let object = self.stack.object(&what).await?;
            ensure!(holds(&object), "{object}");
            Ok(object)
        })
        .await
        .unwrap()
    }
}

fn is_paused(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Paused" && c["status"] == "True"))
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_trigger_and_pause() {
    let world = World::start().await;
    let id = world.stack.id.clone();
    world.stack.apply(&others(&id)).await.unwrap();
    let tenant = format!("tenant acme-{id}");
    // Each kind echoes the request that it handled.
    for what in
        [&tenant, "oauthclient billing", "signedurlroute reports", "accesspolicy policy", "retentionpolicy standard"]
    {
        for asked in ["first", "2026-03-01T12:00:00Z"] {
            world.mark(what, &format!("{RECONCILE}={asked}")).await;
            world.sees(what, "echo", |object| object["status"]["reconcileRequestedAt"] == asked).await;
        }
    }

    // A paused client keeps what it has: neither its spec nor its secret changes, until it goes on.
    let value = world.value("billing", "client_secret").await.unwrap();
    world.mark("oauthclient billing", &format!("{PAUSED}=true")).await;
    world.sees("oauthclient billing", "Paused", is_paused).await;
    let patch = r#"{"spec": {"scopes": ["read"]}}"#;
    world.kubectl(&["patch", "oauthclient", "billing", "--type=merge", "-p", patch]).await;
    world.mark("oauthclient billing", "authly.dev/rotate-requested-at=now").await;
    // Others of the tenant go on meanwhile, so that the operator has certainly seen both.
    world.add("other", "{secret: {}}").await;
    world.ready("other").await;
    let paused = world.stack.object(&format!("oauthclient billing -n {}", world.namespace)).await.unwrap();
    assert!(
        is_paused(&paused) && paused["status"]["observedGeneration"] != paused["metadata"]["generation"],
        "{paused}"
    );
    assert_eq!(world.value("billing", "client_secret").await.unwrap(), value);
    assert!(world.value("billing", "client_secret_next").await.is_err());
    world.mark("oauthclient billing", &format!("{PAUSED}-")).await;
    world
        .sees("oauthclient billing", "goes on", |object| {
            object["status"]["observedGeneration"] == object["metadata"]["generation"]
                && object["status"]["rotateRequestedAt"] == "now"
                && !is_paused(object)
        })
        .await;
    assert_ne!(world.value("billing", "client_secret").await.unwrap(), value);

    // A paused Tenant pauses everything of it; what is deleted goes all the same.
    world.mark(&tenant, &format!("{PAUSED}=")).await;
    world.sees(&tenant, "Paused", is_paused).await;
    world.add("late", "{secret: {}}").await;
    let late = world.sees("oauthclient late", "Paused", is_paused).await;
    assert_eq!(late["status"]["observedGeneration"], json!(-1));
    assert!(world.secret("late-oauth").await.is_none());
    world.mark(&tenant, &format!("{PAUSED}=false")).await;
    world.ready("late").await;
    world.mark("oauthclient late", &format!("{PAUSED}=true")).await;
    world.sees("oauthclient late", "Paused", is_paused).await;
    world.kubectl(&["delete", "oauthclient", "late", "--timeout=20s"]).await;
    eventually("its Secret is gone", PATIENCE, || async {
        ensure!(world.secret("late-oauth").await.is_none(), "not yet");
        Ok(())
    })
    .await
    .unwrap();
}
