//! Retention from outside: dry run and enforcement with counts in status and metrics, legal hold, and a server that is killed
//! with -9 in the middle of a run, which another one ends with the right counts.
//!
//! With `AUTHLY_LONG=1` the lease of the killed server's job runs out by itself, which takes a minute.

use std::time::Duration;

use anyhow::{Context, ensure};
use authly_tests::{
    api::http,
    database, is_long, manifests,
    process::{Process, eventually, free_port},
    stack::{Listening, Stack},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, PgConnection};

/// Rows that are due, and rows that are not yet.
const DUE: i64 = 60_000;
const YOUNG: i64 = 50;
const LIMIT: Duration = Duration::from_secs(60);

struct World {
    stack: Stack,
    look: PgConnection,
    tenant: String,
    _operator: Process,
}

impl World {
    async fn start() -> Self {
        let stack = Stack::new().await.unwrap();
        let base = format!("http://localhost:{}", free_port().unwrap());
        let operator = stack.operator("operator", &format!("inst-{}", stack.id), &base).await.unwrap();
        let look = database::look(&stack.database).await.unwrap();
        let mut world = Self { stack, look, tenant: String::new(), _operator: operator };
        world.declare("DryRun", false).await;
        let tenant = format!("tenant acme-{}", world.stack.id);
        let id = eventually("the tenant is stored", LIMIT, || async {
            let object = world.stack.object(&tenant).await?;
            Ok(object["status"]["tenantId"].as_str().context("no id yet")?.to_owned())
        });
        world.tenant = id.await.unwrap();
        world
    }

    async fn declare(&self, mode: &str, legal_hold: bool) {
        let id = &self.stack.id;
        let policy = format!(
            r"---
apiVersion: authly.dev/v1alpha1
kind: RetentionPolicy
metadata: {{name: standard, namespace: shop-{id}}}
spec:
  tenantRef: {{name: acme-{id}}}
  mode: {mode}
  rules:
  - {{data: [Tokens], after: 30d}}
"
        );
        let manifests = manifests::tenant(id, &format!("  legalHold: {legal_hold}\n")) + &policy;
        self.stack.apply(&manifests).await.unwrap();
    }

    async fn server(&self, name: &str) -> Listening {
        self.stack.server_with_jobs(name, free_port().unwrap()).await.unwrap()
    }

    /// Waits until the policy is in service with this effective mode.
    async fn serves(&self, mode: &str) {
        self.status(&format!("mode {mode}"), |status| status["mode"] == mode).await;
        let what = format!("retentionpolicy standard -n shop-{}", self.stack.id);
        self.stack.condition(&what, "Ready", "True", "", LIMIT).await.unwrap();
    }

    /// Waits until the policy's status is so.
    async fn status(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let object = format!("retentionpolicy standard -n shop-{}", self.stack.id);
        let found = eventually(what, LIMIT, || async {
            let status = self.stack.object(&object).await?["status"].clone();
            ensure!(holds(&status), "{status}");
            Ok(status)
        });
        found.await.unwrap()
    }

    async fn count(&mut self, sql: &str) -> i64 {
        let sql = sql.replace("TENANT", &self.tenant);
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.look).await.unwrap()
    }

    async fn execute(&mut self, sql: &str) {
        let sql = sql.replace("TENANT", &self.tenant);
        self.look.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    async fn rows(&mut self) -> i64 {
        self.count("select count(*) from authly.token_revocation where tenant_id = 'TENANT'").await
    }

    /// How much the runs that enforce have done.
    async fn done(&mut self) -> i64 {
        self.count("select coalesce(sum(done), 0)::int8 from authly.retention_run where tenant_id = 'TENANT' and mode = 'Enforce'").await
    }

    /// Makes the job due now, and waits until it has run.
    async fn run(&mut self) {
        let runs =
            "select count(*) from authly.job where name = 'retention' and finished_at > now() - interval '1 hour'
            and next_run > now() and holder is null and finished_at >= (select max(at) from public.asked)";
        self.execute("create table if not exists public.asked (at timestamptz)").await;
        self.execute("insert into public.asked select clock_timestamp()").await;
        self.execute("update authly.job set next_run = clock_timestamp() where name = 'retention'").await;
        for _ in 0..600 {
            if self.count(runs).await == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the job did not run within a minute");
    }
}

fn run(status: &Value) -> (&Value, &Value, &Value, bool) {
    let run = &status["runs"][0];
    (&run["mode"], &run["matched"], &run["done"], run.get("finishedAt").is_some())
}

/// A counter of a server.
async fn metric(server: &Listening, name: &str) -> i64 {
    let url = format!("http://127.0.0.1:{}/metrics", server.management);
    let text = http().get(url).send().await.unwrap().text().await.unwrap();
    let line =
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} is not in\n{text}"));
    line.trim().parse().unwrap()
}

