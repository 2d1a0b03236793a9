//! Further processes of the product beside a running dev: servers and gateways on the same database.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{
    api::http,
    dev::Dev,
    process::{self, Process, free_port},
};

/// A server or gateway process.
#[derive(Debug)]
pub struct Replica {
    /// The process.
    pub process: Process,
    /// Its public port.
    pub port: u16,
    /// Its management port.
    pub management: u16,
}

impl Replica {
    /// A further gateway, serving the same files as dev.
    pub async fn gateway(dev: &Dev, name: &str) -> anyhow::Result<Self> {
        let files = dev.data.join("files");
        let service = format!("shop/files={}", files.to_string_lossy());
        Self::start(dev, name, "gateway", &["--service".to_owned(), service]).await
    }

    /// A further server.
    pub async fn server(dev: &Dev, name: &str) -> anyhow::Result<Self> {
        let kek = dev.data.join("kek").to_string_lossy().into_owned();
        Self::start(dev, name, "server", &["--kek-file".to_owned(), kek]).await
    }

    /// A server and a gateway whose way to the database leads through this port: a proxy's.
    pub async fn pair_behind(dev: &Dev, name: &str, port: u16) -> anyhow::Result<[Self; 2]> {
        let files = dev.data.join("files");
        let extra = |role| match role {
            "server" => ["--kek-file".to_owned(), dev.data.join("kek").to_string_lossy().into_owned()],
            _ => ["--service".to_owned(), format!("shop/files={}", files.to_string_lossy())],
        };
        let start = async |role| {
            let (url, password) = login(dev, role)?;
            let mut url = url::Url::parse(&url)?;
            url.set_port(Some(port)).ok();
            let environment = [("AUTHLY_DATABASE_PASSWORD".to_owned(), password)];
            Self::spawn(dev, (&format!("{role}-{name}"), role), url.as_str(), &extra(role), &environment).await
        };
        Ok([start("server").await?, start("gateway").await?])
    }

    /// Starts `authly ROLE` with dev's login of that role, and waits until it is ready.
    pub async fn start(dev: &Dev, name: &str, role: &str, extra: &[String]) -> anyhow::Result<Self> {
        let (url, password) = login(dev, role)?;
        let environment = [("AUTHLY_DATABASE_PASSWORD".to_owned(), password)];
        Self::spawn(dev, (name, role), &url, extra, &environment).await
    }

    /// Starts `authly server` with this URL of the database, password included.
    pub async fn start_at(dev: &Dev, name: &str, role: &str, url: &str) -> anyhow::Result<Self> {
        let kek = dev.data.join("kek").to_string_lossy().into_owned();
        Self::spawn(dev, (name, role), url, &["--kek-file".to_owned(), kek], &[]).await
    }

    /// A server that may open only so many files.
    pub async fn with_few_files(dev: &Dev, name: &str, files: u32) -> anyhow::Result<Self> {
        let kek = dev.data.join("kek").to_string_lossy().into_owned();
        let (url, password) = login(dev, "server")?;
        let (port, management) = (free_port()?, free_port()?);
        let mut command = process::under("sh");
        command.args(["-c", &format!("ulimit -n {files} && exec \"$@\""), "sh"]).arg(process::binary()?);
        command.args(["server", "--log-format", "text", "--database-url", &url, "--kek-file", &kek]);
        command.args([
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--management-listen",
            &format!("127.0.0.1:{management}"),
        ]);
        command.env("AUTHLY_DATABASE_PASSWORD", password);
        let folder = dev.data.parent().context("the data folder has a parent")?;
        let mut this = Self { process: Process::spawn(name, folder, command)?, port, management };
        this.ready().await?;
        Ok(this)
    }

    async fn spawn(
        dev: &Dev,
        (name, role): (&str, &str),
        url: &str,
        extra: &[String],
        environment: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let (port, management) = (free_port()?, free_port()?);
        let mut args = vec![role.to_owned(), "--log-format".to_owned(), "text".to_owned()];
        args.extend(["--listen".to_owned(), format!("127.0.0.1:{port}")]);
        args.extend(["--management-listen".to_owned(), format!("127.0.0.1:{management}")]);
        args.extend_from_slice(extra);
        args.extend(["--database-url".to_owned(), url.to_owned()]);
        let folder = dev.data.parent().context("the data folder has a parent")?;
        let process = Process::authly(name, folder, &args, environment)?;
        let mut this = Self { process, port, management };
        this.ready().await?;
        Ok(this)
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let url = format!("http://127.0.0.1:{}/readyz", self.management);
        let (http, start) = (http(), Instant::now());
        loop {
            self.process.check()?;
            if http.get(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
                return Ok(());
            }
            ensure!(start.elapsed() < Duration::from_secs(150), "not ready within 150 s:\n{}", self.process.output());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The URL of dev's database for a role, with its password.
pub fn url_of(dev: &Dev, role: &str) -> anyhow::Result<String> {
    let (url, password) = login(dev, role)?;
    let mut url = url::Url::parse(&url)?;
    url.set_password(Some(&password)).ok();
    Ok(url.into())
}

/// The URL, without password, and the password of a role's login in dev's database.
pub fn login(dev: &Dev, role: &str) -> anyhow::Result<(String, String)> {
    let roles: Value = serde_json::from_str(&std::fs::read_to_string(dev.data.join("roles.json"))?)?;
    let password = roles[role].as_str().with_context(|| format!("no {role} in roles.json"))?;
    let mut url = url::Url::parse(&dev.database)?;
    let database = url.path().trim_start_matches('/').to_owned();
    url.set_password(None).ok();
    url.set_username(&format!("{database}_{role}_login")).ok();
    Ok((url.to_string(), password.to_owned()))
}
