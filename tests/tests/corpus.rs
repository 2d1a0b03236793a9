//! The manifest corpus against a real API server (operator.md, rule 4): admission agrees with `authly_desired::validate`, and the
//! operator's condition Accepted with `authly_desired::desired`. The same rows run in Rust in `desired/tests/corpus.rs`.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, bail, ensure};
use authly_tests::{
    controlplane::{ControlPlane, stdout_of},
    dev::repository,
    process::{Process, eventually},
    stack::{Stack, apply_crds, object_in},
};
use futures::future::join_all;
use serde::Deserialize;
use sqlx::Connection;

const KINDS: &str = "oauthclients,signedurlroutes,accesspolicies,retentionpolicies";

#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    #[serde(default)]
    with: Option<String>,
    #[serde(default)]
    old: Option<String>,
    manifest: String,
    admission: String,
    #[serde(default)]
    accepted: Option<String>,
}

fn rows() -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    for entry in std::fs::read_dir(repository().join("desired/corpus")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".yaml") && name != "context.yaml" {
            let text = std::fs::read_to_string(&path).unwrap();
            let of_file: Vec<Row> = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            rows.extend(of_file.into_iter().map(|row| (row.name.clone(), row)));
        }
    }
    assert!(rows.len() >= 60, "{} rows", rows.len());
    rows
}

impl Row {
    fn texts(&self) -> impl Iterator<Item = &str> {
        [self.with.as_deref(), self.old.as_deref(), Some(&*self.manifest)].into_iter().flatten()
    }

    /// One object that is refused, and nothing before it: the cluster stays as it was.
    fn leaves_nothing(&self) -> bool {
        self.admission == "reject" && self.texts().count() == 1 && !self.manifest.contains("\n---")
    }

    fn has_tenant(&self) -> bool {
        self.texts().any(|text| text.contains("kind: Tenant"))
    }
}

struct Lab {
    cluster: ControlPlane,
    stack: Stack,
    operator: Option<Process>,
}

impl Lab {
    async fn apply(&self, yaml: &str) -> anyhow::Result<String> {
        let args = ["apply", "--validate=strict", "-f", "-"];
        stdout_of(self.cluster.kubectl(&args, Some(yaml)).await?)
    }

    /// An empty cluster and database, then the context and a new operator.
    async fn fresh(&mut self) -> anyhow::Result<()> {
        self.operator = None;
        for kinds in [KINDS, "tenants"] {
            let scope: &[&str] = if kinds == "tenants" { &[] } else { &["-A"] };
            let mut args = vec!["delete", kinds, "--all", "--wait=false", "--ignore-not-found"];
            args.extend(scope);
            self.cluster.kubectl(&args, None).await?;
        }
        self.unfinalize().await?;
        let mut look = sqlx::PgConnection::connect(&self.stack.database).await?;
        sqlx::query("truncate authly.tenant cascade").execute(&mut look).await?;
        self.apply(&std::fs::read_to_string(repository().join("desired/corpus/context.yaml"))?).await?;
        self.operator =
            Some(self.stack.operator_on(&self.cluster, "operator", "default", "https://auth.example").await?);
        self.settled("tenant acme").await.map(drop)
    }

