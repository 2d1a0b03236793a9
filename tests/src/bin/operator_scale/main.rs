//! The operator at scale, for `benches/operator`: `operator_scale CLIENTS TENANTS CHANGES`. Prints a Markdown table on its
//! standard output and what it does on the other.
//!
//! One control plane, PostgreSQL, one server, one operator, all on this machine.
#![allow(clippy::disallowed_methods)]

mod idle;
mod seen;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use authly_tests::{
    objects::Objects,
    process::{Process, eventually, free_port},
    stack::Stack,
};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use idle::Writes;
use seen::Seen;

/// How long all of it may take before the bench gives up.
const LIMIT: Duration = Duration::from_secs(900);
/// Objects that are created at once.
const AT_ONCE: usize = 24;

struct World {
    stack: Stack,
    objects: Objects,
    clients: usize,
    tenants: usize,
    issuer_base: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [clients, tenants, changes] = numbers[..] else {
        anyhow::bail!("usage: operator_scale CLIENTS TENANTS CHANGES");
    };
    let stack = Stack::new().await?;
    let port = free_port()?;
    let server = stack.server("server", port, None).await?;
    let objects = Objects(stack.cluster.client().await?);
    let world = World { stack, objects, clients, tenants, issuer_base: format!("http://localhost:{port}") };
    let seen = Seen::watch(world.objects.0.clone());
    let mut rows = Vec::new();

    let operator = world.operator("operator-1").await?;
    say("creating the objects");
    let (start, last) = world.create().await?;
    say(&format!("created in {:.1} s", (last - start).as_secs_f64()));
    seen.programmed(clients, LIMIT).await?;
    let took = last.elapsed();
    rows.push(row(
        &format!("{clients} clients in {tenants} tenants, from nothing to all Programmed after the last is created"),
        took,
        60,
    ));
    eventually("all Ready", LIMIT, || async {
        ensure!(seen.ready() == clients, "{} are Ready", seen.ready());
        Ok(())
    })
    .await?;
    say(&format!("all Ready {:.1} s after the last was created", last.elapsed().as_secs_f64()));
    let mut memory = peak(&operator)?;
    say(&format!(
        "the operator took {:.1} s of CPU, the server {:.1} s; {memory:.0} MB at the peak",
        cpu(&operator)?,
        cpu(&server.process)?
    ));
    drop(operator);

    say("starting again, with one client that changed meanwhile");
    world.settle().await?;
    let version = world.change(clients - 1, 0).await?;
    let start = Instant::now();
    let operator = world.operator("operator-2").await?;
    seen.changed(&world.name(clients - 1), version, LIMIT).await?;
    let changed = start.elapsed();
    let steady = world.settle().await?.duration_since(start);
    say(&format!("what changed is Programmed after {:.1} s", changed.as_secs_f64()));
    rows.push(row(
        "restart to steady state: what changed is Programmed, and nothing is read or written any more",
        steady,
        15,
    ));
    memory = memory.max(peak(&operator)?);
    rows.push(format!("| memory of the operator, at its peak | {memory:.0} MB | < 150 MB |"));

    say("nothing changes");
    // PostgreSQL's backends tell their counts with a delay of up to ten seconds.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let before = Writes::count(&world).await?;
    let quiet = Duration::from_secs(if clients < 5000 { 15 } else { 60 });
    tokio::time::sleep(quiet).await;
    let after = Writes::count(&world).await?;
    rows.push(format!(
        "| writes in {} s in which nothing changes: API server, PostgreSQL | {}, {} | 0, 0 |",
        quiet.as_secs(),
        after.cluster - before.cluster,
        after.store - before.store
    ));

    say(&format!("{changes} changes, one after the other"));
    let mut times = Vec::new();
    for number in 0..changes {
        let client = (number * 7919) % clients;
        let start = Instant::now();
        let version = world.change(client, number + 1).await?;
        times.push(seen.changed(&world.name(client), version, LIMIT).await? - start);
        // Changes at all phases of whatever polls.
        tokio::time::sleep(Duration::from_millis(150 + (number as u64 * 37) % 200)).await;
    }
    times.sort();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1].as_millis();
    rows.push(format!(
        "| one changed client is Programmed: p50, p99 of {changes} | {} ms, {} ms | p99 < 250 ms |",
        at(50),
        at(99)
    ));
    println!("| what | measured | aim |\n|---|---|---|\n{}", rows.join("\n"));
    drop((operator, server));
    Ok(())
}

impl World {
    async fn operator(&self, name: &str) -> anyhow::Result<Process> {
        self.stack.operator(name, &self.stack.id, &self.issuer_base).await
    }

    fn tenant(&self, number: usize) -> String {
        format!("scale-{}-{}", self.stack.id, number % self.tenants)
    }

    /// Namespace and name of a client.
    fn name(&self, number: usize) -> String {
        format!("{}/client-{number}", self.tenant(number))
    }

    /// Creates everything; answers when it began and when the last one was created.
    async fn create(&self) -> anyhow::Result<(Instant, Instant)> {
        let start = Instant::now();
        for number in 0..self.tenants {
            let name = self.tenant(number);
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            self.objects.create(&format!("namespaces {name}"), &namespace).await?;
            let tenant = json!({
                "apiVersion": "authly.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
                "spec": {"displayName": name, "installation": self.stack.id, "allowedNamespaces": [{"name": name, "role": "Owner"}]},
            });
            self.objects.create(&format!("tenants {name}"), &tenant).await?;
        }
        let create = |number| async move {
            let (tenant, name) = (self.tenant(number), self.name(number));
            let client = json!({
                "apiVersion": "authly.dev/v1alpha1", "kind": "OAuthClient",
                "metadata": {"name": format!("client-{number}"), "namespace": tenant},
                "spec": {"tenantRef": {"name": tenant}, "type": "Service"},
            });
            self.objects.create(&format!("oauthclients {name}"), &client).await
        };
        stream::iter(0..self.clients).map(create).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        Ok((start, Instant::now()))
    }

    /// Changes a client; answers its new generation.
    async fn change(&self, number: usize, to: usize) -> anyhow::Result<i64> {
        let patch = json!({"spec": {"scopes": [format!("scope-{to}")]}});
        let changed: Value = self.objects.merge(&format!("oauthclients {}", self.name(number)), &patch).await?;
        changed["metadata"]["generation"].as_i64().context("a generation")
    }

    /// Waits until the API server was asked nothing by an operator for two seconds; answers when that began.
    async fn settle(&self) -> anyhow::Result<Instant> {
        let (mut asked, mut since, start) = (idle::asked(self).await?, Instant::now(), Instant::now());
        while since.elapsed() < Duration::from_secs(2) {
            ensure!(start.elapsed() < LIMIT, "it never comes to rest");
            tokio::time::sleep(Duration::from_millis(400)).await;
            let now = idle::asked(self).await?;
            if now != asked {
                (asked, since) = (now, Instant::now());
            }
        }
        Ok(since)
    }
}

fn say(text: &str) {
    eprintln!("operator_scale: {text}");
}

fn row(what: &str, took: Duration, aim: u64) -> String {
    format!("| {what} | {:.1} s | < {aim} s |", took.as_secs_f64())
}

/// The most memory that a process had resident, in MB.
fn peak(process: &Process) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1000.0)
}

/// The CPU time that a process has used, in seconds; the kernel counts in hundredths.
fn cpu(process: &Process) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid()))?;
    let fields: Vec<&str> = stat.rsplit(')').next().context("stat")?.split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

/// Shared with the watch.
type Shared<T> = Arc<std::sync::Mutex<T>>;
