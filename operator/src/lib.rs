//! The Kubernetes operator: manifests → Postgres, and back what became of them (operator.md).
//!
//! Owns: leader election, watches, Secrets of clients, statuses and Events; and [`engine`], which `authly dev` shares.
//! Never does: SQL, rules between objects, webhooks, bindings. It serves nobody: when it is down, everything goes on.

pub mod engine;
mod kubernetes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use authly_model::{clock::Clock, duration::Seconds};
use authly_runtime::{Health, Metrics};
use authly_secrets::KekRing;
use authly_store::{Leader, Store, StoreError};
use kube::Client;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use engine::{Engine, EngineError, EngineMetrics, Parts};
pub use kubernetes::LeaseTimes;
use kubernetes::{Elector, KubeCluster, Leadership, LeasePlace, describe, start_watches};

/// Inputs that wait for the engine; watches wait once it is full.
const INPUTS: usize = 1024;

/// The configuration of an operator.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whose Tenants it serves.
    pub installation: String,
    /// Tenants that spell no issuer get `<issuer base>/t/<name>`.
    pub issuer_base: String,
    /// The namespace of the Lease; without it, that of the kubeconfig or of the own Pod.
    pub lease_namespace: Option<String>,
    /// The name of the Lease.
    pub lease_name: String,
    /// How long the Lease lasts.
    pub lease_times: LeaseTimes,
    /// How long a verifier may keep a key set: at least what the servers say.
    pub jwks_max_age: Seconds,
    /// Where readiness is shown: ready means that the API server answers, whether this replica leads or waits.
    pub health: Health,
    /// Where it counts.
    pub metrics: Metrics,
}

/// Why the operator could not start.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// No way to an API server is configured.
    #[error("no Kubernetes API server is configured: run in a Pod, or set KUBECONFIG: {0}")]
    Config(String),
    /// The client could not be made.
    #[error("the Kubernetes client could not be made: {0}")]
    Client(String),
}

/// Runs until `cancel`: waits for leadership, leads, and waits again when it is lost.
///
/// # Errors
/// [`OperatorError`], at the start only.
pub async fn run(
    config: Config,
    store: Store,
    kek: KekRing,
    clock: Arc<dyn Clock>,
    cancel: CancellationToken,
) -> Result<(), OperatorError> {
    let kube = kube::Config::infer().await.map_err(|error| OperatorError::Config(error.to_string()))?;
    run_on(kube, config, (store, kek, clock), cancel).await
}

async fn run_on(
    kube: kube::Config,
    config: Config,
    (store, kek, clock): (Store, KekRing, Arc<dyn Clock>),
    cancel: CancellationToken,
) -> Result<(), OperatorError> {
    let place = LeasePlace {
        namespace: config.lease_namespace.clone().unwrap_or_else(|| kube.default_namespace.clone()),
        name: config.lease_name.clone(),
        times: config.lease_times,
    };
    let client = Client::try_from(kube).map_err(|error| OperatorError::Client(describe(&error)))?;
    let instance = std::env::var("HOSTNAME").unwrap_or_else(|_| "authly-operator".to_owned());
    let me = format!("{instance}_{}", Uuid::new_v4());
    let answers = config.health.condition("kubernetes");
    let elector = Elector::new(client.clone(), place, me, Arc::clone(&clock), answers);
    let operator = Operator {
        leads: config.metrics.gauge("operator_leads", "1 while this replica leads"),
        metrics: EngineMetrics::new(&config.metrics),
        config,
        client,
        store,
        kek: Arc::new(kek),
        clock,
        instance,
    };
    operator.run(elector, &cancel).await;
    Ok(())
}

struct Operator {
    config: Config,
    client: Client,
    store: Store,
    kek: Arc<KekRing>,
    clock: Arc<dyn Clock>,
    instance: String,
    metrics: EngineMetrics,
    leads: Gauge,
}

impl Operator {
    async fn run(&self, mut elector: Elector, cancel: &CancellationToken) {
        while let Some(leadership) = cancel.run_until_cancelled(elector.acquire()).await {
            tracing::info!("this replica leads");
            self.leads.set(1);
            // Renewals run beside, so that no work here ever delays them.
            let kept = leadership.clone();
            let stop = CancellationToken::new();
            let stopped = stop.clone();
            let keeping = tokio::spawn(async move {
                stopped.run_until_cancelled(elector.keep(kept)).await;
                elector
            });
            if let Err(error) = self.lead(&leadership, cancel).await {
                tracing::warn!(%error, "this replica does not lead any more");
            }
            self.leads.set(0);
            leadership.give_up();
            stop.cancel();
            match keeping.await {
                Ok(kept) => elector = kept,
                Err(error) => {
                    tracing::error!(%error, "the election failed");
                    return;
                }
            }
            elector.release().await;
        }
    }

    /// Leads until `cancel` or the loss of leadership.
    async fn lead(&self, leadership: &Leadership, cancel: &CancellationToken) -> Result<(), EngineError> {
        let lost = leadership.lost();
        let Some(leader) = lost.run_until_cancelled(self.mint(cancel)).await.flatten() else {
            return if cancel.is_cancelled() { Ok(()) } else { Err(EngineError::NotLeader) };
        };
        let (sender, inputs) = mpsc::channel(INPUTS);
        let (client, clock) = (self.client.clone(), Arc::clone(&self.clock));
        let cluster =
            KubeCluster::new(client, leadership.clone(), self.instance.clone(), Arc::clone(&clock), sender.clone())
                .await;
        let watches = start_watches(&self.client, &sender);
        let engine = Engine::new(Parts {
            cluster: Arc::new(cluster),
            leader,
            kek: Arc::clone(&self.kek),
            clock,
            metrics: self.metrics.clone(),
            issuer_base: self.config.issuer_base.clone(),
            jwks_max_age: self.config.jwks_max_age,
        });
        let result = lost.run_until_cancelled(engine.run(inputs, cancel.clone())).await;
        drop(watches);
        result.unwrap_or(Err(EngineError::NotLeader))
    }

    /// Mints the epoch that fences every earlier leader, as soon as the store answers.
    async fn mint(&self, cancel: &CancellationToken) -> Option<Leader> {
        loop {
            match Leader::acquire(self.store.clone(), &self.config.installation).await {
                Ok(leader) => return Some(leader),
                Err(error @ StoreError::Unavailable(_)) => tracing::warn!(%error, "waiting for the store"),
                Err(error) => tracing::error!(%error, "the store refuses this leader"),
            }
            cancel.run_until_cancelled(tokio::time::sleep(std::time::Duration::from_secs(2))).await?;
        }
    }
}
