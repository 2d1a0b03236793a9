//! An operator behind proxies, which a suite can kill, cut off, hold back and start again.

use serde_json::json;

use crate::{
    api_proxy::{ApiProxy, Control},
    controlplane::ControlPlane,
    fault::{Side, Trap},
    objects::Objects,
    postgres_proxy::PostgresProxy,
    process::Process,
    stack::Stack,
};

/// The place of one operator: proxies that outlive its processes.
pub struct Seat<'a> {
    stack: &'a Stack,
    installation: String,
    issuer_base: String,
    api: ApiProxy,
    postgres: PostgresProxy,
    /// Its writes.
    pub trap: Trap,
}

impl<'a> Seat<'a> {
    /// A seat for an operator of an installation, on this cluster.
    pub async fn new(
        stack: &'a Stack,
        cluster: &ControlPlane,
        installation: &str,
        issuer_base: &str,
    ) -> anyhow::Result<Self> {
        let namespace = stack.lease_namespace();
        let manifest = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        Objects(cluster.client().await?).apply(&format!("namespaces {namespace}"), &manifest).await?;
        let trap = Trap::default();
        let port = url::Url::parse(&stack.database)?.port().unwrap_or(5432);
        Ok(Self {
            stack,
            installation: installation.to_owned(),
            issuer_base: issuer_base.to_owned(),
            api: ApiProxy::before(cluster, trap.clone(), stack.folder()).await?,
            postgres: PostgresProxy::before(port, trap.clone()).await?,
            trap,
        })
    }

    /// Starts an operator that dies at this write, if at any.
    pub fn start(&self, name: &str, fault: Option<(usize, Side)>) -> anyhow::Result<Process> {
        let through = (self.api.kubeconfig(), Some(self.postgres.port));
        let process = self.stack.operator_through(through, name, &self.installation, &self.issuer_base)?;
        self.trap.arm(process.pid(), fault);
        Ok(process)
    }

    /// What happens between it and the API server.
    pub fn api(&self) -> &Control {
        &self.api.control
    }

    /// The Lease of its installation, for [`Objects`].
    pub fn lease(&self) -> String {
        format!("leases {}/operator-{}", self.stack.lease_namespace(), self.installation)
    }

    /// Deletes the Lease, so that the next operator need not wait for its end.
    pub async fn free_lease(&self, objects: &Objects) -> anyhow::Result<()> {
        objects.delete(&self.lease()).await
    }
}
