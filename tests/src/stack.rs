//! The whole product as processes around one database and one control plane: migrate, operators, servers, gateways.
//!
//! Every stack has installations and namespaces of its own, because all suites of a run share the control plane.

mod cluster;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
pub use cluster::{apply_crds, apply_to, client_in, object_in};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    api::http,
    controlplane::ControlPlane,
    database,
    dev::DevClient,
    objects::Objects,
    process::{Process, eventually, free_port},
    scratch::Scratch,
};

/// The roles that log in, and the variables of their passwords at `authly migrate`.
const LOGINS: [(&str, &str); 4] = [
    ("server", "AUTHLY_SERVER_PASSWORD"),
    ("gateway", "AUTHLY_GATEWAY_PASSWORD"),
    ("operator", "AUTHLY_OPERATOR_PASSWORD"),
    ("jobs", "AUTHLY_JOBS_PASSWORD"),
];

/// A database with schema and logins, and the folder of its processes.
pub struct Stack {
    /// The control plane.
    pub cluster: &'static ControlPlane,
    /// The superuser's URL of the database.
    pub database: String,
    /// A suffix that keeps names apart from those of other suites.
    pub id: String,
    /// The file of the platform key.
    pub kek: PathBuf,
    /// Further environment of every process.
    pub environment: Vec<(String, String)>,
    password: String,
    scratch: Scratch,
    objects: Objects,
}

/// A server or gateway.
#[derive(Debug)]
pub struct Listening {
    /// The process.
    pub process: Process,
    /// Its public port.
    pub port: u16,
    /// Its management port.
    pub management: u16,
}

impl Stack {
    /// A migrated database; nothing runs yet.
    pub async fn new() -> anyhow::Result<Self> {
        let cluster = ControlPlane::shared().await?;
        apply_crds(cluster).await?;
        let id = Uuid::new_v4().simple().to_string()[..8].to_owned();
        let scratch = Scratch::new("stack")?;
        let stack = Self {
            cluster,
            kek: scratch.path().join("kek"),
            database: database::create("stack").await?,
            password: Uuid::new_v4().simple().to_string(),
            scratch,
            objects: Objects(cluster.client().await?),
            environment: Vec::new(),
            id,
        };
        let kek: Vec<u8> = (100..132).map(|n: u8| n.wrapping_mul(7)).collect();
        std::fs::write(&stack.kek, kek)?;
        let environment: Vec<_> =
            LOGINS.iter().map(|(_, variable)| ((*variable).to_owned(), stack.password.clone())).collect();
        let args = ["migrate", "--database-url", &stack.database].map(str::to_owned);
        let mut migrate = Process::authly("migrate", stack.scratch.path(), &args, &environment)?;
        let status = migrate.ended(Duration::from_secs(60)).await?;
        ensure!(status.success(), "migrate: {}", migrate.output());
        Ok(stack)
    }

    /// The folder of logs.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Where a role logs in, without password, optionally through another port (a proxy that delays or cuts).
    pub fn login_url(&self, role: &str, port: Option<u16>) -> anyhow::Result<String> {
        let mut url = url::Url::parse(&self.database)?;
        let database = url.path().trim_start_matches('/').to_owned();
        url.set_password(None).ok();
        url.set_username(&format!("{database}_{role}_login")).ok();
        if let Some(port) = port {
            url.set_port(Some(port)).ok();
        }
        Ok(url.to_string())
    }

    /// The URL of the database for jobs, with its password.
    pub fn jobs_url(&self) -> anyhow::Result<String> {
        self.url_of("jobs")
    }

    /// The URL of the database for a role, with its password.
    pub fn url_of(&self, role: &str) -> anyhow::Result<String> {
        let mut url = url::Url::parse(&self.login_url(role, None)?)?;
        url.set_password(Some(&self.password)).ok();
        Ok(url.into())
    }

    /// The password of every login.
    pub fn password(&self) -> &str {
        &self.password
    }

    fn spawn(
        &self,
        name: &str,
        role: &str,
        port: Option<u16>,
        extra: &[String],
        environment: &[(String, String)],
    ) -> anyhow::Result<Process> {
        let mut args = vec![role.to_owned(), "--database-url".to_owned(), self.login_url(role, port)?];
        if role != "gateway" {
            args.extend(["--kek-file".to_owned(), self.kek.to_string_lossy().into_owned()]);
        }
        args.extend_from_slice(extra);
        let mut all = vec![("AUTHLY_DATABASE_PASSWORD".to_owned(), self.password.clone())];
        all.extend_from_slice(environment);
        all.extend_from_slice(&self.environment);
        Process::authly(name, self.scratch.path(), &args, &all)
    }

    /// An operator of an installation, as the control plane's administrator.
    pub async fn operator(&self, name: &str, installation: &str, issuer_base: &str) -> anyhow::Result<Process> {
        self.operator_on(self.cluster, name, installation, issuer_base).await
    }

