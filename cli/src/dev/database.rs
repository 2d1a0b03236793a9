//! The database of dev mode: the embedded PostgreSQL or the one of `--database-url`, migrated, with the login roles of
//! the pools. The one statement here makes the embedded server's database, which must be there before the store can migrate.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use authly_embedded_postgres::{Options, Postgres, VERSION};
use authly_store::{ConnectOptions, Login, Role, Store, StoreError, login_name};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use url::Url;

use super::{credentials::RolePasswords, folder::DataFolder};
use crate::terminal::progress;

/// The database on the embedded server.
const NAME: &str = "authly";
/// The file with the URL of the jobs' login.
const JOBS_URL: &str = "jobs-database-url";
/// The most connections of one role.
const CONNECTIONS: u32 = 8;
/// How often a database that does not answer at the start is tried again, and the pause between.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// A migrated database.
pub(crate) struct Database {
    embedded: Option<Postgres>,
    url: Url,
    passwords: RolePasswords,
}

impl Database {
    /// Starts or reaches PostgreSQL and migrates. `url` is that of an existing database, as a user that may create roles.
    pub(crate) async fn open(url: Option<&str>, data: &DataFolder, passwords: RolePasswords) -> anyhow::Result<Self> {
        let (embedded, url) = match url {
            Some(url) => (None, url.to_owned()),
            None => {
                let postgres = start(data).await?;
                let url = postgres.url(NAME);
                (Some(postgres), url)
            }
        };
        let opened = prepare(&url, &passwords).await;
        match opened {
            Ok(url) => Ok(Self { embedded, url, passwords }),
            Err(error) => {
                stop(embedded).await?;
                Err(error)
            }
        }
    }

    /// A pool that is logged in as one role.
    pub(crate) async fn connect(&self, role: Role) -> anyhow::Result<Store> {
        let (url, login) = self.login(role)?;
        let options = ConnectOptions { url: url.into(), password: None, role, max_connections: CONNECTIONS };
        let mut left = TRIES;
        loop {
            match Store::connect(options.clone()).await {
                // A machine that is busy starting everything else.
                Err(StoreError::Unavailable(_)) if left > 0 => left -= 1,
                connected => return connected.with_context(|| format!("logging in to the database as {login}")),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Keeps the URL of the jobs' login, password included, where `authly audit verify` can be given it.
    pub(crate) fn announce(&self, data: &DataFolder) -> anyhow::Result<()> {
        let (url, _) = self.login(Role::Jobs)?;
        Ok(data.write_private(JOBS_URL, url.as_str())?)
    }

    fn login(&self, role: Role) -> anyhow::Result<(Url, String)> {
        let mut url = self.url.clone();
        let login = login_name(database_name(&self.url)?, role);
        let password = self.password(role).expose_secret();
        let set = url.set_username(&login).and_then(|()| url.set_password(Some(password)));
        ensure!(set.is_ok(), "--database-url has no host: write postgres://USER:PASSWORD@HOST:PORT/DATABASE");
        Ok((url, login))
    }

    /// Stops the embedded server; everything committed is on disk.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        stop(self.embedded).await
    }

    fn password(&self, role: Role) -> &SecretString {
        match role {
            Role::Server => &self.passwords.server,
            Role::Gateway => &self.passwords.gateway,
            Role::Operator => &self.passwords.operator,
            Role::Jobs => &self.passwords.jobs,
        }
    }
}

async fn start(data: &DataFolder) -> anyhow::Result<Postgres> {
    let folder = data.join("postgres");
    let options =
        Options { installation: data.join(format!("postgresql-{VERSION}")), folder, port: None, settings: Vec::new() };
    let postgres = Postgres::start(options, &|line| progress(line)).await?;
    match create(&postgres.url("postgres")).await {
        Ok(()) => Ok(postgres),
        Err(error) => {
            stop(Some(postgres)).await?;
            Err(error)
        }
    }
}

/// Makes the database, if it is not there.
async fn create(url: &str) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    match sqlx::query("create database authly").execute(&mut connection).await {
        Ok(_) => {}
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P04") => {} // it exists
        Err(error) => return Err(error.into()),
    }
    Ok(connection.close().await?)
}

async fn prepare(text: &str, passwords: &RolePasswords) -> anyhow::Result<Url> {
    // What is wrong is not shown: the URL holds a password.
    let Ok(url) = Url::parse(text) else {
        bail!("--database-url is no URL: write postgres://USER:PASSWORD@HOST:PORT/DATABASE");
    };
    ensure!(
        matches!(url.scheme(), "postgres" | "postgresql"),
        "--database-url starts with postgres:// : write postgres://USER:PASSWORD@HOST:PORT/DATABASE"
    );
    database_name(&url)?;
    progress("migrating the database");
    let login = |role, password: &SecretString| Login { role, password: password.expose_secret().to_owned() };
    let logins = [
        login(Role::Server, &passwords.server),
        login(Role::Gateway, &passwords.gateway),
        login(Role::Operator, &passwords.operator),
        login(Role::Jobs, &passwords.jobs),
    ];
    authly_store::migrate(text, None, &logins).await.context("migrating the database")?;
    Ok(url)
}

fn database_name(url: &Url) -> anyhow::Result<&str> {
    let name = url.path().trim_start_matches('/');
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    ensure!(
        plain,
        "--database-url names no database of letters, digits, _ and -: write postgres://USER:PASSWORD@HOST:PORT/DATABASE"
    );
    Ok(name)
}

async fn stop(embedded: Option<Postgres>) -> anyhow::Result<()> {
    match embedded {
        Some(postgres) => {
            progress("stopping PostgreSQL");
            Ok(postgres.stop().await?)
        }
        None => Ok(()),
    }
}
