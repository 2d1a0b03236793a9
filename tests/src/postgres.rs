//! A PostgreSQL of a suite's own, which it may crash and restart without hurting the suites beside it.
//!
//! Owns: the server's process and its folder, which go when dropped. The port stays the same over restarts, so that the
//! product finds its database again. Never does: SQL beyond making a database.

use std::{
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
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
        let folder = scratch.path().join("server");
        Self::in_folder(scratch, folder, settings).await
    }

    /// The same in a folder that is there, such as that of a small disk.
    pub async fn start_in(folder: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        Self::in_folder(Scratch::new("postgres")?, folder.join("server"), settings).await
    }

    async fn in_folder(scratch: Scratch, folder: PathBuf, settings: &[&str]) -> anyhow::Result<Self> {
        let mut all = vec!["max_connections=200".to_owned()];
        all.extend(settings.iter().map(|setting| (*setting).to_owned()));
        let options = Options {
            installation: PathBuf::from("/var/tmp/authly-tests").join(format!("postgresql-{VERSION}")),
            folder,
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

    /// Whether it answers.
    pub async fn answers(&self) -> bool {
        PgConnection::connect(&self.url("postgres")).await.is_ok()
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

    /// A base backup, taken while the server runs, as `pg_basebackup` takes one: through PostgreSQL's low-level interface. It
    /// keeps timeline and system identifier.
    pub async fn base_backup(&self) -> anyhow::Result<PathBuf> {
        let (data, copy) = (self.data(), self.scratch().join(format!("backup-{}", Uuid::new_v4().simple())));
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        connection.execute("select pg_backup_start('suite', true)").await?;
        // Files may come and go meanwhile: the WAL has it.
        copy_folder(&data, &copy)?;
        let label: String =
            sqlx::query_scalar("select labelfile from pg_backup_stop(false)").fetch_one(&mut connection).await?;
        connection.close().await?;
        // Up to the end of the backup, without which it is not consistent.
        std::fs::remove_dir_all(copy.join("pg_wal"))?;
        copy_folder(&data.join("pg_wal"), &copy.join("pg_wal"))?;
        std::fs::write(copy.join("backup_label"), label)?;
        let owner = std::fs::metadata(&data)?;
        chown(copy.join("backup_label"), Some(owner.uid()), Some(owner.gid()))?;
        for of_the_process in ["postmaster.pid", "postmaster.opts"] {
            let _ = std::fs::remove_file(copy.join(of_the_process));
        }
        Ok(copy)
    }

    /// Crashes it, puts the backup in the place of its data folder, and starts it: what came after the backup is lost.
    pub async fn restore(&mut self, backup: &Path) -> anyhow::Result<()> {
        self.crash().await?;
        std::fs::remove_dir_all(self.data())?;
        copy_folder(backup, &self.data())?;
        self.start_again().await
    }

    fn data(&self) -> PathBuf {
        self.folder().join("pg/data")
    }
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    let output = Command::new("cp").arg("-a").args([from, to]).output()?;
    let vanished =
        String::from_utf8_lossy(&output.stderr).lines().all(|line| line.ends_with("No such file or directory"));
    ensure!(output.status.success() || vanished, "cp -a: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
