//! Against a real API server: the lease, writes that carry versions, and what RBAC forbids.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use authly_model::{
    clock::SystemClock,
    ids::{Kind, ObjectName, ObjectRef},
};
use authly_runtime::Health;
use authly_tests::{
    controlplane::{ControlPlane, stdout_of},
    stack::apply_crds,
};
use kube::Client;
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use super::{Elector, KubeCluster, Leadership, LeasePlace, LeaseTimes, start_watches};
use crate::engine::{Cluster, ClusterError, FINALIZER, Input, SecretData, SecretWrite, Target};

const SOON: Duration = Duration::from_secs(60);

async fn control_plane() -> &'static ControlPlane {
    let control_plane = ControlPlane::shared().await.unwrap();
    apply_crds(control_plane).await.unwrap();
    control_plane
}

fn times() -> LeaseTimes {
    let ms = Duration::from_millis;
    LeaseTimes { duration: ms(2000), deadline: ms(1200), retry: ms(200) }
}

fn elector(client: &Client, namespace: &str, me: &str) -> Elector {
    let place = LeasePlace { namespace: namespace.to_owned(), name: "authly-operator".to_owned(), times: times() };
    Elector::new(client.clone(), place, me.to_owned(), Arc::new(SystemClock), Health::new().condition("kubernetes"))
}

struct Bench {
    client: Client,
    namespace: String,
    cluster: KubeCluster,
    leadership: Leadership,
    inputs: mpsc::Receiver<Input>,
}

async fn bench(client: Client, namespace: String) -> Bench {
    let leadership = elector(&client, &namespace, "a").acquire().await;
    leadership.forever();
    let (sender, inputs) = mpsc::channel(64);
    let clock = Arc::new(SystemClock);
    let cluster = KubeCluster::new(client.clone(), leadership.clone(), "test".to_owned(), clock, sender).await;
    Bench { client, namespace, cluster, leadership, inputs }
}

async fn admin_bench() -> Bench {
    let control_plane = control_plane().await;
    bench(control_plane.client().await.unwrap(), control_plane.namespace("operator").await.unwrap()).await
}

fn write(namespace: &str, name: &str, version: Option<String>) -> SecretWrite {
    SecretWrite {
        at: ObjectName::new(namespace, name),
        version,
        owner: format!("default/OAuthClient/{namespace}/{name}"),
        labels: BTreeMap::from([("team".to_owned(), "shop".to_owned())]),
        annotations: BTreeMap::new(),
        set: BTreeMap::from([("client_secret_next".to_owned(), SecretData::new("v1"))]),
        remove: Vec::new(),
    }
}

#[tokio::test]
async fn one_candidate_leads_and_a_release_or_an_end_hands_over() {
    let control_plane = control_plane().await;
    let (client, namespace) = (control_plane.client().await.unwrap(), control_plane.namespace("lease").await.unwrap());
    let (mut a, mut b) = (elector(&client, &namespace, "a"), elector(&client, &namespace, "b"));
    let leads = timeout(SOON, a.acquire()).await.unwrap();
    assert!(leads.is_held());
    let keep = leads.clone();
    let keeping = tokio::spawn(async move {
        a.keep(keep).await;
        a
    });
    // While the holder renews, nobody else leads, however long that lasts.
    assert!(timeout(Duration::from_secs(4), b.acquire()).await.is_err());
    assert!(leads.is_held());
    // The holder is replaced by hand: it learns of it and stops.
    let patch = json!({"spec": {"holderIdentity": "c", "leaseDurationSeconds": 2}}).to_string();
    let args = ["patch", "lease", "authly-operator", "-n", &namespace, "--type=merge", "-p", &patch];
    stdout_of(control_plane.kubectl(&args, None).await.unwrap()).unwrap();
    timeout(SOON, leads.lost().cancelled()).await.unwrap();
    assert!(!leads.is_held());
    // The stranger never renews: after its duration another candidate leads.
    let next = timeout(SOON, b.acquire()).await.unwrap();
    assert!(next.is_held());
    b.release().await;
    let mut a = keeping.await.unwrap();
    assert!(timeout(Duration::from_millis(900), a.acquire()).await.is_ok(), "a release is taken at once");
}