    /// An operator of an installation in another cluster, on the same database.
    pub async fn operator_on(
        &self,
        cluster: &ControlPlane,
        name: &str,
        installation: &str,
        issuer_base: &str,
    ) -> anyhow::Result<Process> {
        let namespace = self.lease_namespace();
        apply_to(cluster, &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n")).await?;
        self.operator_through((&cluster.kubeconfig(), None), name, installation, issuer_base)
    }

    /// The namespace of the Leases.
    pub fn lease_namespace(&self) -> String {
        format!("operators-{}", self.id)
    }

    /// An operator that reaches the cluster by this kubeconfig and the database by this port: proxies, say. The namespace
    /// of its Lease must be there.
    pub fn operator_through(
        &self,
        (kubeconfig, database): (&Path, Option<u16>),
        name: &str,
        installation: &str,
        issuer_base: &str,
    ) -> anyhow::Result<Process> {
        let management = free_port()?;
        let flags = [
            ("--issuer-base", issuer_base.to_owned()),
            ("--installation", installation.to_owned()),
            ("--lease-namespace", self.lease_namespace()),
            ("--lease-name", format!("operator-{installation}")),
            ("--management-listen", format!("127.0.0.1:{management}")),
        ];
        let extra: Vec<String> = flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect();
        let kubeconfig = [("KUBECONFIG".to_owned(), kubeconfig.to_string_lossy().into_owned())];
        self.spawn(name, "operator", database, &extra, &kubeconfig)
    }

    /// A server on this port; `through` replaces the database's port.
    pub async fn server(&self, name: &str, port: u16, through: Option<u16>) -> anyhow::Result<Listening> {
        self.listening(name, "server", port, through, &[]).await
    }

    /// A server on this port that runs jobs.
    pub async fn server_with_jobs(&self, name: &str, port: u16) -> anyhow::Result<Listening> {
        let jobs = self.jobs_url()?;
        self.listening(name, "server", port, None, &["--jobs-database-url".to_owned(), jobs]).await
    }

    /// A gateway on this port with these services, and forward-auth for loopback.
    pub async fn gateway(&self, name: &str, port: u16, services: &[String]) -> anyhow::Result<Listening> {
        let mut extra: Vec<String> =
            services.iter().flat_map(|service| ["--service".to_owned(), service.clone()]).collect();
        extra.extend(["--forward-auth-peer".to_owned(), "127.0.0.0/8".to_owned()]);
        self.listening(name, "gateway", port, None, &extra).await
    }

    async fn listening(
        &self,
        name: &str,
        role: &str,
        port: u16,
        through: Option<u16>,
        extra: &[String],
    ) -> anyhow::Result<Listening> {
        let management = free_port()?;
        let mut args = vec!["--listen".to_owned(), format!("127.0.0.1:{port}")];
        args.extend(["--management-listen".to_owned(), format!("127.0.0.1:{management}")]);
        args.extend_from_slice(extra);
        let mut process = self.spawn(name, role, through, &args, &[])?;
        let url = format!("http://127.0.0.1:{management}/readyz");
        let http = http();
        let ready = eventually("ready", Duration::from_secs(30), || async {
            ensure!(http.get(&url).send().await?.status() == 200);
            Ok(())
        });
        let result = ready.await;
        process.check()?;
        result.with_context(|| process.output())?;
        Ok(Listening { process, port, management })
    }

    /// Applies manifests with the real kubectl.
    pub async fn apply(&self, yaml: &str) -> anyhow::Result<String> {
        apply_to(self.cluster, yaml).await
    }

    /// An object as the API server has it. `what` is `kind name` or `kind name -n namespace`.
    pub async fn object(&self, what: &str) -> anyhow::Result<Value> {
        cluster::object(&self.objects, what).await
    }

    /// Waits until a condition of an object has this status and, unless empty, this reason.
    pub async fn condition(
        &self,
        what: &str,
        name: &str,
        status: &str,
        reason: &str,
        limit: Duration,
    ) -> anyhow::Result<Value> {
        eventually(&format!("{what}: {name}={status}/{reason}"), limit, || async {
            let object = self.object(what).await?;
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let condition = conditions.into_iter().find(|condition| condition["type"] == name);
            let generation = &object["metadata"]["generation"];
            match condition {
                Some(c)
                    if c["status"] == status
                        && (reason.is_empty() || c["reason"] == reason)
                        && c["observedGeneration"] == *generation =>
                {
                    Ok(c)
                }
                other => bail!("it is {other:?} at generation {generation}"),
            }
        })
        .await
    }

    /// The client that a Secret names, once the Secret has it.
    pub async fn client(&self, namespace: &str, secret: &str) -> anyhow::Result<(DevClient, String)> {
        client_in(self.cluster, namespace, secret).await
    }
}
