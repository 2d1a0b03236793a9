//! The chart `charts/authly`, installed for real with helm, and its containers as processes of this machine.
//!
//! There is no kubelet in the laboratory. What the API server holds of a Deployment or Job after `helm install` is read
//! back and its container becomes a [`Process`]: arguments, environment and mounted files exactly as a kubelet would
//! hand them over. So it is the shipped chart and its RBAC that the suites run on. Owns no knowledge of the chart's
//! templates beyond the names of its objects.

mod container;
mod files;
mod process;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::controlplane::{ControlPlane, stdout_of};
use files::Folder;
pub use process::Process;

/// A Deployment of the chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `authly server`
    Server,
    /// `authly gateway`
    Gateway,
    /// `authly operator`
    Operator,
}

impl Role {
    /// The role's name in the chart: of its values, its container, and at the end of its objects' names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Gateway => "gateway",
            Self::Operator => "operator",
        }
    }
}

/// The folder of the chart.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/authly")
}

/// A release of the chart. It stays when dropped: its namespace belongs to the test.
pub struct Release<'a> {
    control_plane: &'a ControlPlane,
    namespace: String,
    name: String,
}

impl<'a> Release<'a> {
    /// `helm install NAME charts/authly --namespace NAMESPACE`. The namespace must exist.
    ///
    /// The first release of a control plane owns the CRDs and shared roles; any other sets [`beside_another`].
    pub async fn install(
        control_plane: &'a ControlPlane,
        namespace: &str,
        name: &str,
        values: &Value,
    ) -> anyhow::Result<Self> {
        let release = Self { control_plane, namespace: namespace.to_owned(), name: name.to_owned() };
        release.helm("install", values).await?;
        Ok(release)
    }

    /// `helm upgrade`, with these values alone.
    pub async fn upgrade(&self, values: &Value) -> anyhow::Result<()> {
        self.helm("upgrade", values).await
    }

    /// `helm uninstall`.
    pub async fn uninstall(self) -> anyhow::Result<()> {
        let output = self.control_plane.helm(&["uninstall", &self.name, "--namespace", &self.namespace]).await?;
        stdout_of(output).map(drop)
    }

    /// The namespace that the release is in.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// One replica of a Deployment, as its only container would be started.
    ///
    /// Each call makes a replica of its own: the operator's with a new token of the chart's service account.
    pub async fn process(&self, role: Role) -> anyhow::Result<Process> {
        let template = self.deployment(role).await?.spec.context("a Deployment has a spec")?.template;
        self.process_of(role.as_str(), template).await
    }

    /// The migration, as the Job's only container would be started.
    pub async fn migration(&self) -> anyhow::Result<Process> {
        let template = self.migration_job().await?.spec.context("a Job has a spec")?.template;
        self.process_of("migrate", template).await
    }

    /// A Deployment, as the API server holds it.
    pub async fn deployment(&self, role: Role) -> anyhow::Result<Deployment> {
        let name = self.object_name(role.as_str());
        let deployments = Api::<Deployment>::namespaced(self.control_plane.client().await?, &self.namespace);
        deployments.get(&name).await.with_context(|| format!("the chart made no Deployment {name}"))
    }

    /// The migration Job; there is one, for an upgrade replaces it.
    pub async fn migration_job(&self) -> anyhow::Result<Job> {
        let jobs = Api::<Job>::namespaced(self.control_plane.client().await?, &self.namespace);
        let selector = format!("app.kubernetes.io/instance={},app.kubernetes.io/component=migrate", self.name);
        let mut jobs = jobs.list(&ListParams::default().labels(&selector)).await?.items;
        match (jobs.pop(), jobs.len()) {
            (Some(job), 0) => Ok(job),
            (_, more) => bail!("expected one migration Job of the release {}, and {more} are more", self.name),
        }
    }

    /// The name of one of the chart's objects.
    pub fn object_name(&self, suffix: &str) -> String {
        let prefix = if self.name.contains("authly") { self.name.clone() } else { format!("{}-authly", self.name) };
        format!("{prefix}-{suffix}")
    }

    async fn process_of(&self, name: &str, template: PodTemplateSpec) -> anyhow::Result<Process> {
        let pod = template.spec.context("a Pod template has a spec")?;
        container::Resolver::new(self.control_plane, &self.namespace)
            .await?
            .process(name, &pod)
            .await
            .with_context(|| format!("the Pods of {}", self.object_name(name)))
    }

    async fn helm(&self, verb: &str, values: &Value) -> anyhow::Result<()> {
        let folder = Folder::temporary("values")?;
        let file = folder.path().join("values.json");
        std::fs::write(&file, values.to_string())?;
        let (chart, file) = (chart(), file.to_string_lossy().into_owned());
        let output = self
            .control_plane
            .helm(&[verb, &self.name, &chart.to_string_lossy(), "--namespace", &self.namespace, "--values", &file])
            .await?;
        stdout_of(output).with_context(|| format!("helm {verb} {}", self.name)).map(drop)
    }
}

/// Values for a release that is not the first of its control plane: without CRDs and shared roles.
pub fn beside_another(mut values: Value) -> Value {
    values["crds"] = json!({ "install": false });
    values["rbac"] = json!({ "sharedRoles": false });
    values
}

/// Applies what all releases of a cluster share, the CRDs and shared roles, without a release that owns it.
///
/// For suites on a shared control plane, whose releases then are all [`beside_another`]. May run more than once, at once too.
pub async fn apply_shared_parts(control_plane: &ControlPlane) -> anyhow::Result<()> {
    let chart = chart();
    let required = "issuerBase=https://unused.example,database.host=unused,database.owner.password=unused";
    let rendered = control_plane
        .helm(&[
            "template",
            "shared",
            &chart.to_string_lossy(),
            "--set",
            required,
            "--show-only",
            "templates/crds/*.yaml",
            "--show-only",
            "templates/shared-roles.yaml",
        ])
        .await?;
    let apply = ["apply", "--server-side", "--force-conflicts", "--output", "name", "--filename", "-"];
    let applied = stdout_of(control_plane.kubectl(&apply, Some(&stdout_of(rendered)?)).await?)?;
    let crds = applied.lines().filter(|name| name.starts_with("customresourcedefinition"));
    let wait: Vec<&str> = ["wait", "--for=condition=Established"].into_iter().chain(crds).collect();
    stdout_of(control_plane.kubectl(&wait, None).await?).map(drop)
}
