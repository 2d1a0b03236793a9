//! Two operators and one Lease (issue 4, section 1.4): one leads; a leader that was stopped, or that never hears that it is
//! not the leader any more, writes nothing to PostgreSQL, and its writes to Kubernetes conflict; a Lease that is deleted, or
//! restored from an old copy, does no harm.

use std::time::Duration;

use anyhow::{Context, ensure};
use authly_tests::{
    database,
    objects::{Objects, is_true},
    operators::Seat,
    process::{Process, eventually, free_port},
    stack::{Listening, Stack},
};
use http::StatusCode;
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);
/// A Lease lasts 15 s; the rest is for a machine that is busy.
const TAKE_OVER: Duration = Duration::from_secs(60);

/// A tenant with one client, in service.
struct World<'a> {
    stack: &'a Stack,
    objects: Objects,
    installation: String,
    issuer_base: String,
    id: String,
    _server: Listening,
}

impl<'a> World<'a> {
    async fn new(stack: &'a Stack) -> Self {
        let port = free_port().unwrap();
        Self {
            objects: Objects(stack.cluster.client().await.unwrap()),
            installation: format!("inst-{}", stack.id),
            issuer_base: format!("http://localhost:{port}"),
            id: format!("lead-{}", stack.id),
            _server: stack.server("server", port, None).await.unwrap(),
            stack,
        }
    }

    async fn seat(&self) -> Seat<'_> {
        Seat::new(self.stack, self.stack.cluster, &self.installation, &self.issuer_base).await.unwrap()
    }

    async fn declare(&self) {
        let id = &self.id;
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": id}});
        self.objects.apply(&format!("namespaces {id}"), &namespace).await.unwrap();
        let tenant = json!({
            "apiVersion": "authly.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": id},
            "spec": {"displayName": "Acme", "installation": self.installation, "allowedNamespaces": [{"name": id, "role": "Owner"}]},
        });
        self.objects.apply(&format!("tenants {id}"), &tenant).await.unwrap();
        self.client("billing").await;
    }

    fn what(&self, name: &str) -> String {
        format!("oauthclients {}/{name}", self.id)
    }

    async fn client(&self, name: &str) {
        let client = json!({
            "apiVersion": "authly.dev/v1alpha1", "kind": "OAuthClient", "metadata": {"name": name, "namespace": self.id},
            "spec": {"tenantRef": {"name": self.id}, "type": "Service"},
        });
        self.objects.apply(&self.what(name), &client).await.unwrap();
    }

    async fn ready(&self, name: &str) -> Value {
        let what = self.what(name);
        eventually(&what, TAKE_OVER, || self.objects.ready(&what)).await.unwrap()
    }

    async fn epoch(&self) -> anyhow::Result<i64> {
        let mut look = database::look(&self.stack.database).await?;
        let sql = "select coalesce(max(epoch), 0) from authly.leader_epoch where installation = $1";
        Ok(sqlx::query_scalar(sql).bind(&self.installation).fetch_one(&mut look).await?)
    }

    async fn reaches_epoch(&self, least: i64) -> i64 {
        eventually("the take-over", TAKE_OVER, || async {
            let epoch = self.epoch().await?;
            ensure!(epoch >= least, "the epoch is {epoch}");
            Ok(epoch)
        })
        .await
        .unwrap()
    }

    async fn holder(&self, lease: &str) -> anyhow::Result<String> {
        let lease = self.objects.get(lease).await?;
        let holder = lease["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty());
        holder.map(ToOwned::to_owned).context("the Lease has no holder")
    }
}

/// Waits until a write is held back.
async fn holds(seat: &Seat<'_>) {
    eventually("a write is held back", TAKE_OVER, || async {
        ensure!(seat.api().holding() > 0, "nothing is held back: {:?}", seat.api().answered());
        Ok(())
    })
    .await
    .unwrap();
}

/// What was held back reached the API server late, and was refused as a conflict.
async fn held_writes_conflict(seat: &Seat<'_>) {
    let held = eventually("what was held back is answered", TAKE_OVER, || async {
        let held: Vec<_> = seat.api().answered().into_iter().filter(|answered| answered.was_held).collect();
        ensure!(!held.is_empty() && seat.api().holding() == 0, "not yet");
        Ok(held)
    })
    .await
    .unwrap();
    for answered in &held {
        assert_eq!(answered.status, StatusCode::CONFLICT, "{held:?}");
    }
}

async fn logs(operator: &Process, text: &str) {
    eventually(text, TAKE_OVER, || async {
        ensure!(operator.output().contains(text), "the log is:\n{}", operator.output());
        Ok(())
    })
    .await
    .unwrap();
}

