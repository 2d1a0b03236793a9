//! What the API server and PostgreSQL themselves count: requests about our objects and Secrets, rows that changed.

use anyhow::Context;
use authly_tests::database;

use crate::World;

/// What an operator may do: everything about our kinds and Secrets; Events.
const RESOURCES: [&str; 7] =
    ["tenants", "oauthclients", "accesspolicies", "signedurlroutes", "retentionpolicies", "secrets", "events"];
const WRITES: [&str; 5] = ["POST", "PUT", "PATCH", "APPLY", "DELETE"];

/// Writes since the beginning.
pub(crate) struct Writes {
    /// Requests to the API server that write one of [`RESOURCES`].
    pub(crate) cluster: u64,
    /// Rows that changed in the database, but what replicas write whether anything changes or not: their leases and the
    /// heartbeat (decision 0016).
    pub(crate) store: i64,
}

impl Writes {
    /// Counts.
    pub(crate) async fn count(world: &World) -> anyhow::Result<Self> {
        let mut look = database::look(&world.stack.database).await?;
        let sql = "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint from pg_stat_user_tables
            where schemaname = 'authly' and relname not in ('replica', 'store_history')";
        let store = sqlx::query_scalar(sql).fetch_one(&mut look).await?;
        Ok(Self { cluster: requests(world, |verb| WRITES.contains(&verb)).await?, store })
    }
}

/// Requests about [`RESOURCES`], reads included, watches aside.
pub(crate) async fn asked(world: &World) -> anyhow::Result<u64> {
    requests(world, |verb| verb != "WATCH").await
}

async fn requests(world: &World, counts: impl Fn(&str) -> bool) -> anyhow::Result<u64> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    let text = world.objects.0.request_text(request).await?;
    let mut sum = 0;
    for line in text.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let label = |name: &str| line.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split('"').next());
        if label("resource").is_some_and(|resource| RESOURCES.contains(&resource)) && label("verb").is_some_and(&counts)
        {
            let value: f64 = line.rsplit(' ').next().context("a value")?.parse()?;
            sum += value as u64;
        }
    }
    Ok(sum)
}
