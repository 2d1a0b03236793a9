//! What an operator is asked to do while it dies, and what must be true in the end. A further one (a rotation, say) is a
//! variant here: its start, its act, its end.

use anyhow::{Context, ensure};
use authly_tests::objects::condition;
use serde_json::{Value, json};

use super::{client::Credentials, run::Run};

/// A change that takes several writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// A tenant and its client appear.
    Create,
    /// The client goes.
    DeleteClient,
    /// The tenant, with `deletionPolicy: Delete`, goes.
    DeleteTenant,
}

impl Scenario {
    pub(crate) const ALL: [Self; 3] = [Self::Create, Self::DeleteClient, Self::DeleteTenant];

    /// Whether tenant and client are there, and work, before the operator may die.
    pub(crate) const fn begins_in_service(self) -> bool {
        !matches!(self, Self::Create)
    }

    /// Whether the client's secret stops to work in the course of it.
    pub(crate) const fn ends_service(self) -> bool {
        !matches!(self, Self::Create)
    }

    /// Fewer writes than this mean that the proxies do not see them.
    pub(crate) const fn least_writes(self) -> usize {
        match self {
            // Epoch, tenant, hash; Secret twice, two statuses.
            Self::Create => 7,
            // Secret, row, commit.
            Self::DeleteClient => 3,
            // Tombstone, commit, finalizer.
            Self::DeleteTenant => 3,
        }
    }

    /// Starts it.
    pub(crate) async fn act(self, run: &Run<'_>) -> anyhow::Result<()> {
        match self {
            Self::Create => run.declare().await,
            Self::DeleteClient => run.objects().delete(&run.client).await,
            Self::DeleteTenant => run.objects().delete(&run.tenant).await,
        }
    }

    /// Whether it has reached its end.
    pub(crate) async fn has_ended(self, run: &Run<'_>, before: Option<&Credentials>) -> anyhow::Result<()> {
        match self {
            Self::Create => in_service(run).await.map(drop),
            Self::DeleteClient => {
                ensure!(run.objects().find(&run.client).await?.is_none(), "the client is still declared");
                ensure!(run.objects().find(&run.secret).await?.is_none(), "its Secret is still there");
                ensure!(run.rows("client").await? == 0, "its row is still stored");
                refused(run, before).await
            }
            Self::DeleteTenant => {
                ensure!(run.objects().find(&run.tenant).await?.is_none(), "the tenant is still declared");
                let client = run.objects().get(&run.client).await?;
                let orphan = condition(&client, "Ready").is_some_and(|ready| ready["reason"] == "TenantNotFound");
                ensure!(orphan, "its client does not say so: {}", client["status"]);
                refused(run, before).await
            }
        }
    }
}

/// Tenant and client are Ready, one hash is stored, and the Secret's value works on every server.
pub(crate) async fn in_service(run: &Run<'_>) -> anyhow::Result<Credentials> {
    run.objects().ready(&run.tenant).await?;
    run.objects().ready(&run.client).await?;
    let secret = run.objects().get(&run.secret).await?;
    ensure!(secret["data"]["client_secret_next"] == Value::Null, "a next secret is left over");
    let credentials = Credentials::of(&secret)?.context("the Secret has no client_secret")?;
    ensure!(run.rows("client_secret").await? == 1, "not exactly one hash is stored");
    credentials.work_everywhere(run.servers()).await?;
    Ok(credentials)
}

async fn refused(run: &Run<'_>, before: Option<&Credentials>) -> anyhow::Result<()> {
    let before = before.context("it was in service before")?;
    for port in run.servers() {
        ensure!(!before.work_at(port).await?, "a deleted client still gets tokens from {port}");
    }
    Ok(())
}

/// The manifests of a run.
pub(crate) fn manifests(id: &str, namespace: &str, installation: &str, deletion: &str) -> (Value, Value) {
    let api = "authly.dev/v1alpha1";
    let tenant = json!({
        "apiVersion": api, "kind": "Tenant", "metadata": {"name": id},
        "spec": {
            "displayName": "Acme", "installation": installation, "deletionPolicy": deletion,
            "allowedNamespaces": [{"name": namespace, "role": "Owner"}],
        },
    });
    let client = json!({
        "apiVersion": api, "kind": "OAuthClient", "metadata": {"name": "billing", "namespace": namespace},
        "spec": {"tenantRef": {"name": id}, "type": "Service"},
    });
    (tenant, client)
}
