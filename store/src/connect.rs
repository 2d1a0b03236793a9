//! A pool that is logged in as one role, with limits on everything that could wait.
//!
//! Owns: how the store is reached, which logins are refused, and the breaker that answers at once while the store is
//! known to be away. Never does: queries of its own, beyond those about the login.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use authly_model::ids::TenantId;
use sqlx::{
    AssertSqlSafe, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{Result, Role, StoreError, error::unavailable, migrate};

/// How long a request waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(1);
/// After a failure to reach the store, requests fail at once for so long; then one may try again.
const HOLD_OFF: Duration = Duration::from_millis(300);

/// Where and how to log in.
#[derive(Clone)]
pub struct ConnectOptions {
    /// `postgres://USER@HOST:PORT/DATABASE`; may carry the password.
    pub url: String,
    /// The password, if the URL has none.
    pub password: Option<String>,
    /// What the login must be a member of.
    pub role: Role,
    /// The most connections of the pool.
    pub max_connections: u32,
}

impl std::fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectOptions").field("role", &self.role).finish_non_exhaustive()
    }
}

/// A pool logged in as one role. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    role: Role,
    options: PgConnectOptions,
    max_connections: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pool: PgPool,
    /// Set while the store is known to be away.
    down_until: Option<Instant>,
}

/// A transaction of one role.
pub(crate) type Tx = Transaction<'static, Postgres>;

impl Store {
    /// Connects, and refuses a login that must not be used and a schema that is too old.
    ///
    /// # Errors
    /// [`StoreError::Login`] for a superuser, a role that bypasses row security, an owner, or a login that is not a
    /// member of the role; [`StoreError::Schema`] before `authly migrate`; `Unavailable`.
    pub async fn connect(options: ConnectOptions) -> Result<Self> {
        let role = options.role;
        let connect = parse(&options.url, options.password.as_deref())?
            .application_name(&format!("authly {role}"))
            .options(limits(role));
        let pool = open(&connect, options.max_connections);
        let state = Mutex::new(State { pool, down_until: None });
        let shared = Shared { role, options: connect, max_connections: options.max_connections, state };
        let store = Self { shared: Arc::new(shared) };
        store.check_login().await?;
        store.check_schema().await?;
        Ok(store)
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.shared.role
    }

