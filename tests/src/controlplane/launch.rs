//! Starts etcd, the API server and the controller manager in this order, each once the one before is ready.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::ServiceAccount;
use tokio::time::{Instant, sleep};

use super::certificates::Certificates;
use super::kubeconfig;
use super::parts::Parts;
use super::program::Program;

/// How long one program may take to become ready; three seconds on an idle machine.
const READY_TIMEOUT: Duration = Duration::from_secs(120);

/// The namespaces, garbage and service accounts of a cluster; no controller that would make Pods.
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller,clusterrole-aggregation-controller,\
    serviceaccount-controller,root-ca-certificate-publisher-controller,\
    validatingadmissionpolicy-status-controller";

/// Starts everything in `dir`, and leaves the administrator's kubeconfig there once all is ready.
pub(super) async fn launch(dir: &Path, parts: &Parts) -> anyhow::Result<Vec<Program>> {
    let (ready_config, starting_config) = (dir.join(kubeconfig::ADMIN), dir.join("kubeconfig.starting"));
    remove_if_there(fs::remove_file(&ready_config))?;
    remove_if_there(fs::remove_dir_all(dir.join("etcd")))?;

    let [etcd_port, peer_port, api_port] = free_ports()?;
    let etcd_url = format!("http://127.0.0.1:{etcd_port}");
    let certificates = Certificates::generate(dir)?;
    kubeconfig::write_for_admin(&starting_config, &format!("https://127.0.0.1:{api_port}"), &certificates)?;
    let client = kubeconfig::client(&starting_config).await?;

    let mut programs = Vec::new();
    let arguments = etcd_arguments(dir, &etcd_url, peer_port);
    let etcd = Program::spawn("etcd", &parts.program("etcd"), &arguments, dir)?;
    start(&mut programs, etcd, async || etcd_is_healthy(&etcd_url).await).await?;

    let arguments = api_server_arguments(&certificates, &etcd_url, api_port);
    let api_server = Program::spawn("kube-apiserver", &parts.program("kube-apiserver"), &arguments, dir)?;
    start(&mut programs, api_server, async || answers_ready(&client).await).await?;

    let arguments = controller_manager_arguments(&certificates, &starting_config);
    let path = parts.program("kube-controller-manager");
    let controller_manager = Program::spawn("kube-controller-manager", &path, &arguments, dir)?;
    start(&mut programs, controller_manager, async || has_default_service_account(&client).await).await?;

    fs::rename(starting_config, ready_config)?;
    Ok(programs)
}

/// Waits until `program` is ready, and makes sure that those before it still run.
async fn start(programs: &mut Vec<Program>, program: Program, ready: impl AsyncFn() -> bool) -> anyhow::Result<()> {
    programs.push(program);
    let deadline = Instant::now() + READY_TIMEOUT;
    while !ready().await {
        programs.iter_mut().try_for_each(Program::check)?;
        if Instant::now() > deadline {
            let log = programs.last().map(Program::log_end).unwrap_or_default();
            bail!("not ready after {READY_TIMEOUT:?}; the end of its log:\n{log}");
        }
        sleep(Duration::from_millis(50)).await;
    }
    // An answer counts for nothing if it came from another process on the port that ours could not get.
    programs.iter_mut().try_for_each(Program::check)
}

async fn etcd_is_healthy(url: &str) -> bool {
    let Ok(client) = reqwest::Client::builder().no_proxy().build() else { return false };
    client.get(format!("{url}/health")).send().await.is_ok_and(|response| response.status().is_success())
}

/// Whether the API server says that it is ready.
pub(super) async fn answers_ready(client: &kube::Client) -> bool {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else { return false };
    client.request_text(request).await.is_ok()
}

/// The controller manager makes one in every namespace: so it works.
async fn has_default_service_account(client: &kube::Client) -> bool {
    kube::Api::<ServiceAccount>::namespaced(client.clone(), "default").get("default").await.is_ok()
}

fn etcd_arguments(dir: &Path, url: &str, peer_port: u16) -> Vec<String> {
    let peer = format!("http://127.0.0.1:{peer_port}");
    vec![
        format!("--data-dir={}", dir.join("etcd").display()),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--unsafe-no-fsync".to_owned(),
    ]
}

fn api_server_arguments(certificates: &Certificates, etcd_url: &str, port: u16) -> Vec<String> {
    vec![
        format!("--etcd-servers={etcd_url}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--tls-cert-file={}", certificates.server_certificate_file.display()),
        format!("--tls-private-key-file={}", certificates.server_key_file.display()),
        format!("--client-ca-file={}", certificates.ca_file.display()),
        "--authorization-mode=RBAC".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", certificates.service_account_public_key_file.display()),
        format!("--service-account-signing-key-file={}", certificates.service_account_key_file.display()),
        "--endpoint-reconciler-type=none".to_owned(),
    ]
}

fn controller_manager_arguments(certificates: &Certificates, kubeconfig: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        format!("--service-account-private-key-file={}", certificates.service_account_key_file.display()),
        format!("--root-ca-file={}", certificates.ca_file.display()),
        "--use-service-account-credentials=true".to_owned(),
        "--secure-port=0".to_owned(),
        format!("--controllers={CONTROLLERS}"),
    ]
}

/// Three different ports that nothing listens on. Another process may take one before ours does.
fn free_ports() -> anyhow::Result<[u16; 3]> {
    let listener = || TcpListener::bind(("127.0.0.1", 0)).context("no free port");
    let listeners = [listener()?, listener()?, listener()?];
    let [first, second, third] = listeners.map(|listener| listener.local_addr().map(|address| address.port()));
    Ok([first?, second?, third?])
}

fn remove_if_there(result: std::io::Result<()>) -> std::io::Result<()> {
    result.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
