//! A migrated database for the query macros: prints its URL, as role `authly_prepare`, and keeps it until standard input
//! ends. For `store/prepare`. It cannot use the library, whose queries are not known yet (feature `bootstrap`).

use std::{io::Read, path::Path};

use authly_embedded_postgres::{Options, Postgres, VERSION};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, migrate::Migrator};

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let (cluster, own) = match std::env::var("AUTHLY_TEST_POSTGRES") {
        Ok(url) => (url, None),
        Err(_) => {
            let (own, folder) = start().await?;
            (own.url("postgres"), Some((own, folder)))
        }
    };
    let base = cluster.rsplit_once('/').ok_or("AUTHLY_TEST_POSTGRES must end with a database")?.0;
    let name = format!("authly_prepare_{}", std::process::id());
    let mut superuser = PgConnection::connect(&cluster).await?;
    superuser.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
    let migrated = migrate(&format!("{base}/{name}")).await;
    if migrated.is_ok() {
        println!("{base}/{name}?options=-c%20search_path%3Dauthly%20-c%20role%3Dauthly_prepare");
        std::io::stdin().read_to_end(&mut Vec::new())?;
    }
    superuser.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await?;
    superuser.close().await?;
    if let Some((own, folder)) = own {
        own.stop().await?;
        std::fs::remove_dir_all(folder)?;
    }
    migrated
}

async fn start() -> Result<(Postgres, std::path::PathBuf), Error> {
    let root = Path::new("/var/tmp/authly-store-tests");
    let folder = root.join(format!("prepare-{}", std::process::id()));
    let installation = root.join(format!("postgresql-{VERSION}"));
    let options = Options { installation, folder: folder.clone(), port: None, settings: Vec::new() };
    Ok((Postgres::start(options, &|line| eprintln!("{line}")).await?, folder))
}

/// As `authly migrate` does it, without logins.
async fn migrate(url: &str) -> Result<(), Error> {
    let store = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut owner = PgConnection::connect(url).await?;
    for script in ["sql/roles.sql", "sql/database.sql"] {
        owner.execute(AssertSqlSafe(std::fs::read_to_string(store.join(script))?)).await?;
    }
    owner.execute("SET ROLE authly_owner; SET search_path = authly").await?;
    Migrator::new(store.join("migrations")).await?.run_direct(None, &mut owner, false).await?;
    Ok(owner.close().await?)
}