    /// Closes the pool.
    pub async fn close(&self) {
        let pool = self.state().pool.clone();
        pool.close().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pool, unless the store is known to be away: then it fails at once.
    pub(crate) fn pool(&self) -> Result<PgPool> {
        let mut state = self.state();
        match state.down_until {
            Some(until) if Instant::now() < until => Err(unavailable("it did not answer a moment ago")),
            Some(_) => {
                self.renew(&mut state);
                Ok(state.pool.clone())
            }
            None => Ok(state.pool.clone()),
        }
    }

    /// Turns an error of a query into the store's, and remembers that the store is away.
    pub(crate) fn failed(&self, error: sqlx::Error) -> StoreError {
        // A pool that is busy is not a store that is away.
        let away = error.as_database_error().is_none() && !matches!(error, sqlx::Error::PoolTimedOut);
        let error = StoreError::from(error);
        if away && matches!(error, StoreError::Unavailable(_)) {
            self.is_away();
        }
        error
    }

    /// Requests fail at once for a moment.
    pub(crate) fn is_away(&self) {
        self.is_away_for(HOLD_OFF);
    }

    /// Requests fail at once for so long, or until [`Self::is_back`]; for who keeps looking.
    pub(crate) fn is_away_for(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.state();
        state.down_until = Some(state.down_until.map_or(until, |known| known.max(until)));
    }

    /// The store answered.
    pub(crate) fn is_back(&self) {
        let mut state = self.state();
        if state.down_until.is_some() {
            self.renew(&mut state);
        }
    }

    /// After the store was away no old connection is used again: a network that swallowed one would hold it for minutes.
    fn renew(&self, state: &mut State) {
        state.down_until = None;
        let old = std::mem::replace(&mut state.pool, open(&self.shared.options, self.shared.max_connections));
        tokio::spawn(async move { old.close().await });
    }

    /// Runs a step with a limit of its own, whatever the network does.
    pub(crate) async fn within<T>(&self, limit: Duration, step: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout(limit, step).await {
            Ok(result) => result,
            Err(_) => {
                self.is_away();
                Err(unavailable("it did not answer in time"))
            }
        }
    }

    /// A transaction of one tenant: `BEGIN` and the setting travel in one message.
    pub(crate) async fn begin_tenant(&self, tenant: TenantId) -> Result<Tx> {
        let sql = format!("BEGIN; SET LOCAL authly.tenant = '{}'", tenant.0);
        self.pool()?.begin_with(AssertSqlSafe(sql)).await.map_err(|e| self.failed(e))
    }

    /// A transaction that sees no tenant's rows by itself.
    pub(crate) async fn begin(&self) -> Result<Tx> {
        self.pool()?.begin().await.map_err(|e| self.failed(e))
    }

    /// A consistent view of the whole store.
    pub(crate) async fn begin_snapshot(&self) -> Result<Tx> {
        let sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        self.pool()?.begin_with(sql).await.map_err(|e| self.failed(e))
    }

    /// Options for a connection of one's own, outside the pool.
    pub(crate) fn connect_options(&self) -> &PgConnectOptions {
        &self.shared.options
    }

    async fn check_login(&self) -> Result<()> {
        let group = self.role().group();
        // A superuser is a member of every role, so its own flag is looked at first.
        let login = sqlx::query!(
            r#"-- roles: any
            SELECT r.rolname::text AS "name!", r.rolsuper AS "superuser!", r.rolbypassrls AS "bypass!",
                r.rolcreaterole OR r.rolreplication AS "powerful!",
                EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = 'authly'::regnamespace
                    AND pg_has_role(r.oid, c.relowner, 'MEMBER')) AS "owner!",
                coalesce(pg_has_role(r.oid, (SELECT g.oid FROM pg_roles g WHERE g.rolname = $1), 'MEMBER'), false) AS "member!"
            FROM pg_roles r WHERE r.rolname = session_user"#,
            group
        )
        .fetch_one(&self.pool()?)
        .await
        .map_err(|e| self.failed(e))?;
        let refusal = if login.superuser {
            Some("it is a superuser, which row security does not bind")
        } else if login.bypass {
            Some("it has BYPASSRLS, so row security does not bind it")
        } else if login.powerful {
            Some("it may create roles or replicate")
        } else if login.owner {
            Some("it owns the schema")
        } else if !login.member {
            Some("it is not a member of the role")
        } else {
            None
        };
        match refusal {
            None => Ok(()),
            Some(why) => Err(StoreError::Login(format!(
                "`{}` cannot be used for {group}: {why}; use the login that `authly migrate` made for this role",
                login.name
            ))),
        }
    }

    async fn check_schema(&self) -> Result<()> {
        let found = sqlx::query_scalar!(
            r#"-- roles: server, gateway, operator, jobs
            SELECT coalesce(max(version), 0) AS "version!" FROM _sqlx_migrations WHERE success"#
        )
        .fetch_one(&self.pool()?)
        .await
        .map_err(|e| self.failed(e))?;
        let needed = migrate::newest();
        if found < needed { Err(StoreError::Schema { found, needed }) } else { Ok(()) }
    }
}

/// Parses a URL; what is wrong with it is said without repeating it, since it may hold a password.
pub(crate) fn parse(url: &str, password: Option<&str>) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::Login("the database URL must look like postgres://USER@HOST:PORT/DATABASE".into()))?
        .options([("search_path", "authly")]);
    Ok(match password {
        Some(password) => options.password(password),
        None => options,
    })
}

/// Nothing waits for long: not a statement, not a lock, not an abandoned transaction.
fn limits(role: Role) -> [(&'static str, &'static str); 3] {
    let (statement, lock) = match role {
        Role::Server | Role::Gateway => ("1500ms", "1000ms"),
        Role::Operator => ("10s", "5s"),
        Role::Jobs => ("30s", "2s"),
    };
    [("statement_timeout", statement), ("lock_timeout", lock), ("idle_in_transaction_session_timeout", "5s")]
}

fn open(options: &PgConnectOptions, max_connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE)
        // A ping before each use costs 37 %; a dead connection is noticed by its first query.
        .test_before_acquire(false)
        .connect_lazy_with(options.clone())
}