const MATCHED_DRY: &str = r#"authly_retention_matched_total{data="Tokens",mode="DryRun"}"#;
const MATCHED: &str = r#"authly_retention_matched_total{data="Tokens",mode="Enforce"}"#;
const DONE: &str = r#"authly_retention_done_total{data="Tokens"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn retention_counts_holds_enforces_and_survives_a_kill() {
    let mut world = World::start().await;
    let mut first = world.server("server-1").await;
    world.serves("DryRun").await;
    for (prefix, rows, days) in [("old", DUE, 40), ("young", YOUNG, 1)] {
        let insert = format!(
            "insert into authly.token_revocation select 'TENANT', '{prefix}-' || i, now() - interval '{days} days' from generate_series(1, {rows}) i"
        );
        world.execute(&insert).await;
    }

    world.run().await;
    let status = world.status("a dry run in status", |status| status["runs"][0]["matched"] == DUE).await;
    assert_eq!(run(&status), (&"DryRun".into(), &DUE.into(), &0.into(), true), "{status}");
    assert_eq!(world.rows().await, DUE + YOUNG, "a dry run only counts");
    assert_eq!((metric(&first, MATCHED_DRY).await, metric(&first, DONE).await), (DUE, 0));
    println!("dry run: {}", status["runs"]);

    world.declare("Enforce", true).await;
    world.serves("LegalHold").await;
    world.run().await;
    assert_eq!(world.rows().await, DUE + YOUNG, "a legal hold holds everything");
    assert_eq!(metric(&first, MATCHED).await, 0);
    println!("legal hold: nothing went");

    world.declare("Enforce", false).await;
    world.serves("Enforce").await;
    world.execute("update authly.job set next_run = clock_timestamp() where name = 'retention'").await;
    while world.done().await < 3000 {
        first.process.check().unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    first.process.signal("KILL").unwrap();
    first.process.ended(Duration::from_secs(10)).await.unwrap();
    // What it had sent may still be committed.
    let idle =
        "select count(*) from pg_stat_activity where usename like '%_jobs_login' and datname = current_database()";
    while world.count(idle).await > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let before = world.done().await;
    assert!(before < DUE, "it was killed in the middle");
    assert_eq!(world.rows().await, DUE + YOUNG - before, "each batch is counted with what it did");
    let partly = |status: &Value| run(status) == (&"Enforce".into(), &DUE.into(), &before.into(), false);
    world.status("a run under way in status", partly).await;
    println!("killed after {before} of {DUE}");

    let second = world.server("server-2").await;
    if !is_long() {
        world.execute("update authly.job set lease_until = clock_timestamp() where name = 'retention'").await;
    }
    let ended = |status: &Value| run(status) == (&"Enforce".into(), &DUE.into(), &DUE.into(), true);
    let status = world.status("the whole run in status", ended).await;
    println!("resumed: {}", status["runs"]);
    assert_eq!(world.rows().await, YOUNG);
    assert_eq!(world.done().await, DUE, "counted once");
    let runs =
        "select count(*) from authly.retention_run where tenant_id = 'TENANT' and mode = 'Enforce' and matched > 0";
    assert_eq!(world.count(runs).await, 1, "the same run");
    assert_eq!((metric(&second, MATCHED).await, metric(&second, DONE).await), (0, DUE - before));
}
