//! An operator whose API server fails it (issue 4, section 1.4): restarted, its etcd compacted, its watches expired, or with an
//! object that the operator cannot read. The process goes on, catches up with what it missed, deletions included, and what is
//! wrong with one object stops no other.

use std::time::Duration;

use anyhow::ensure;
use authly_tests::{
    controlplane::ControlPlane,
    objects::{Objects, condition},
    operators::Seat,
    process::{Process, eventually, free_port},
    stack::{Listening, Stack, apply_crds},
};
use serde_json::{Value, json};

/// For a machine that is busy; the Lease alone may take 15 s after an outage.
const LIMIT: Duration = Duration::from_secs(90);
/// One for each watch: five kinds, Namespaces, Secrets.
const WATCHES: usize = 7;

struct World<'a> {
    objects: Objects,
    seat: Seat<'a>,
    operator: Process,
    id: String,
    _server: Listening,
}

impl<'a> World<'a> {
    async fn start(stack: &'a Stack, cluster: &'a ControlPlane) -> Self {
        let (port, id) = (free_port().unwrap(), format!("outage-{}", stack.id));
        let objects = Objects(cluster.client().await.unwrap());
        let seat = Seat::new(stack, cluster, &id, &format!("http://localhost:{port}")).await.unwrap();
        let server = stack.server("server", port, None).await.unwrap();
        let operator = seat.start("operator", None).unwrap();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": id}});
        objects.apply(&format!("namespaces {id}"), &namespace).await.unwrap();
        let tenant = json!({
            "apiVersion": "authly.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": id},
            "spec": {"displayName": "Acme", "installation": id, "allowedNamespaces": [{"name": id, "role": "Owner"}]},
        });
        objects.apply(&format!("tenants {id}"), &tenant).await.unwrap();
        let mut world = Self { objects, seat, operator, id, _server: server };
        world.client("first").await;
        world.ready("first").await;
        world
    }

    fn what(&self, name: &str) -> String {
        format!("oauthclients {}/{name}", self.id)
    }

    fn of_type(&self, name: &str, kind: &str) -> Value {
        json!({
            "apiVersion": "authly.dev/v1alpha1", "kind": "OAuthClient", "metadata": {"name": name, "namespace": self.id},
            "spec": {"tenantRef": {"name": self.id}, "type": kind},
        })
    }

    async fn client(&self, name: &str) {
        self.objects.apply(&self.what(name), &self.of_type(name, "Service")).await.unwrap();
    }

    async fn ready(&mut self, name: &str) {
        let what = self.what(name);
        let result = eventually(&what, LIMIT, || self.objects.ready(&what)).await;
        self.operator.check().unwrap();
        result.unwrap_or_else(|error| panic!("{error:#}\n{}", self.operator.output()));
    }

    async fn secret_goes(&self, name: &str) {
        let secret = format!("secrets {}/{name}-oauth", self.id);
        eventually(&format!("{secret} goes"), LIMIT, || async {
            ensure!(self.objects.find(&secret).await?.is_none(), "it is there");
            Ok(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_api_server_does_the_operator_catches_up() {
    let stack = Stack::new().await.unwrap();
    let cluster = ControlPlane::start().await.unwrap();
    apply_crds(&cluster).await.unwrap();
    let mut world = World::start(&stack, &cluster).await;

    cluster.restart_api_server().await.unwrap();
    world.client("restarted").await;
    world.ready("restarted").await;
    println!("caught up after a restart of the API server");

    // The watches end, a client goes unseen, and the version to go on from is told to be too old.
    let seen = world.seat.api().gone_seen();
    world.seat.api().cut();
    world.objects.delete(&world.what("restarted")).await.unwrap();
    world.client("expired").await;
    world.seat.api().expire_watches(WATCHES);
    world.ready("expired").await;
    world.secret_goes("restarted").await;
    assert!(world.seat.api().gone_seen() > seen, "no watch was expired");
    println!("caught up after expired watches: {} answers of 410", world.seat.api().gone_seen() - seen);

    // The same in earnest: etcd forgets the versions, and the new API server has none of them in memory. The Lease looks
    // renewed meanwhile, or the operator would begin anew, which is another story.
    let seen = world.seat.api().gone_seen();
    world.seat.api().forge_leases(true);
    world.seat.api().cut();
    world.objects.delete(&world.what("expired")).await.unwrap();
    world.client("compacted").await;
    let revision = cluster.compact_etcd().await.unwrap();
    cluster.restart_api_server().await.unwrap();
    world.seat.api().mend();
    world.ready("compacted").await;
    world.secret_goes("expired").await;
    world.seat.api().forge_leases(false);
    assert!(world.seat.api().gone_seen() > seen, "the API server still knew the versions of before");
    println!(
        "caught up after etcd was compacted at {revision}: {} answers of 410",
        world.seat.api().gone_seen() - seen
    );

    a_malformed_object_stops_nothing(&mut world, &cluster).await;
}

async fn a_malformed_object_stops_nothing(world: &mut World<'_>, cluster: &ControlPlane) {
    // Stored while the CRD was looser than this release.
    let crd = "customresourcedefinitions oauthclients.authly.dev";
    let found = world.objects.get(crd).await.unwrap();
    let mut versions = found["spec"]["versions"].clone();
    let field = "/0/schema/openAPIV3Schema/properties/spec/properties/type";
    versions.pointer_mut(field).and_then(Value::as_object_mut).unwrap().remove("enum").unwrap();
    world.objects.merge(crd, &json!({"spec": {"versions": versions}})).await.unwrap();
    let bad = world.what("bad");
    let toaster = world.of_type("bad", "Toaster");
    eventually("the looser CRD", LIMIT, || world.objects.apply(&bad, &toaster)).await.unwrap();
    apply_crds(cluster).await.unwrap();

    says_malformed(world).await;
    world.client("beside").await;
    world.ready("beside").await;
    // And an operator that finds it there when it starts.
    world.operator.signal("KILL").unwrap();
    world.seat.free_lease(&world.objects).await.unwrap();
    world.operator = world.seat.start("operator-again", None).unwrap();
    world.client("later").await;
    world.ready("later").await;
    world.ready("first").await;
    says_malformed(world).await;
    // Its type is immutable, as the API server says: delete it and create it again.
    world.objects.delete(&bad).await.unwrap();
    world.client("bad").await;
    world.ready("bad").await;
    println!("a malformed object said so, stopped nothing, and was mended");
}

async fn says_malformed(world: &World<'_>) {
    let what = world.what("bad");
    eventually("it is said to be malformed", LIMIT, || async {
        let object = world.objects.get(&what).await?;
        let accepted = condition(&object, "Accepted").cloned().unwrap_or_default();
        ensure!(accepted["status"] == "False" && accepted["reason"] == "Malformed", "{}", object["status"]);
        let events = world.objects.at(&format!("/apis/events.k8s.io/v1/namespaces/{}/events", world.id)).await?;
        let told = events["items"].as_array().is_some_and(|all| all.iter().any(|event| event["reason"] == "Malformed"));
        ensure!(told, "there is no Event");
        Ok(())
    })
    .await
    .unwrap();
}
