//! The whole operator on a real API server and a real store, with real replicas.

use std::{sync::Arc, time::Duration};

use authly_model::{clock::SystemClock, duration::Seconds};
use authly_runtime::{Health, Metrics};
use authly_store::{
    ReplicaRole::{Gateway, Server},
    Role,
};
use authly_tests::{
    controlplane::{ControlPlane, stdout_of},
    stack::apply_crds,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, LeaseTimes,
    engine::tests::lab::{Lab, QUICKSTART, kek},
    run_on,
};

/// A namespace, a tenant and an installation of one's own, since the API server is shared.
struct Stage {
    control_plane: &'static ControlPlane,
    lab: Lab,
    name: String,
}

impl Stage {
    async fn new() -> Self {
        let control_plane = ControlPlane::shared().await.unwrap();
        apply_crds(control_plane).await.unwrap();
        let name = control_plane.namespace("whole").await.unwrap();
        Self { control_plane, lab: Lab::new().await, name }
    }

    /// The quick start with names of its own.
    fn manifests(&self) -> String {
        let name = &self.name;
        let installation = format!("displayName: Acme\n  installation: {name}");
        QUICKSTART
            .replace("metadata: {name: shop}", &format!("metadata: {{name: {name}}}"))
            .replace("namespace: shop", &format!("namespace: {name}"))
            .replace("{name: shop, role: Owner}", &format!("{{name: {name}, role: Owner}}"))
            .replace("{name: acme}", &format!("{{name: {name}}}"))
            .replace("shop.billing", &format!("{name}.billing"))
            .replace("shop/reports", &format!("{name}/reports"))
            .replace("files.acme.example", &format!("{name}.example"))
            .replace("displayName: Acme", &installation)
    }

    async fn kubectl(&self, args: &[&str], stdin: Option<&str>) -> String {
        stdout_of(self.control_plane.kubectl(args, stdin).await.unwrap()).unwrap()
    }

    /// Starts an operator process, as far as one can be had in a test.
    async fn operator(&self, cancel: &CancellationToken) -> JoinHandle<()> {
        let kubeconfig = Kubeconfig::read_from(self.control_plane.kubeconfig()).unwrap();
        let kube = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let config = Config {
            installation: self.name.clone(),
            issuer_base: "https://id.example".to_owned(),
            lease_namespace: Some(self.name.clone()),
            lease_name: "authly-operator".to_owned(),
            lease_times: LeaseTimes::default(),
            jwks_max_age: Seconds(1),
            health: Health::new(),
            metrics: Metrics::new(),
        };
        let store = self.lab.store(Role::Operator, None).await;
        let cancel = cancel.clone();
        tokio::spawn(async move {
            run_on(kube, config, (store, kek(), Arc::new(SystemClock)), cancel).await.unwrap();
        })
    }

    async fn until_ready(&self) {
        let kinds = "oauthclients,signedurlroutes,accesspolicies,retentionpolicies";
        let wait = ["wait", "--for=condition=Ready", "--timeout=40s"];
        self.kubectl(&[&wait[..], &["tenant", &self.name]].concat(), None).await;
        self.kubectl(&[&wait[..], &[kinds, "--all", "-n", &self.name]].concat(), None).await;
    }
}

#[tokio::test]
async fn kubectl_apply_ends_in_ready_and_kubectl_delete_in_nothing() {
    let stage = Stage::new().await;
    let _replicas = (stage.lab.replica(Server).await, stage.lab.replica(Gateway).await);
    let (first, second) = (CancellationToken::new(), CancellationToken::new());
    let leading = stage.operator(&first).await;
    stage.kubectl(&["apply", "-f", "-"], Some(&stage.manifests())).await;
    stage.until_ready().await;
    let shown = stage.kubectl(&["get", "oauthclients", "-n", &stage.name, "--no-headers"], None).await;
    let columns: Vec<_> = shown.split_whitespace().collect();
    let client_id = format!("{}.billing", stage.name);
    for expected in ["billing", "True", "Programmed", stage.name.as_str(), &client_id, "Service", "billing-oauth"] {
        assert!(columns.contains(&expected), "{expected} in {shown}");
    }
    let data = ["get", "secret", "billing-oauth", "-n", &stage.name, "-o", "jsonpath={.data}"];
    let before = stage.kubectl(&data, None).await;
    assert!(before.contains("client_secret\"") && !before.contains("client_secret_next"));

    // Another replica waits, takes over, and finds nothing to do.
    let waiting = stage.operator(&second).await;
    first.cancel();
    leading.await.unwrap();
    let bad = stage.manifests().replace("pathPrefix: /reports/", "pathPrefix: /other/").replace(".example]", ".other]");
    stage.kubectl(&["apply", "-f", "-"], Some(&bad)).await;
    let refused = "--for=jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}=HostNotAllowed";
    let good = bad.replacen(".other]", ".example]", 1);
    stage.kubectl(&["apply", "-f", "-"], Some(&good)).await;
    stage.kubectl(&["wait", refused, "signedurlroute/reports", "-n", &stage.name, "--timeout=30s"], None).await;
    let events = ["get", "events.events.k8s.io", "-n", &stage.name, "-o", "jsonpath={.items[*].reason}"];
    assert!(stage.kubectl(&events, None).await.contains("HostNotAllowed"));
    stage.kubectl(&["apply", "-f", "-"], Some(&stage.manifests())).await;
    stage.until_ready().await;
    assert_eq!(stage.kubectl(&data, None).await, before);

    stage.kubectl(&["delete", "oauthclient", "billing", "-n", &stage.name, "--timeout=10s"], None).await;
    let gone = ["wait", "--for=delete", "secret/billing-oauth", "-n", &stage.name, "--timeout=20s"];
    stage.kubectl(&gone, None).await;
    stage.kubectl(&["delete", "tenant", &stage.name, "--timeout=10s"], None).await;
    second.cancel();
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
}
