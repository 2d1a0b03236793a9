//! A running `authly dev` on ports and a data folder of its own: the quickest whole product.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::{
    database,
    process::{Process, eventually, free_port},
    scratch::Scratch,
};

/// `DATA_DIR/dev.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct DevJson {
    /// The issuer of the first tenant.
    pub issuer: String,
    /// Its token endpoint.
    pub token_endpoint: String,
    /// Its signing API.
    pub signed_urls_endpoint: String,
    /// The gateway's base URL.
    pub gateway: String,
    /// The clients.
    pub clients: Vec<DevClient>,
}

/// A client in `dev.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct DevClient {
    /// The client id.
    pub client_id: String,
    /// Its secret; absent for `private_key_jwt`.
    pub client_secret: Option<String>,
    /// `Service` or `Web`.
    #[serde(rename = "type")]
    pub client_type: String,
    /// Redirect URIs.
    pub redirect_uris: Vec<String>,
}

/// A running dev.
#[derive(Debug)]
pub struct Dev {
    /// The process.
    pub process: Process,
    /// What it wrote when ready.
    pub json: DevJson,
    /// Its manifests: a copy of the folder it was started with.
    pub manifests: PathBuf,
    /// Its data folder.
    pub data: PathBuf,
    /// The superuser's URL of its database.
    pub database: String,
    /// The server's port.
    pub server_port: u16,
    /// The gateway's port.
    pub gateway_port: u16,
    // Last: the folder goes after the process ended.
    _scratch: Scratch,
}

impl Dev {
    /// Starts dev on the quick start's manifests, with the hosts' ports replaced.
    pub async fn quickstart() -> anyhow::Result<Self> {
        Self::start(&repository().join("examples/quickstart"), &[]).await
    }

    /// The same on this database (a superuser's URL), such as one of an [`crate::postgres::OwnPostgres`].
    pub async fn quickstart_on(database: String) -> anyhow::Result<Self> {
        Self::start_on(database, &repository().join("examples/quickstart"), &[]).await
    }

    /// Starts dev on a copy of `manifests`; in them `localhost:8080` and `localhost:8081` become the real ports. `extra` are further
    /// files, name and text.
    pub async fn start(manifests: &Path, extra: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_on(database::create("dev").await?, manifests, extra).await
    }

    /// As [`Self::start`], on this database.
    pub async fn start_on(database: String, manifests: &Path, extra: &[(&str, &str)]) -> anyhow::Result<Self> {
        let scratch = Scratch::new("dev")?;
        let (server_port, gateway_port) = (free_port()?, free_port()?);
        let folder = scratch.path().join("manifests");
        std::fs::create_dir(&folder)?;
        let ports = |text: &str| {
            text.replace("localhost:8080", &format!("localhost:{server_port}"))
                .replace("localhost:8081", &format!("localhost:{gateway_port}"))
        };
        for entry in std::fs::read_dir(manifests)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let name = path.file_name().context("a file has a name")?;
                std::fs::write(folder.join(name), ports(&std::fs::read_to_string(&path)?))?;
            }
        }
        for (name, text) in extra {
            std::fs::write(folder.join(name), ports(text))?;
        }
        let data = scratch.path().join("data");
        let args = arguments(&folder, &data, &database, server_port, gateway_port);
        let mut process = Process::authly("dev", scratch.path(), &args, &[])?;
        let json = wait_ready(&mut process, &data).await?;
        Ok(Self { process, json, manifests: folder, data, database, server_port, gateway_port, _scratch: scratch })
    }

    /// Stops and starts again on the same data.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.process.signal("TERM")?;
        let status = self.process.ended(Duration::from_secs(30)).await?;
        ensure!(status.success(), "dev ended with {status}:\n{}", self.process.output());
        self.start_again().await
    }

    /// Kills it, with everything that runs in it.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.process.signal("KILL")?;
        self.process.ended(Duration::from_secs(10)).await?;
        Ok(std::fs::remove_file(self.data.join("dev.json"))?)
    }

    /// Starts again on the same data, once it has ended.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let folder = self.data.parent().context("the data folder has a parent")?;
        let args = arguments(&self.manifests, &self.data, &self.database, self.server_port, self.gateway_port);
        self.process = Process::authly("dev-again", folder, &args, &[])?;
        self.json = wait_ready(&mut self.process, &self.data).await?;
        Ok(())
    }

    /// Runs `authly get` against it.
    pub fn get(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut command = crate::process::command()?;
        let output = command.arg("get").args(args).arg("--data-dir").arg(&self.data).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The client of this id.
    pub fn client(&self, client_id: &str) -> anyhow::Result<&DevClient> {
        self.json
            .clients
            .iter()
            .find(|c| c.client_id == client_id)
            .with_context(|| format!("no client {client_id} in dev.json"))
    }

    /// Writes a manifest file.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.manifests.join(name), text)?)
    }

    /// Reads a manifest file.
    pub fn read(&self, name: &str) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.manifests.join(name))?)
    }
}

fn arguments(folder: &Path, data: &Path, database: &str, server: u16, gateway: u16) -> Vec<String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut args = vec!["dev".to_owned(), text(folder)];
    for (flag, value) in [
        ("--data-dir", text(data)),
        ("--database-url", database.to_owned()),
        ("--listen", format!("127.0.0.1:{server}")),
        ("--gateway-listen", format!("127.0.0.1:{gateway}")),
    ] {
        args.extend([flag.to_owned(), value]);
    }
    args
}

async fn wait_ready(process: &mut Process, data: &Path) -> anyhow::Result<DevJson> {
    let file = data.join("dev.json");
    for _ in 0..1200 {
        process.check()?;
        if let Ok(text) = std::fs::read_to_string(&file)
            && let Ok(json) = serde_json::from_str(&text)
        {
            return Ok(json);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("dev is not ready after 60 s:\n{}", process.output())
}

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Waits until `authly get` prints a line that holds all the words.
pub async fn shows(dev: &Dev, words: &[&str], limit: Duration) -> anyhow::Result<String> {
    eventually(&format!("a line of `authly get` with {words:?}"), limit, || async {
        let table = dev.get(&["-o", "wide"])?;
        let line = table.lines().find(|line| words.iter().all(|word| line.contains(word)));
        line.map(str::to_owned).with_context(|| format!("the tables are\n{table}"))
    })
    .await
}