#[tokio::test]
async fn a_leader_that_cannot_renew_stops_before_its_lease_ends() {
    let control_plane = control_plane().await;
    let (client, namespace) = (control_plane.client().await.unwrap(), control_plane.namespace("lease").await.unwrap());
    let leads = elector(&client, &namespace, "a").acquire().await;
    tokio::time::sleep(times().deadline).await;
    assert!(!leads.is_held(), "without a renewal leadership ends by itself");
}

#[tokio::test]
async fn secrets_are_written_with_versions_and_only_ours_are_deleted() {
    let bench = admin_bench().await;
    let (cluster, namespace) = (&bench.cluster, bench.namespace.as_str());
    let first = write(namespace, "billing", None);
    cluster.put_secret(&first).await.unwrap();
    assert_eq!(cluster.put_secret(&first).await, Err(ClusterError::Conflict), "it exists");
    let read = cluster.secret(&first.at).await.unwrap().unwrap();
    assert_eq!(read.owner.as_deref(), Some(first.owner.as_str()));
    assert_eq!((read.data.len(), read.labels["team"].as_str()), (1, "shop"));
    let mut promote = write(namespace, "billing", Some(read.version.clone()));
    promote.set = BTreeMap::from([("client_secret".to_owned(), SecretData::new("v1"))]);
    promote.remove = vec!["client_secret_next".to_owned()];
    cluster.put_secret(&promote).await.unwrap();
    assert_eq!(cluster.put_secret(&promote).await, Err(ClusterError::Conflict), "an old version");
    let read = cluster.secret(&first.at).await.unwrap().unwrap();
    assert_eq!(read.data.keys().collect::<Vec<_>>(), ["client_secret"]);
    cluster.put_secret(&write(namespace, "other", None)).await.unwrap();
    cluster.delete_secrets(namespace, &first.owner, Some("billing")).await.unwrap();
    assert!(cluster.secret(&first.at).await.unwrap().is_some(), "kept");
    cluster.delete_secrets(namespace, &first.owner, None).await.unwrap();
    assert!(cluster.secret(&first.at).await.unwrap().is_none());
    assert!(cluster.secret(&ObjectName::new(namespace, "other")).await.unwrap().is_some());
}

