//! One attempt to commit a batch, and what its failure means.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgDatabaseError, PgSeverity},
};
use tokio::task::JoinHandle;

use super::{
    chain::{Chains, Sealed},
    effects::{self, Effects},
    record::{Outcome, Record},
    sql,
};
use crate::{
    Result, StoreError,
    connect::LOGIN,
    error::sqlstate,
    history::{Incarnation, Watched},
    scope::PlatformScope,
};

/// How long a probe waits for the login that it began, or that goes on.
const PROBE: Duration = Duration::from_millis(500);

/// A batch in the form in which it was last sent with its commit.
pub(super) struct Sent {
    pub(super) sealed: Sealed,
    pub(super) outcomes: Vec<Outcome>,
}

/// Why an attempt failed.
pub(super) enum Failure {
    /// The database refuses a value of the batch: nothing is written.
    Refused(StoreError),
    /// It is there already, from an attempt that seemed to fail.
    Recorded,
    /// Try again; nothing of this attempt is written.
    Retry(String),
    /// Try again; whether this attempt is written is unknown.
    Unclear(String),
    /// Nothing of this attempt is written, and what the chains go on from may be gone.
    AnotherHistory,
}

/// A connection, and the history that it leads to.
type Connected = (PgConnection, Incarnation);

/// The writer's connection: its own, so that no queue of requests delays a commit.
pub(super) struct Line {
    options: PgConnectOptions,
    watched: Arc<Watched>,
    connection: Option<Connected>,
    /// A login outlives the attempt that began it: a busy machine needs more time for one than an attempt has.
    login: Option<JoinHandle<sqlx::Result<Connected>>>,
    /// The history that the chains are written in, once they are.
    chains_of: Option<Incarnation>,
    scope: PlatformScope,
}

impl Line {
    pub(super) fn new(options: PgConnectOptions, watched: Arc<Watched>) -> Self {
        Self { options, watched, connection: None, login: None, chains_of: None, scope: PlatformScope(()) }
    }

    /// A connection to the history that is served from: it may be another by now than when this one logged in.
    async fn connect(&mut self) -> sqlx::Result<Connected> {
        if let Some(connected) = self.connection.take().filter(|(_, of)| self.watched.accepts(*of)) {
            return Ok(connected);
        }
        let login =
            self.login.get_or_insert_with(|| tokio::spawn(log_in(self.options.clone(), Arc::clone(&self.watched))));
        let outcome = login.await;
        self.login = None;
        let connected = outcome.unwrap_or_else(|_| Err(sqlx::Error::Protocol("the login was interrupted".into())))?;
        // It may have waited here since an attempt that was given up.
        match self.watched.accepts(connected.1) {
            true => Ok(connected),
            false => Err(sqlx::Error::Protocol("another history of the store is served from".into())),
        }
    }

    /// Whether the chains may go on in this history; the next ones will.
    fn may_go_on(&mut self, incarnation: Incarnation) -> bool {
        self.chains_of.replace(incarnation).is_none_or(|before| before == incarnation)
    }

    /// Whether the store answers.
    pub(super) async fn probe(&mut self) -> bool {
        let Ok(Ok(mut connected)) = tokio::time::timeout(PROBE, self.connect()).await else { return false };
        let alive = matches!(tokio::time::timeout(LOGIN, connected.0.ping()).await, Ok(Ok(())));
        if alive {
            self.connection = Some(connected);
        }
        alive
    }

