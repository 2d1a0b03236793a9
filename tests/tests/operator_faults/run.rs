//! One run of a scenario: an operator that dies at one write, and the one after it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use authly_tests::{
    database,
    fault::Side,
    objects::Objects,
    operators::Seat,
    process::{Process, eventually},
    stack::Stack,
};
use serde_json::json;
use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;

use super::{
    client::{Credentials, Polled, poll},
    scenario::{Scenario, in_service, manifests},
};

/// Generous: a new operator starts, leads and does what is left to do.
const LIMIT: Duration = Duration::from_secs(90);
/// After the end nothing is written any more, for as long as this.
const QUIET: Duration = Duration::from_millis(1500);

/// What all runs share.
pub(crate) struct World<'a> {
    stack: &'a Stack,
    servers: [u16; 2],
    objects: Objects,
    runs: AtomicUsize,
}

/// How a run went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) writes: Vec<String>,
    pub(crate) was_killed: bool,
    pub(crate) polled: Polled,
}

/// A run.
pub(crate) struct Run<'a> {
    world: &'a World<'a>,
    seat: Seat<'a>,
    id: String,
    namespace: String,
    installation: String,
    scenario: Scenario,
    /// Names for [`Objects`].
    pub(crate) tenant: String,
    pub(crate) client: String,
    pub(crate) secret: String,
}

impl<'a> World<'a> {
    pub(crate) async fn new(stack: &'a Stack, servers: [u16; 2]) -> anyhow::Result<Self> {
        Ok(Self { stack, servers, objects: Objects(stack.cluster.client().await?), runs: AtomicUsize::new(0) })
    }

    /// Runs a scenario with this fault, if any.
    pub(crate) async fn run(&'a self, scenario: Scenario, fault: Option<(usize, Side)>) -> anyhow::Result<Outcome> {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let id = format!("fault-{}-{number}", self.stack.id);
        let installation = format!("inst-{}-{number}", self.stack.id);
        let issuer_base = format!("http://localhost:{}", self.servers[0]);
        let run = Run {
            world: self,
            seat: Seat::new(self.stack, self.stack.cluster, &installation, &issuer_base).await?,
            namespace: id.clone(),
            installation,
            scenario,
            tenant: format!("tenants {id}"),
            client: format!("oauthclients {id}/billing"),
            secret: format!("secrets {id}/billing-oauth"),
            id,
        };
        let outcome = run.go(fault).await;
        outcome.with_context(|| format!("run {number}, writes {:#?}", run.seat.trap.writes()))
    }
}

impl Run<'_> {
    async fn go(&self, fault: Option<(usize, Side)>) -> anyhow::Result<Outcome> {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        self.objects().apply(&format!("namespaces {}", self.namespace), &namespace).await?;
        let (mut operator, before) = if self.scenario.begins_in_service() {
            self.declare().await?;
            let operator = self.start(0, None)?;
            let before = eventually("in service before", LIMIT, || in_service(self)).await?;
            self.settled(QUIET / 2).await?;
            self.seat.trap.arm(operator.pid(), fault);
            (operator, Some(before))
        } else {
            (self.start(0, fault)?, None)
        };
        let stop = CancellationToken::new();
        let client = async {
            let polled = (self.secret.as_str(), self.servers());
            // A tenant's tombstone ends service while its clients' Secrets stay.
            if self.scenario == Scenario::DeleteTenant {
                return Ok(Polled::default());
            }
            poll(self.objects(), polled, self.scenario.grace(), &stop).await
        };
        let story = async {
            let outcome = self.story(&mut operator, fault, before.as_ref()).await;
            stop.cancel();
            outcome
        };
        let (polled, outcome) = tokio::join!(client, story);
        let mut outcome = outcome.with_context(|| operator.output())?;
        outcome.polled = polled?;
        let values = outcome.polled.values.len();
        ensure!(values <= self.scenario.most_values(), "the client saw {values} values of its secret");
        Ok(outcome)
    }

    async fn story(
        &self,
        operator: &mut Process,
        fault: Option<(usize, Side)>,
        before: Option<&Credentials>,
    ) -> anyhow::Result<Outcome> {
        let trap = &self.seat.trap;
        self.scenario.act(self).await?;
        eventually("the fault or the end", LIMIT, || async {
            if trap.is_dead() { Ok(()) } else { self.scenario.has_ended(self, before).await }
        })
        .await?;
        let was_killed = trap.is_dead();
        let mut writes = trap.writes();
        if was_killed {
            let status = operator.ended(Duration::from_secs(10)).await?;
            ensure!(!status.success(), "it was not killed");
            self.seat.free_lease(self.objects()).await?;
            *operator = self.start(1, None)?;
            eventually("the end, after a new start", LIMIT, || self.scenario.has_ended(self, before)).await?;
        } else if fault.is_none() {
            self.settled(QUIET).await?;
            writes = trap.writes();
        }
        operator.check()?;
        Ok(Outcome { writes, was_killed, polled: Polled::default() })
    }

    /// Waits until nothing was written for so long: what follows an end (a status, say) comes to one.
    async fn settled(&self, quiet: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let before = self.seat.trap.writes().len();
            tokio::time::sleep(quiet).await;
            if self.seat.trap.writes().len() == before {
                return Ok(());
            }
            ensure!(start.elapsed() < LIMIT, "it writes although nothing changes");
        }
    }

    fn start(&self, number: usize, fault: Option<(usize, Side)>) -> anyhow::Result<Process> {
        self.seat.start(&format!("operator-{}-{number}", self.id), fault)
    }

    /// Declares the tenant and the client.
    pub(crate) async fn declare(&self) -> anyhow::Result<()> {
        let (tenant, client) = manifests(self.scenario, &self.id, &self.namespace, &self.installation);
        self.objects().apply(&self.tenant, &tenant).await?;
        self.objects().apply(&self.client, &client).await.map(drop)
    }

    pub(crate) fn objects(&self) -> &Objects {
        &self.world.objects
    }

    pub(crate) fn servers(&self) -> [u16; 2] {
        self.world.servers
    }

    /// The stored rows of the run's tenant in a table.
    pub(crate) async fn rows(&self, table: &str) -> anyhow::Result<i64> {
        let mut look = database::look(&self.world.stack.database).await?;
        let sql = format!(
            "select count(*) from authly.{table} r join authly.tenant t on t.id = r.tenant_id where t.name = $1"
        );
        Ok(sqlx::query_scalar(AssertSqlSafe(sql)).bind(&self.id).fetch_one(&mut look).await?)
    }
}