#[tokio::test]
async fn statuses_and_finalizers_carry_the_version_and_nothing_is_written_without_leadership() {
    let mut bench = admin_bench().await;
    let name = bench.namespace.clone();
    let manifest = json!({
        "apiVersion": "authly.dev/v1alpha1", "kind": "Tenant",
        "metadata": {"name": name, "finalizers": ["example.com/other"]}, "spec": {"deletionPolicy": "Delete"},
    });
    let control_plane = control_plane().await;
    stdout_of(control_plane.kubectl(&["create", "-f", "-"], Some(&manifest.to_string())).await.unwrap()).unwrap();
    let (sender, mut inputs) = mpsc::channel(64);
    let watches = start_watches(&bench.client, &sender);
    let mut seen = timeout(SOON, next(&mut inputs, &name)).await.unwrap();
    assert_eq!((seen.generation, seen.finalizer), (1, false));
    assert_eq!(seen.status["observedGeneration"], -1);

    let status = json!({"observedGeneration": 1, "issuer": "https://i.example", "conditions": [{
        "type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
    let version = bench.cluster.put_status(&seen.target, &status).await.unwrap();
    assert_eq!(bench.cluster.put_status(&seen.target, &status).await, Err(ClusterError::Conflict));
    let target = Target { version, ..seen.target.clone() };
    bench.cluster.put_finalizer(&target, true).await.unwrap();
    while !seen.finalizer {
        seen = timeout(SOON, next(&mut inputs, &name)).await.unwrap();
    }
    assert_eq!(seen.status["issuer"], "https://i.example");
    bench.cluster.put_finalizer(&seen.target, false).await.unwrap();
    let shown = control_plane.kubectl(&["get", "tenant", &name, "-o", "jsonpath={.metadata.finalizers}"], None).await;
    let shown = stdout_of(shown.unwrap()).unwrap();
    assert!(shown.contains("example.com/other") && !shown.contains(FINALIZER), "{shown}");

    bench.leadership.give_up();
    assert_eq!(bench.cluster.put_status(&target, &status).await, Err(ClusterError::NotLeader));
    assert_eq!(bench.cluster.put_secret(&write(&name, "late", None)).await, Err(ClusterError::NotLeader));
    drop(watches);
    bench.inputs.close();
    let free = json!({"metadata": {"finalizers": null}}).to_string();
    stdout_of(control_plane.kubectl(&["patch", "tenant", &name, "--type=merge", "-p", &free], None).await.unwrap())
        .unwrap();
    stdout_of(control_plane.kubectl(&["delete", "tenant", &name], None).await.unwrap()).unwrap();
}

#[tokio::test]
async fn a_namespace_without_a_grant_names_the_command_and_works_once_it_was_run() {
    let control_plane = control_plane().await;
    let own = control_plane.namespace("authly").await.unwrap();
    let shop = control_plane.namespace("shop").await.unwrap();
    let run = async |args: &[&str]| stdout_of(control_plane.kubectl(args, None).await.unwrap()).unwrap();
    run(&["create", "serviceaccount", "operator", "-n", &own]).await;
    run(&["create", "role", "lease", "-n", &own, "--verb=get,create,update", "--resource=leases.coordination.k8s.io"])
        .await;
    run(&["create", "rolebinding", "lease", "-n", &own, "--role=lease", &format!("--serviceaccount={own}:operator")])
        .await;
    // Of its own name, so that it is in no one's way.
    let role_name = format!("{own}-secrets");
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": role_name},
        "rules": [{"apiGroups": [""], "resources": ["secrets"],
                   "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]}],
    });
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    stdout_of(control_plane.kubectl(&apply, Some(&role.to_string())).await.unwrap()).unwrap();
    let token = control_plane.token(&own, "operator").await.unwrap();
    let kubeconfig = control_plane.kubeconfig_for_token(&token).unwrap();
    let mut bench = bench(control_plane.client_as(&kubeconfig).await.unwrap(), own.clone()).await;

    let at = ObjectName::new(&shop, "billing-oauth");
    let Err(ClusterError::Denied { fix }) = bench.cluster.secret(&at).await else { panic!("denied") };
    let expected = format!(
        "kubectl create rolebinding operator-secrets --namespace={shop} --clusterrole=authly-secrets --serviceaccount={own}:operator"
    );
    assert_eq!(fix, expected);
    // A watch under way was refused once; run the command as it is printed.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let own_role = fix.replace("--clusterrole=authly-secrets", &format!("--clusterrole={role_name}"));
    run(&own_role.split(' ').skip(1).collect::<Vec<_>>()).await;
    let told = timeout(SOON, bench.inputs.recv()).await.unwrap().unwrap();
    assert!(matches!(told, Input::Secrets { namespace, name: None } if namespace == shop));
    bench.cluster.put_secret(&write(&shop, "billing-oauth", None)).await.unwrap();
    let told = timeout(SOON, bench.inputs.recv()).await.unwrap().unwrap();
    assert!(matches!(told, Input::Secrets { name: Some(name), .. } if name == "billing-oauth"));
}

async fn next(inputs: &mut mpsc::Receiver<Input>, tenant: &str) -> Box<crate::engine::Declared> {
    let wanted = ObjectRef::new(Kind::Tenant, "", tenant);
    loop {
        match inputs.recv().await.unwrap() {
            Input::Declared(declared) if declared.target.object == wanted => return declared,
            _ => {}
        }
    }
}
