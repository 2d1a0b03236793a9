//! Migrations, roles and logins: the one place that works as the owner (`authly migrate`, dev, tests).
//!
//! Owns: `migrations/`, `sql/roles.sql`, `sql/database.sql`. Every step is idempotent. One migration of a database runs at
//! a time (advisory lock); roles belong to the whole cluster, where no such lock reaches, so that step is retried
//! when another installation changes the same role at the same moment.

mod logins;
mod scram;

use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection, Executor, PgConnection, migrate::Migrator};

use crate::{Result, Role, StoreError, connect, error::sqlstate};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");
const ROLES: &str = include_str!("../sql/roles.sql");
const DATABASE: &str = include_str!("../sql/database.sql");
/// Any number that nothing else in the database locks.
const LOCK: i64 = 0x6175_7468_6c79;

/// A login to create or to change: named by [`login_name`], a member of the role.
#[derive(Clone)]
pub struct Login {
    /// Its role.
    pub role: Role,
    /// Its password.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("role", &self.role).finish_non_exhaustive()
    }
}

/// The name of a database's login for a role. Its ending keeps it apart from the group roles: the database may be called
/// `authly`.
#[must_use]
pub fn login_name(database: &str, role: Role) -> String {
    format!("{database}_{role}_login")
}

/// The newest migration of this binary.
pub(crate) fn newest() -> i64 {
    MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0)
}

/// Creates roles, schema and logins; idempotent, and safe to run concurrently, also for several databases of a cluster.
/// The URL's login must own the database and may create roles. A role without a [`Login`] is left as it is.
///
/// # Errors
/// `Unavailable`; `Login` if the owner may not do it or a password cannot be used; `Refused` if a migration fails.
pub async fn migrate(owner_url: &str, password: Option<&str>, logins: &[Login]) -> Result<()> {
    let mut owner = connect::parse(owner_url, password)?.application_name("authly migrate").connect().await?;
    sqlx::query!("-- roles: any\nSELECT pg_advisory_lock($1)", LOCK).execute(&mut owner).await.map_err(denied)?;
    let done = run(&mut owner, logins).await;
    // The lock goes with the session.
    let closed = owner.close().await;
    done?;
    Ok(closed?)
}

async fn run(owner: &mut PgConnection, logins: &[Login]) -> Result<()> {
    retried(owner, ROLES).await?;
    owner.execute(DATABASE).await.map_err(denied)?;
    owner.execute("SET ROLE authly_owner").await.map_err(denied)?;
    MIGRATIONS.run_direct(None, owner, false).await.map_err(|error| {
        tracing::error!(%error, "a migration failed");
        StoreError::Refused(format!("the migration failed: {error}"))
    })?;
    owner.execute("RESET ROLE").await?;
    for login in logins {
        let sql = logins::statement(owner, login).await?;
        retried(owner, &sql).await?;
    }
    Ok(())
}

/// Runs a script that changes the cluster's roles; another installation may be changing the same ones.
async fn retried(owner: &mut PgConnection, sql: &str) -> Result<()> {
    for attempt in 1_u64.. {
        let outcome = owner.execute(sqlx::AssertSqlSafe(sql.to_owned())).await;
        match outcome {
            Ok(_) => return Ok(()),
            // "tuple concurrently updated" is an internal error; the others are two that create the same.
            Err(e)
                if attempt < 20 && matches!(sqlstate(&e).as_deref(), Some("XX000" | "23505" | "42710" | "40P01")) =>
            {
                tokio::time::sleep(Duration::from_millis(10 * attempt)).await;
            }
            Err(e) => return Err(denied(e)),
        }
    }
    Ok(())
}

fn denied(error: sqlx::Error) -> StoreError {
    match sqlstate(&error).as_deref() {
        Some("42501") => StoreError::Login(format!(
            "it may not migrate ({error}): it must own the database and may create roles; \
             if another login made the roles authly_*, it needs them granted WITH ADMIN OPTION"
        )),
        _ => error.into(),
    }
}