    /// Commits a batch once. `sent` is set just before the commit is sent, so that it survives a cancelled attempt; a
    /// batch that debits nothing is sealed once and sent again as it is.
    pub(super) async fn attempt(
        &mut self,
        batch: &[Record],
        chains: &Chains,
        at: Timestamp,
        limit: Duration,
        sent: &mut Option<Sent>,
    ) -> Result<(), Failure> {
        let mut committing = false;
        let outcome = tokio::time::timeout(limit, self.try_commit(batch, chains, at, sent, &mut committing)).await;
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Error::Store(error))) => Err(Failure::Refused(error)),
            Ok(Err(Error::Sql(error))) => Err(failure(&error, committing)),
            Ok(Err(Error::AnotherHistory)) => Err(Failure::AnotherHistory),
            Err(_) if committing => Err(Failure::Unclear("the commit was not answered in time".into())),
            Err(_) => Err(Failure::Retry("it did not answer in time".into())),
        }
    }

    async fn try_commit(
        &mut self,
        batch: &[Record],
        chains: &Chains,
        at: Timestamp,
        sent: &mut Option<Sent>,
        committing: &mut bool,
    ) -> Result<(), Error> {
        // Whatever fails below drops the connection, and with it the transaction.
        let (mut connection, incarnation) = self.connect().await?;
        if !self.may_go_on(incarnation) {
            self.connection = Some((connection, incarnation));
            return Err(Error::AnotherHistory);
        }
        let effects = Effects::of(batch);
        let writers = chains.unregistered(batch);
        let by = (chains.writer, at);
        if effects.is_empty() && writers.0.is_empty() {
            let plain = seal_once(batch, chains, at, sent)?;
            *committing = true;
            sql::append_audit(&self.scope, &mut connection, by, &plain.sealed).await?;
        } else {
            let mut tx = connection.begin().await?;
            if !writers.0.is_empty() {
                sql::register_writers(&self.scope, &mut tx, by, &writers).await?;
            }
            let mut fresh = None;
            if !effects.uses.is_empty() {
                // Sealed anew: what is granted is part of the record. It counts as sent once its commit is.
                let settled = sql::debit_uses(&self.scope, &mut tx, &effects).await?;
                let outcomes = effects::outcomes(batch, settled);
                fresh = Some(Sent { sealed: chains.seal(batch, &outcomes, at)?, outcomes });
            }
            let sealed = match &fresh {
                Some(fresh) => fresh,
                None => seal_once(batch, chains, at, sent)?,
            };
            if !effects.tokens.is_empty() {
                sql::revoke_tokens(&self.scope, &mut tx, &effects).await?;
            }
            if !effects.urls.is_empty() {
                sql::revoke_urls(&self.scope, &mut tx, &effects).await?;
            }
            sql::append_audit(&self.scope, &mut tx, by, &sealed.sealed).await?;
            if !(effects.tokens.is_empty() && effects.urls.is_empty()) {
                sql::publish_revocations(&self.scope, &mut tx, &effects).await?;
            }
            if fresh.is_some() {
                *sent = fresh;
            }
            *committing = true;
            tx.commit().await?;
        }
        self.connection = Some((connection, incarnation));
        Ok(())
    }
}

/// Logs in, and makes sure that this is the store whose history is served from: a restored one may have forgotten uses.
async fn log_in(options: PgConnectOptions, watched: Arc<Watched>) -> sqlx::Result<Connected> {
    let login = async {
        let mut connection = PgConnection::connect_with(&options).await?;
        let checked = watched.check(&PlatformScope(()), &mut connection).await;
        let incarnation = checked.map_err(|error| sqlx::Error::Protocol(error.to_string()))?;
        Ok((connection, incarnation))
    };
    let limited = tokio::time::timeout(LOGIN, login);
    limited.await.unwrap_or_else(|_| Err(sqlx::Error::Protocol("no connection in time".into())))
}

enum Error {
    Store(StoreError),
    Sql(sqlx::Error),
    AnotherHistory,
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn seal_once<'s>(batch: &[Record], chains: &Chains, at: Timestamp, sent: &'s mut Option<Sent>) -> Result<&'s Sent> {
    Ok(match sent {
        Some(sent) => sent,
        None => {
            let outcomes = vec![Outcome::Recorded; batch.len()];
            sent.insert(Sent { sealed: chains.seal(batch, &outcomes, at)?, outcomes })
        }
    })
}

/// What an error of an attempt means. An ERROR is a definite answer, even to a commit; FATAL and silence are not.
fn failure(error: &sqlx::Error, committing: bool) -> Failure {
    let answer = error.as_database_error().and_then(|e| e.try_downcast_ref::<PgDatabaseError>());
    let definite = answer.is_some_and(|e| e.severity() == PgSeverity::Error);
    let why = error.to_string();
    if !definite {
        return if committing { Failure::Unclear(why) } else { Failure::Retry(why) };
    }
    let is_ours = answer.and_then(|e| e.table()).is_some_and(|table| table.starts_with("audit_"));
    match sqlstate(error).as_deref() {
        // The key of a record or of a writer: only this writer makes it.
        Some("23505") if is_ours => Failure::Recorded,
        Some(code) if ["21", "22", "23", "54", "P0"].iter().any(|class| code.starts_with(class)) => {
            tracing::warn!(%error, code, "the database refused a record");
            Failure::Refused(StoreError::Refused(format!("it breaks a rule of the schema (SQLSTATE {code})")))
        }
        _ => Failure::Retry(why),
    }
}