/// The writes of a seat to PostgreSQL.
fn stored(seat: &Seat<'_>) -> usize {
    seat.trap.writes().iter().filter(|what| what.starts_with("postgres")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_leader_that_wakes_up_late_writes_nothing() {
    let stack = Stack::new().await.unwrap();
    let world = World::new(&stack).await;
    let (old_seat, new_seat) = (world.seat().await, world.seat().await);
    let old = old_seat.start("operator-old", None).unwrap();
    world.declare().await;
    world.ready("billing").await;
    assert_eq!(world.reaches_epoch(1).await, 1);
    let new = new_seat.start("operator-new", None).unwrap();
    tokio::time::sleep(4 * SECOND).await;
    assert_eq!((world.epoch().await.unwrap(), new_seat.trap.writes().len()), (1, 0), "only one leads");

    // It stops with a status on its way, and with news that it has not seen.
    old_seat.api().hold("/status");
    world.client("second").await;
    holds(&old_seat).await;
    old.signal("STOP").unwrap();
    world.client("third").await;
    assert_eq!(world.reaches_epoch(2).await, 2);
    for name in ["billing", "second", "third"] {
        world.ready(name).await;
    }
    let before = (stored(&old_seat), world.holder(&new_seat.lease()).await.unwrap());

    old_seat.api().release();
    held_writes_conflict(&old_seat).await;
    old.signal("CONT").unwrap();
    logs(&old, "this replica does not lead any more").await;
    world.client("fourth").await;
    world.ready("fourth").await;
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!((stored(&old_seat), world.holder(&new_seat.lease()).await.unwrap()), before, "{}", old.output());
    assert_eq!(world.epoch().await.unwrap(), 2);
    drop((old, new));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_never_hears_of_its_end_is_fenced_by_the_epoch() {
    let stack = Stack::new().await.unwrap();
    let world = World::new(&stack).await;
    let (old_seat, new_seat) = (world.seat().await, world.seat().await);
    let old = old_seat.start("operator-old", None).unwrap();
    world.declare().await;
    world.ready("billing").await;
    let epoch = world.reaches_epoch(1).await;
    let new = new_seat.start("operator-new", None).unwrap();

    // To the old leader its Lease looks held and renewed; in truth it is deleted, and the other one takes it.
    old_seat.api().forge_leases(true);
    let before = stored(&old_seat);
    old_seat.free_lease(&world.objects).await.unwrap();
    world.reaches_epoch(epoch + 1).await;

    // Both see it; the database takes it from one.
    world.client("second").await;
    logs(&old, "a newer leader has taken over the store").await;
    world.ready("second").await;
    assert_eq!(stored(&old_seat), before, "it wrote after the take-over: {:#?}", old_seat.trap.writes());
    assert_eq!(world.reaches_epoch(epoch + 1).await, epoch + 1, "and it does not lead again");
    drop((old, new));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_deleted_or_restored_does_no_harm() {
    let stack = Stack::new().await.unwrap();
    let world = World::new(&stack).await;
    let seats = [world.seat().await, world.seat().await];
    let first = seats[0].start("operator-1", None).unwrap();
    world.declare().await;
    world.ready("billing").await;
    let lease = seats[0].lease();
    let old_copy = world.objects.get(&lease).await.unwrap();
    let second = seats[1].start("operator-2", None).unwrap();

    seats[0].free_lease(&world.objects).await.unwrap();
    eventually("a Lease again", TAKE_OVER, || world.holder(&lease)).await.unwrap();
    world.client("after-deletion").await;
    world.ready("after-deletion").await;

    // An old copy, as from a backup: its holder is long gone.
    let mut restored = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": old_copy["spec"]});
    restored["metadata"] =
        json!({"name": old_copy["metadata"]["name"], "namespace": old_copy["metadata"]["namespace"]});
    restored["spec"]["holderIdentity"] = json!("an-operator-of-last-year");
    let epoch = world.epoch().await.unwrap();
    world.objects.apply(&lease, &restored).await.unwrap();
    world.client("after-restore").await;
    world.ready("after-restore").await;
    // Whoever held it has lost it; after the end of the old record someone leads again, with a new epoch.
    eventually("a living holder", TAKE_OVER, || async {
        let holder = world.holder(&lease).await?;
        ensure!(holder != "an-operator-of-last-year", "not yet");
        Ok(())
    })
    .await
    .unwrap();
    world.reaches_epoch(epoch + 1).await;
    world.client("after-take-over").await;
    world.ready("after-take-over").await;
    for name in ["billing", "after-deletion", "after-restore"] {
        let client = world.objects.get(&world.what(name)).await.unwrap();
        assert!(is_true(&client, "Ready"), "something was taken back: {client}");
    }
    drop((first, second));
}
