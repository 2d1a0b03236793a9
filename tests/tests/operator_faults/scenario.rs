//! What an operator is asked to do while it dies, and what must be true in the end. A further one is a variant here: its start,
//! its act, its end.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, ensure};
use authly_tests::objects::condition;
use serde_json::{Value, json};

use super::{client::Credentials, run::Run};

/// The annotation of a rotation, and the request that each run makes once.
const ROTATE: &str = "authly.dev/rotate-requested-at";
const REQUEST: &str = "once";
/// How long the value before works.
const OVERLAP: Duration = Duration::from_secs(5);

/// A change that takes several writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// A tenant and its client appear.
    Create,
    /// The client goes.
    DeleteClient,
    /// The tenant, with `deletionPolicy: Delete`, goes.
    DeleteTenant,
    /// The client's secret rotates, once, and the value before retires.
    RotateSecret,
    /// The tenant's signing keys rotate, once, until the new ones sign.
    RotateKeys,
}

impl Scenario {
    pub(crate) const ALL: [Self; 5] =
        [Self::Create, Self::DeleteClient, Self::DeleteTenant, Self::RotateSecret, Self::RotateKeys];

    /// Whether tenant and client are there, and work, before the operator may die.
    pub(crate) const fn begins_in_service(self) -> bool {
        !matches!(self, Self::Create)
    }

    /// How long a value of the client's secret works after it went, if it goes in the course of it.
    pub(crate) const fn grace(self) -> Option<Duration> {
        match self {
            Self::Create | Self::RotateKeys => None,
            Self::DeleteClient | Self::DeleteTenant => Some(Duration::ZERO),
            Self::RotateSecret => Some(OVERLAP),
        }
    }

    /// How many values the client's secret may have in the course of it.
    pub(crate) const fn most_values(self) -> usize {
        if matches!(self, Self::RotateSecret) { 2 } else { 1 }
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
            // Next value, its hash and commit, promotion, status; retirement, commit, status.
            Self::RotateSecret => 8,
            // Two keys and their private halves, commit; two acknowledged, commit; two retired, two activated, commit; status.
            Self::RotateKeys => 14,
        }
    }

    /// Starts it.
    pub(crate) async fn act(self, run: &Run<'_>) -> anyhow::Result<()> {
        match self {
            Self::Create => run.declare().await,
            Self::DeleteClient => run.objects().delete(&run.client).await,
            Self::DeleteTenant => run.objects().delete(&run.tenant).await,
            Self::RotateSecret => run.objects().merge(&run.client, &asked()).await.map(drop),
            Self::RotateKeys => run.objects().merge(&run.tenant, &asked()).await.map(drop),
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
            Self::RotateSecret => {
                let now = in_service(run).await?;
                answered(&run.objects().get(&run.client).await?)?;
                let previous = &run.objects().get(&run.secret).await?["data"]["client_secret_previous"];
                ensure!(previous.is_null(), "the value before is still in the Secret");
                ensure!(before != Some(&now), "the value is still the same");
                refused(run, before).await
            }
            Self::RotateKeys => keys_rotated(run, before).await,
        }
    }
}

fn asked() -> Value {
    json!({"metadata": {"annotations": {ROTATE: REQUEST}}})
}

/// Whether status echoes the request, and nothing is under way any more.
fn answered(object: &Value) -> anyhow::Result<()> {
    ensure!(object["status"]["rotateRequestedAt"] == REQUEST, "not answered: {}", object["status"]);
    ensure!(condition(object, "RotationInProgress").is_none(), "still under way: {}", object["status"]);
    Ok(())
}

/// One rotation, not two: of each use the new key signs and the one before is kept, on every server; the client notices nothing.
async fn keys_rotated(run: &Run<'_>, before: Option<&Credentials>) -> anyhow::Result<()> {
    let now = in_service(run).await?;
    ensure!(before == Some(&now), "the client's secret changed");
    let tenant = run.objects().get(&run.tenant).await?;
    answered(&tenant)?;
    let keys = tenant["status"]["signingKeys"].as_array().context("signingKeys")?;
    let kid = |key_use: &str, state: &str| {
        let mut kids = keys.iter().filter(|key| key["use"] == key_use && key["state"] == state);
        kids.next().and_then(|key| key["kid"].as_str()).with_context(|| format!("no {state} key for {key_use}"))
    };
    let (signs, kept) = (kid("token", "active")?, kid("token", "retiring")?);
    kid("url", "active")?;
    kid("url", "retiring")?;
    ensure!(keys.len() == 4, "not one rotation: {keys:?}");
    for port in run.servers() {
        let (signed, published) = now.kids(port).await?;
        ensure!(signed == signs, "the server on {port} signs with {signed}");
        ensure!(published == BTreeSet::from([signs, kept].map(str::to_owned)), "{published:?}");
    }
    Ok(())
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
        ensure!(!before.work_at(port).await?, "what went still gets tokens from {port}");
    }
    Ok(())
}

/// The manifests of a run.
pub(crate) fn manifests(scenario: Scenario, id: &str, namespace: &str, installation: &str) -> (Value, Value) {
    let deletion = if scenario == Scenario::DeleteTenant { "Delete" } else { "Retain" };
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
        "spec": {
            "tenantRef": {"name": id}, "type": "Service",
            "credentials": {"secret": {"overlap": format!("{}s", OVERLAP.as_secs())}},
        },
    });
    (tenant, client)
}
