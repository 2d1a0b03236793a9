//! A pool that is logged in as one role, with limits on everything that could wait.
//!
//! Owns: how the store is reached, which logins are refused (`check.rs`), and the breaker that answers at once while the store is
//! known to be away. Never does: queries of its own, beyond those about the login.

mod check;
#[cfg(test)]
mod tests;

use std::{
    str::FromStr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use authly_model::ids::TenantId;
use sqlx::{
    AssertSqlSafe, PgPool, Postgres, Transaction,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{Backoff, Result, Role, StoreError, error::unavailable, history::Watched};

/// How long a login may take: a busy machine needs its time for it. No request waits for so long.
pub(crate) const LOGIN: Duration = Duration::from_secs(5);
/// How long a request waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(1);
/// The pauses between two logins that fail while the store is away.
const HOLD_OFF: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(1));

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
    watched: Arc<Watched>,
}

#[derive(Debug)]
struct State {
    pool: PgPool,
    /// Whether this pool has ever logged in.
    logged_in: Arc<AtomicBool>,
    /// The store is known to be away: requests fail at once, and a task of its own logs in.
    away: bool,
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
        let (pool, logged_in) = open(&connect, options.max_connections);
        let state = Mutex::new(State { pool, logged_in, away: false });
        let shared =
            Shared { role, options: connect, max_connections: options.max_connections, state, watched: Arc::default() };
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
        // A login under way to a store that is away is not waited for.
        let _ = tokio::time::timeout(ACQUIRE, pool.close()).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pool, unless the store is known to be away: then it fails at once.
    pub(crate) fn pool(&self) -> Result<PgPool> {
        self.opened().map(|(pool, _)| pool)
    }

    /// The pool, and whether it has ever logged in: of the same one, for another may take its place meanwhile.
    fn opened(&self) -> Result<(PgPool, Arc<AtomicBool>)> {
        let state = self.state();
        match state.away {
            true => Err(unavailable("it did not answer a moment ago")),
            false => Ok((state.pool.clone(), Arc::clone(&state.logged_in))),
        }
    }

    /// Turns an error of a query into the store's, and remembers that the store is away.
    pub(crate) fn failed(&self, error: sqlx::Error) -> StoreError {
        // A pool that is busy, or was replaced meanwhile, is not a store that is away.
        let busy = matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed);
        let away = error.as_database_error().is_none() && !busy;
        let error = StoreError::from(error);
        if away && matches!(error, StoreError::Unavailable(_)) {
            self.is_away();
        }
        error
    }

    /// Requests fail at once until a login succeeds.
    pub(crate) fn is_away(&self) {
        let mut state = self.state();
        if !state.away {
            self.renew(&mut state);
            state.away = true;
            tokio::spawn(log_in(Arc::downgrade(&self.shared), state.pool.clone()));
        }
    }

    /// After the store was away no old connection is used again: a network that swallowed one would hold it for minutes.
    fn renew(&self, state: &mut State) {
        let (pool, logged_in) = open(&self.shared.options, self.shared.max_connections);
        let old = std::mem::replace(&mut state.pool, pool);
        state.logged_in = logged_in;
        tokio::spawn(async move { old.close().await });
    }

    /// A step that begins with a connection of the pool, for which a request does not wait long. A pool that has logged in is busy,
    /// or the machine is; whether the store is away is said by a query that it does not answer.
    async fn patiently<T>(&self, logged_in: &AtomicBool, step: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
        let patience = if matches!(self.role(), Role::Server | Role::Gateway) { ACQUIRE } else { LOGIN };
        match tokio::time::timeout(patience, step).await {
            Ok(done) => done.map_err(|error| self.failed(error)),
            Err(_) => {
                if !logged_in.load(Ordering::Relaxed) {
                    self.is_away();
                }
                Err(unavailable("no connection became free in time"))
            }
        }
    }

    /// A connection of the pool.
    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Postgres>> {
        let (pool, logged_in) = self.opened()?;
        self.patiently(&logged_in, pool.acquire()).await
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
        let (pool, logged_in) = self.opened()?;
        self.patiently(&logged_in, pool.begin_with(AssertSqlSafe(sql))).await
    }

    /// A transaction that sees no tenant's rows by itself.
    pub(crate) async fn begin(&self) -> Result<Tx> {
        let (pool, logged_in) = self.opened()?;
        self.patiently(&logged_in, pool.begin()).await
    }

    /// A consistent view of the whole store.
    pub(crate) async fn begin_snapshot(&self) -> Result<Tx> {
        let sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let (pool, logged_in) = self.opened()?;
        self.patiently(&logged_in, pool.begin_with(sql)).await
    }

    /// What this process knows of the store's history.
    pub(crate) fn watched(&self) -> &Arc<Watched> {
        &self.shared.watched
    }

    /// Options for a connection of one's own, outside the pool.
    pub(crate) fn connect_options(&self) -> &PgConnectOptions {
        &self.shared.options
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

/// A pool that logs in when it is first used, and what says whether it has.
fn open(options: &PgConnectOptions, max_connections: u32) -> (PgPool, Arc<AtomicBool>) {
    let logged_in = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&logged_in);
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(LOGIN)
        // No connection goes because of its age: a login is what a busy machine has no time for.
        .max_lifetime(None)
        .idle_timeout(None)
        // A ping before each use costs 37 %; a dead connection is noticed by its first query.
        .test_before_acquire(false)
        .after_connect(move |_, _| {
            told.store(true, Ordering::Relaxed);
            Box::pin(async { Ok(()) })
        })
        .connect_lazy_with(options.clone());
    (pool, logged_in)
}

/// Logs in until it succeeds: then the store is back, and the pool has its first connection.
async fn log_in(shared: Weak<Shared>, pool: PgPool) {
    let mut backoff = Backoff::new(HOLD_OFF.0, HOLD_OFF.1);
    loop {
        let outcome = pool.acquire().await;
        let Some(shared) = shared.upgrade() else { return };
        match outcome {
            Ok(_) => {
                shared.state.lock().unwrap_or_else(PoisonError::into_inner).away = false;
                return;
            }
            // The process is stopping.
            Err(sqlx::Error::PoolClosed) => return,
            Err(_) => {}
        }
        drop(shared);
        tokio::time::sleep(backoff.pause()).await;
    }
}
