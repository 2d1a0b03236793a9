//! A real Kubernetes control plane on loopback: etcd, API server, controller manager; and kubectl and helm against it.
//!
//! Owns the starting, finding and stopping of the programs that `tests/controlplane/build` compiles. There is no
//! kubelet, no workload controller and no cluster DNS: no Pod ever runs. Never skips: what is missing is an error.
//!
//! One control plane serves a whole test run: `cargo run -p authly-tests --bin controlplane -- --dir DIR` keeps one
//! running, and tests find it by [`DIR_VARIABLE`]; see [`ControlPlane::shared`]. Tests keep apart by namespaces.

mod certificates;
mod folder;
mod kubeconfig;
mod launch;
mod outage;
mod parts;
mod program;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use folder::Folder;
use parts::Parts;
use program::Program;

/// The environment variable with the absolute path of a running control plane's folder.
pub const DIR_VARIABLE: &str = "AUTHLY_CONTROLPLANE_DIR";

/// How often a start is tried: a free port may be taken by another process before ours listens on it.
const START_ATTEMPTS: usize = 3;

/// How long one kubectl or helm command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(180);

/// A control plane, either started by this process (and stopped when dropped) or connected to.
///
/// Fields are dropped in order: the programs end before their folder goes.
pub struct ControlPlane {
    programs: Mutex<Vec<Program>>,
    folder: Folder,
    parts: Parts,
}

