//! Databases for suites: one PostgreSQL per run, a database of its own per suite.
//!
//! `AUTHLY_TEST_POSTGRES` names a running server (a superuser's URL); without it this process starts one.

use authly_embedded_postgres::{Options, Postgres, VERSION};
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The environment variable with a superuser's URL.
pub const VARIABLE: &str = "AUTHLY_TEST_POSTGRES";

static SERVER: OnceCell<String> = OnceCell::const_new();

/// The superuser's URL of the server of this run.
pub async fn server_url() -> anyhow::Result<&'static str> {
    let start = || async {
        if let Ok(url) = std::env::var(VARIABLE) {
            return anyhow::Ok(url);
        }
        let root = std::path::PathBuf::from("/var/tmp/authly-tests");
        let options = Options {
            installation: root.join(format!("postgresql-{VERSION}")),
            folder: root.join(format!("cluster-{}", std::process::id())),
            port: None,
            settings: vec!["max_connections=300".to_owned()],
        };
        let postgres = Postgres::start(options, &|line| println!("{line}")).await?;
        let url = postgres.url("postgres");
        // A static is never dropped.
        postgres.leave_to_watcher()?;
        Ok(url)
    };
    Ok(SERVER.get_or_try_init(start).await?.as_str())
}

/// A new, empty database: the superuser's URL of it.
pub async fn create(purpose: &str) -> anyhow::Result<String> {
    let url = server_url().await?;
    let name = format!("{purpose}_{}", &Uuid::new_v4().simple().to_string()[..12]);
    let mut connection = PgConnection::connect(url).await?;
    connection.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await?;
    let base = url.rsplit_once('/').map_or(url, |(base, _)| base);
    Ok(format!("{base}/{name}"))
}

/// A connection as superuser, for looking at what the product wrote.
pub async fn look(url: &str) -> anyhow::Result<PgConnection> {
    Ok(PgConnection::connect(url).await?)
}
