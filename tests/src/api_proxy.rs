//! A proxy between an operator and the API server: plain HTTP on loopback in front, the administrator's TLS behind.
//!
//! Owns: which requests are writes of the operator, and what a suite does to them: its death at one of them
//! ([`crate::fault`]), an outage, `410 Gone`, a write held back, a Lease that seems to be held for ever. Requests of the
//! Lease are not counted as writes, because they come by the clock.

mod control;
mod forward;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::Router;
use serde_json::json;
use tokio::net::TcpListener;

pub use control::{Answered, Control};

use crate::{controlplane::ControlPlane, fault::Trap};

/// A running proxy.
pub struct ApiProxy {
    /// What it does to the requests.
    pub control: Arc<Control>,
    kubeconfig: PathBuf,
}

impl ApiProxy {
    /// Starts before this control plane; its kubeconfig goes to `folder`.
    pub async fn before(cluster: &ControlPlane, trap: Trap, folder: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let control = Arc::new(Control::new(trap));
        let shared =
            Arc::new(forward::Shared { client: cluster.faithful_client().await?, control: Arc::clone(&control) });
        let router = Router::new().fallback(forward::forward).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let kubeconfig = folder.join(format!("kubeconfig-{port}"));
        let content = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        });
        std::fs::write(&kubeconfig, content.to_string())?;
        Ok(Self { control, kubeconfig })
    }

    /// The kubeconfig of who goes through it.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }
}
