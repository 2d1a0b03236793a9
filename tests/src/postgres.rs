//! A PostgreSQL of a suite's own, which it may crash and restart without hurting the suites beside it.
//!
//! Owns: the server's process and its folder, which go when dropped. The port stays the same over restarts, so that the
//! product finds its database again. Never does: SQL beyond making a database.

use std::path::{Path, PathBuf};

use anyhow::Context;
use authly_embedded_postgres::{Options, Postgres, VERSION};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

use crate::{process::free_port, scratch::Scratch};

/// A server, running or stopped.
#[derive(Debug)]
pub struct OwnPostgres {
    // First: the server goes before its folder.
    running: Option<Postgres>,
    options: Options,
    base: String,
    scratch: Scratch,
}

impl OwnPostgres {
    /// Starts a fresh server; `settings` are further `name=value`. fsync is on, as in production.
    pub async fn start(settings: &[&str]) -> anyhow::Result<Self> {
        let scratch = Scratch::new("postgres")?;
        let mut all = vec!["max_connections=200".to_owned()];
        all.extend(settings.iter().map(|setting| (*setting).to_owned()));
        let options = Options {
            installation: PathBuf::from("/var/tmp/authly-tests").join(format!("postgresql-{VERSION}")),
            folder: scratch.path().join("server"),
            port: Some(free_port()?),
            settings: all,
        };
        let postgres = Postgres::start(options.clone(), &|_| {}).await?;
        let url = postgres.url("");
        let base = url.trim_end_matches('/').to_owned();
        Ok(Self { running: Some(postgres), options, base, scratch })
    }

    /// The superuser's URL of a database, whether the server runs or not.
    pub fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.base)
    }

    /// The port on loopback, the same over restarts.
    pub fn port(&self) -> u16 {
        self.options.port.unwrap_or_default()
    }

    /// Everything of the server; PostgreSQL's data folder is `pg/data` in it. Copy it while the server is stopped.
    pub fn folder(&self) -> &Path {
        &self.options.folder
    }

    /// The folder around it, for what a suite keeps beside the server.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// A new, empty database: the superuser's URL of it.
    pub async fn create(&self, purpose: &str) -> anyhow::Result<String> {
        let name = format!("{purpose}_{}", &Uuid::new_v4().simple().to_string()[..12]);
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        connection.execute(AssertSqlSafe(format!("create database {name}"))).await?;
        connection.close().await?;
        Ok(self.url(&name))
    }

    /// Stops it orderly, with a checkpoint.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        Ok(self.running.take().context("PostgreSQL does not run")?.stop().await?)
    }

    /// Stops it with `-m immediate`: every connection is cut and nothing is written back.
    pub async fn crash(&mut self) -> anyhow::Result<()> {
        Ok(self.running.take().context("PostgreSQL does not run")?.stop_immediately().await?)
    }

    /// Starts it again on the same folder and port; after a crash it recovers first.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.running.is_none(), "PostgreSQL runs already");
        self.running = Some(Postgres::start(self.options.clone(), &|_| {}).await?);
        Ok(())
    }

    /// Crashes it and starts it again.
    pub async fn crash_and_recover(&mut self) -> anyhow::Result<()> {
        self.crash().await?;
        self.start_again().await
    }
}
