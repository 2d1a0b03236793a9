//! kubeconfig files, written as JSON, which is YAML too, and clients made of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use uuid::Uuid;

use super::certificates::Certificates;
use super::folder::write_private;

/// The file name of the administrator's kubeconfig. It is there once the control plane is ready, not before.
pub(super) const ADMIN: &str = "kubeconfig";

/// Writes the administrator's kubeconfig for the API server at `server` to `path`.
pub(super) fn write_for_admin(path: &Path, server: &str, certificates: &Certificates) -> anyhow::Result<()> {
    let cluster = json!({ "server": server, "certificate-authority-data": BASE64_STANDARD.encode(&certificates.ca) });
    let user = json!({
        "client-certificate-data": BASE64_STANDARD.encode(&certificates.admin.0),
        "client-key-data": BASE64_STANDARD.encode(&certificates.admin.1),
    });
    write(path, &cluster, &user)
}

/// Writes a kubeconfig for a bearer of `token` into `dir`, for the cluster of the administrator's kubeconfig there.
pub(super) fn write_for_token(dir: &Path, token: &str) -> anyhow::Result<PathBuf> {
    let admin: Value = serde_json::from_slice(&fs::read(dir.join(ADMIN))?)?;
    let path = dir.join(format!("kubeconfig-{}", Uuid::new_v4().simple()));
    write(&path, &admin["clusters"][0]["cluster"], &json!({ "token": token }))?;
    Ok(path)
}

/// A client with the credentials of the kubeconfig at `path`.
pub(super) async fn client(path: &Path) -> anyhow::Result<kube::Client> {
    client_with(path, |_| {}).await
}

/// As [`client`], with a configuration that is changed first.
pub(super) async fn client_with(path: &Path, change: impl FnOnce(&mut kube::Config)) -> anyhow::Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(path).with_context(|| format!("no kubeconfig at {}", path.display()))?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    // The control plane is on this machine, whatever the environment says of proxies.
    config.proxy_url = None;
    change(&mut config);
    Ok(kube::Client::try_from(config)?)
}

fn write(path: &Path, cluster: &Value, user: &Value) -> anyhow::Result<()> {
    let content = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "authly-tests", "cluster": cluster }],
        "users": [{ "name": "user", "user": user }],
        "contexts": [{ "name": "authly-tests", "context": { "cluster": "authly-tests", "user": "user" } }],
        "current-context": "authly-tests",
    });
    write_private(path, &content.to_string()).with_context(|| format!("cannot write {}", path.display()))
}