impl ControlPlane {
    /// The control plane of this test run: the one [`DIR_VARIABLE`] names, else one started once for this process.
    pub async fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED
            .get_or_try_init(async || match std::env::var_os(DIR_VARIABLE) {
                Some(dir) => Self::connect_to(Path::new(&dir)).await,
                None => Self::start().await,
            })
            .await
    }

    /// Starts a control plane of its own in a temporary folder; takes about three seconds.
    pub async fn start() -> anyhow::Result<Self> {
        folder::sweep();
        for _ in 1..START_ATTEMPTS {
            match Self::start_within(Folder::temporary()?).await {
                Err(error) if program::lost_its_port(&error) => continue,
                result => return result,
            }
        }
        Self::start_within(Folder::temporary()?).await
    }

    /// Starts a control plane in `dir`, which is created where needed and stays, with its logs, after the end.
    ///
    /// Fails if another control plane runs in `dir`.
    pub async fn start_in(dir: &Path) -> anyhow::Result<Self> {
        Self::start_within(Folder::kept(dir)?).await
    }

    async fn start_within(folder: Folder) -> anyhow::Result<Self> {
        let parts = Parts::locate().await?;
        let programs = launch::launch(folder.path(), &parts).await?;
        Ok(Self { programs: Mutex::new(programs), folder, parts })
    }

    /// Connects to the running control plane whose folder [`DIR_VARIABLE`] names.
    pub async fn connect() -> anyhow::Result<Self> {
        let dir = std::env::var_os(DIR_VARIABLE)
            .with_context(|| format!("{DIR_VARIABLE} is not set; it names the folder of a running control plane"))?;
        Self::connect_to(Path::new(&dir)).await
    }

    /// Connects to the control plane that runs in `dir`.
    pub async fn connect_to(dir: &Path) -> anyhow::Result<Self> {
        let control_plane =
            Self { programs: Mutex::default(), folder: Folder::of_another(dir), parts: Parts::locate().await? };
        let client = control_plane.client().await;
        if !launch::answers_ready(&client.with_context(|| not_running(dir))?).await {
            bail!(not_running(dir));
        }
        Ok(control_plane)
    }

    /// The administrator's kubeconfig (a client certificate of the group `system:masters`).
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join(kubeconfig::ADMIN)
    }

    /// Writes a kubeconfig whose only credential is `token`, beside the administrator's.
    pub fn kubeconfig_for_token(&self, token: &str) -> anyhow::Result<PathBuf> {
        kubeconfig::write_for_token(self.folder.path(), token)
    }

    /// A client with the administrator's rights.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        self.client_as(&self.kubeconfig()).await
    }

    /// A client with the administrator's rights that sends each request once, for who tells failures on.
    pub async fn faithful_client(&self) -> anyhow::Result<kube::Client> {
        kubeconfig::client_with(&self.kubeconfig(), |config| config.default_retry = false).await
    }

    /// A client with the credentials of `kubeconfig`.
    pub async fn client_as(&self, kubeconfig: &Path) -> anyhow::Result<kube::Client> {
        kubeconfig::client(kubeconfig).await
    }

    /// Creates a namespace with a name of its own, `purpose-xxxxxxxx`, and tells the name.
    pub async fn namespace(&self, purpose: &str) -> anyhow::Result<String> {
        let id = Uuid::new_v4().simple().to_string();
        let name = format!("{purpose}-{}", &id[..8]);
        stdout_of(self.kubectl(&["create", "namespace", &name], None).await?)?;
        Ok(name)
    }

    /// A token of a service account, from `kubectl create token`; valid for an hour.
    pub async fn token(&self, namespace: &str, service_account: &str) -> anyhow::Result<String> {
        let output = self.kubectl(&["create", "token", service_account, "--namespace", namespace], None).await?;
        Ok(stdout_of(output)?.trim().to_owned())
    }

    /// Runs kubectl as administrator.
    ///
    /// An error means that kubectl could not be run or did not end; what it says itself is in the output.
    pub async fn kubectl(&self, args: &[&str], stdin: Option<&str>) -> anyhow::Result<Output> {
        self.kubectl_as(&self.kubeconfig(), args, stdin).await
    }

    /// Runs kubectl with the credentials of `kubeconfig`.
    pub async fn kubectl_as(&self, kubeconfig: &Path, args: &[&str], stdin: Option<&str>) -> anyhow::Result<Output> {
        self.run("kubectl", kubeconfig, args, stdin).await
    }

    /// Runs helm as administrator.
    pub async fn helm(&self, args: &[&str]) -> anyhow::Result<Output> {
        self.run("helm", &self.kubeconfig(), args, None).await
    }

    /// Waits until a program of this control plane ends, which none should, and tells why.
    pub async fn failure(&mut self) -> anyhow::Error {
        loop {
            let programs = self.programs.get_mut().unwrap_or_else(PoisonError::into_inner);
            if let Some(error) = programs.iter_mut().find_map(|program| program.check().err()) {
                return error;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    async fn run(
        &self,
        program: &str,
        kubeconfig: &Path,
        args: &[&str],
        stdin: Option<&str>,
    ) -> anyhow::Result<Output> {
        let home = self.folder.path().join("home");
        let mut child = Command::new(self.parts.program(program))
            .args(args)
            .env("KUBECONFIG", kubeconfig)
            // The caches and settings of whoever runs the tests stay out of it.
            .env("HOME", &home)
            .envs([("HELM_CACHE_HOME", &home), ("HELM_CONFIG_HOME", &home), ("HELM_DATA_HOME", &home)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{program} does not start"))?;
        let mut input = child.stdin.take().context("a piped stdin is there")?;
        let feed = async move {
            // A command that does not read its input closes the pipe: its own output tells why.
            input.write_all(stdin.unwrap_or_default().as_bytes()).await.ok();
        };
        let both = async { tokio::join!(feed, child.wait_with_output()).1 };
        let output = timeout(COMMAND_TIMEOUT, both)
            .await
            .with_context(|| format!("{program} {} took more than {COMMAND_TIMEOUT:?}", args.join(" ")))?;
        Ok(output?)
    }
}

/// What a command that succeeded wrote to its standard output; what one that failed wrote to both, as an error.
pub fn stdout_of(output: Output) -> anyhow::Result<String> {
    let stdout = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{}: {}{stdout}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(stdout.into_owned())
}

fn not_running(dir: &Path) -> String {
    format!(
        "no control plane runs in {dir}; start it with `cargo run -p authly-tests --bin controlplane -- --dir {dir}`",
        dir = dir.display()
    )
}