    /// A Tenant that is being deleted waits for an operator's finalizer; none runs now.
    async fn unfinalize(&self) -> anyhow::Result<()> {
        let names = stdout_of(self.cluster.kubectl(&["get", "tenants", "-o", "name"], None).await?)?;
        for name in names.lines() {
            let args = ["patch", name, "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#];
            self.cluster.kubectl(&args, None).await?;
        }
        Ok(())
    }

    /// Deletes what is below the Tenants, and waits until the operator has done so too.
    async fn clean(&self) -> anyhow::Result<()> {
        stdout_of(self.cluster.kubectl(&["delete", KINDS, "--all", "-A", "--ignore-not-found"], None).await?)?;
        let url = self.stack.database.clone();
        eventually("the store is clean", Duration::from_secs(10), || async {
            let mut look = sqlx::PgConnection::connect(&url).await?;
            let query = "select (select count(*) from authly.client) + (select count(*) from authly.route) + (select count(*) from authly.access_policy) \
                         + (select count(*) from authly.retention_policy)";
            let left: i64 = sqlx::query_scalar(query).fetch_one(&mut look).await?;
            ensure!(left == 0, "{left} rows are left");
            Ok(())
        })
        .await
    }

    /// The condition Accepted of the present generation, `True` or `False/Reason`.
    async fn settled(&self, what: &str) -> anyhow::Result<String> {
        let result = eventually(what, Duration::from_secs(10), || async {
            let object = object_in(&self.cluster, what).await?;
            let generation = &object["metadata"]["generation"];
            let conditions = object["status"]["conditions"].as_array().context("no conditions")?;
            let accepted =
                conditions.iter().find(|c| c["type"] == "Accepted" && c["observedGeneration"] == *generation);
            let accepted = accepted.context("not observed yet")?;
            Ok(match accepted["status"].as_str() {
                Some("True") => "True".to_owned(),
                status => format!("{}/{}", status.unwrap_or("?"), accepted["reason"].as_str().unwrap_or("?")),
            })
        });
        let result = result.await;
        match (&self.operator, result) {
            (Some(operator), Err(error)) => Err(error.context(operator.output())),
            (_, result) => result,
        }
    }

    async fn run(&self, row: &Row) -> anyhow::Result<()> {
        for before in [&row.with, &row.old].into_iter().flatten() {
            self.apply(before).await.context("what comes before")?;
            for what in objects(before) {
                self.settled(&what).await?;
            }
        }
        match (row.admission.as_str(), self.apply(&row.manifest).await) {
            ("accept", Ok(_)) => {}
            ("reject", Err(error)) => {
                let text = format!("{error:#}");
                ensure!(!text.contains("connection refused"), "{text}");
                return Ok(());
            }
            ("accept", Err(error)) => bail!("must be admitted, but: {error:#}"),
            (_, Ok(_)) => bail!("must be refused, but was admitted"),
            (_, Err(error)) => return Err(error),
        }
        let expected = row.accepted.as_deref().context("a row that is admitted states `accepted`")?;
        let what = objects(&row.manifest).pop().context("a manifest names an object")?;
        // The condition may pass through another value while the operator still learns what comes before.
        eventually("accepted", Duration::from_secs(10), || async {
            let got = self.settled(&what).await?;
            ensure!(got == expected, "Accepted is {got}, the row states {expected}");
            Ok(())
        })
        .await
    }
}

/// `kind name [-n namespace]` of every object in the text.
fn objects(text: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Meta {
        name: String,
        namespace: Option<String>,
    }
    #[derive(Deserialize)]
    struct Object {
        kind: String,
        metadata: Meta,
    }
    let parse = |part: &str| -> Option<String> {
        let object: Object = serde_saphyr::from_str(part).ok()?;
        let place = object.metadata.namespace.map(|ns| format!(" -n {ns}")).unwrap_or_default();
        (object.kind != "Namespace").then(|| format!("{} {}{place}", object.kind.to_lowercase(), object.metadata.name))
    };
    text.split("\n---").filter_map(parse).collect()
}

/// How many control planes work at once.
const LABS: usize = 3;

/// Runs rows on a control plane of their own; answers what failed.
async fn run_part(rows: Vec<Row>) -> Vec<String> {
    let cluster = ControlPlane::start().await.unwrap();
    apply_crds(&cluster).await.unwrap();
    let mut lab = Lab { cluster, stack: Stack::new().await.unwrap(), operator: None };
    let mut failures = Vec::new();
    // A Tenant leaves claims behind: such a row gets an empty store. The others share one, and those that leave nothing need not
    // even be cleaned up after.
    let (with_tenants, simple): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| row.has_tenant() && !row.leaves_nothing());
    lab.fresh().await.unwrap();
    for row in simple {
        if let Err(error) = lab.run(row).await {
            failures.push(format!("{}: {error:#}", row.name));
            // What it left, nobody knows.
            lab.fresh().await.unwrap();
        } else if !row.leaves_nothing() {
            lab.clean().await.unwrap();
        }
    }
    for row in with_tenants {
        lab.fresh().await.unwrap();
        if let Err(error) = lab.run(row).await {
            failures.push(format!("{}: {error:#}", row.name));
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_and_the_operator_agree_with_every_row() {
    let rows = rows();
    let count = rows.len();
    let mut parts: Vec<Vec<Row>> = (0..LABS).map(|_| Vec::new()).collect();
    for (index, row) in rows.into_values().enumerate() {
        parts[index % LABS].push(row);
    }
    let failures: Vec<String> = join_all(parts.into_iter().map(run_part)).await.into_iter().flatten().collect();
    println!("{count} rows, {} failures", failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
