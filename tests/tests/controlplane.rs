//! The laboratory's control plane itself: what every test of the operator and the chart stands on.
#![allow(clippy::expect_used)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use authly_tests::controlplane::{ControlPlane, stdout_of};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::ListParams;

async fn control_plane() -> &'static ControlPlane {
    ControlPlane::shared().await.expect("the control plane starts")
}

fn succeeded(output: anyhow::Result<Output>) -> String {
    output.and_then(stdout_of).expect("the command succeeds")
}

#[tokio::test]
async fn the_api_server_is_ready_and_says_its_version() {
    let client = control_plane().await.client().await.unwrap();
    let version = client.apiserver_version().await.unwrap();
    assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "36"));
}

#[tokio::test]
async fn a_namespace_comes_with_a_service_account_and_goes_with_all_it_holds() {
    let control_plane = control_plane().await;
    let namespace = control_plane.namespace("lifecycle").await.unwrap();
    let config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\ndata: { colour: blue }\n";
    succeeded(control_plane.kubectl(&["apply", "-n", &namespace, "-f", "-"], Some(config_map)).await);
    succeeded(
        control_plane
            .kubectl(&["wait", "-n", &namespace, "--for=create", "serviceaccount/default", "--timeout=30s"], None)
            .await,
    );

    // kubectl waits until the namespace controller has removed everything.
    succeeded(control_plane.kubectl(&["delete", "namespace", &namespace, "--timeout=60s"], None).await);

    let output = control_plane.kubectl(&["get", "namespace", &namespace], None).await.unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("NotFound"), "{output:?}");
}

#[tokio::test]
async fn a_service_accounts_token_may_do_what_its_role_allows_and_nothing_else() {
    let control_plane = control_plane().await;
    let namespace = control_plane.namespace("rbac").await.unwrap();
    let reader = "--serviceaccount=NAMESPACE:reader".replace("NAMESPACE", &namespace);
    for args in [
        &["create", "serviceaccount", "reader"][..],
        &["create", "role", "reader", "--verb=get,list", "--resource=configmaps"],
        &["create", "rolebinding", "reader", "--role=reader", &reader],
    ] {
        succeeded(control_plane.kubectl(&[args, &["-n", &namespace]].concat(), None).await);
    }

    let token = control_plane.token(&namespace, "reader").await.unwrap();
    let kubeconfig = control_plane.kubeconfig_for_token(&token).unwrap();
    let client = control_plane.client_as(&kubeconfig).await.unwrap();

    let everything = ListParams::default();
    Api::<ConfigMap>::namespaced(client.clone(), &namespace).list(&everything).await.expect("allowed");
    let secrets = Api::<Secret>::namespaced(client.clone(), &namespace).list(&everything).await;
    assert_forbidden(secrets);
    assert_forbidden(Api::<ConfigMap>::namespaced(client, "default").list(&everything).await);

    let who = succeeded(control_plane.kubectl_as(&kubeconfig, &["auth", "whoami", "-o", "name"], None).await);
    assert!(who.contains("selfsubjectreview"), "{who}");
}

fn assert_forbidden<T: std::fmt::Debug>(result: kube::Result<T>) {
    match result {
        Err(kube::Error::Api(status)) => assert_eq!(status.code, 403, "{status:?}"),
        other => panic!("not forbidden: {other:?}"),
    }
}

#[tokio::test]
async fn helm_runs_and_reaches_the_api_server() {
    let control_plane = control_plane().await;
    let version = succeeded(control_plane.helm(&["version", "--template", "{{.Version}}"]).await);
    assert!(version.starts_with("v4."), "{version}");
    succeeded(control_plane.helm(&["list", "--all-namespaces"]).await);
}

#[tokio::test]
async fn a_stopped_control_plane_answers_no_more_and_leaves_nothing() {
    let control_plane = ControlPlane::start().await.unwrap();
    let (client, kubeconfig) = (control_plane.client().await.unwrap(), control_plane.kubeconfig());
    assert!(client.apiserver_version().await.is_ok());

    drop(control_plane);

    assert!(client.apiserver_version().await.is_err());
    assert!(!kubeconfig.parent().unwrap().exists());
}

#[tokio::test]
async fn a_killed_runner_takes_its_control_plane_with_it() {
    let dir = std::env::temp_dir().join(format!("authly-tests-runner-{}", std::process::id()));
    let mut runner = Command::new(env!("CARGO_BIN_EXE_controlplane"))
        .args([Path::new("--dir"), &dir])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut kubeconfig = String::new();
    BufReader::new(runner.stdout.take().unwrap()).read_line(&mut kubeconfig).unwrap();

    let connected = ControlPlane::connect_to(&dir).await.expect("it runs once the path is printed");
    assert_eq!(connected.kubeconfig(), Path::new(kubeconfig.trim_end()));
    let taken = ControlPlane::start_in(&dir).await.err().expect("one folder, one control plane");
    assert!(taken.to_string().contains("already"), "{taken}");

    runner.kill().unwrap();
    runner.wait().unwrap();
    let client = connected.client().await.unwrap();
    let gone = async { while client.apiserver_version().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the API server ends");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn connecting_to_a_folder_without_a_control_plane_says_how_to_start_one() {
    let nowhere = std::env::temp_dir().join("authly-tests-nowhere");
    let error = ControlPlane::connect_to(&nowhere).await.err().expect("nothing runs there");
    assert!(error.to_string().contains("cargo run -p authly-tests --bin controlplane"), "{error}");
}
