//! The history of the store: heartbeats that replicas write and look for, and the epoch that is raised when one is gone
//! (`model/src/follow.rs` has the rule, docs/decisions/0016-restores.md the reasons).
//!
//! Owns: the queries, and what the process knows of the history, shared by the poller, which judges, and the committer, which
//! writes nothing to a store that was not judged. Never does: the judgement itself.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use authly_model::follow::{Beat, History, Mark, Origin};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, Store, StoreError, error::unavailable, scope::PlatformScope, time::PgTime};

/// Which history of the store a connection leads to; `None` where nobody judges it.
pub(crate) type Incarnation = Option<Uuid>;

/// What a process knows of the history.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    /// Nobody judges it here: a tool, or a test of one part.
    #[default]
    Unwatched,
    /// Everything up to the mark was judged and is served; nothing yet without one.
    Judged(Option<Mark>),
}

impl Watched {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on only a history that was judged is written to; `None` while it is not.
    pub(crate) fn judged(&self, mark: Option<Mark>) {
        *self.state() = State::Judged(mark);
    }

    /// Whether a connection that was checked may still be written to: not once its history is in doubt, or another is served from.
    pub(crate) fn accepts(&self, incarnation: Incarnation) -> bool {
        match &*self.state() {
            State::Unwatched => incarnation.is_none(),
            State::Judged(mark) => mark.is_some_and(|mark| Some(mark.incarnation) == incarnation),
        }
    }

    /// The history that a connection, fresh from its login, leads to, if it is the one that is served from.
    pub(crate) async fn check(&self, scope: &PlatformScope, connection: &mut PgConnection) -> Result<Incarnation> {
        let mark = match *self.state() {
            State::Unwatched => return Ok(None),
            State::Judged(mark) => mark,
        };
        let mark = mark.ok_or_else(|| unavailable("its history is not judged yet"))?;
        match mark.continues_in(&look(scope, connection, Some(&mark.beat)).await?) {
            true => Ok(Some(mark.incarnation)),
            false => Err(unavailable("it may have been restored: its history is being judged")),
        }
    }
}

/// What a poll sees of the history, and whether the beat that is remembered is in it.
pub(crate) async fn look(_: &PlatformScope, conn: &mut PgConnection, remembered: Option<&Beat>) -> Result<History> {
    let row = sqlx::query!(
        r#"-- roles: server, gateway
        SELECT incarnation AS "incarnation!", raised_at AS "raised_at!: PgTime", beat AS "beat!", at AS "at!: PgTime",
            silence_ms AS "silence_ms!", written_system AS "written_system!", written_timeline AS "written_timeline!",
            system_identifier AS "system!", timeline AS "timeline!", oldest AS "oldest!", kept AS "kept!"
        FROM look_at_history($1, $2)"#,
        remembered.map(|beat| beat.number),
        remembered.map(|beat| PgTime(beat.at)) as _
    )
    .fetch_optional(conn)
    .await?;
    let row = row.ok_or_else(|| StoreError::Damaged("the store has no history: run `authly migrate`".into()))?;
    Ok(History {
        incarnation: row.incarnation,
        raised_at: row.raised_at.0,
        last: Beat { number: row.beat, at: row.at.0 },
        silence: Duration::from_millis(u64::try_from(row.silence_ms).unwrap_or(0)),
        written_on: Origin { system_identifier: row.written_system, timeline: row.written_timeline },
        answers: Origin { system_identifier: row.system, timeline: row.timeline },
        oldest: row.oldest,
        kept: row.kept,
    })
}

/// Writes the next beat of this incarnation: at once, or at most one a second of all replicas together. The newest, which is newer
/// than all that this replica has read.
pub(crate) async fn beat(_: &PlatformScope, conn: &mut PgConnection, incarnation: Uuid, at_once: bool) -> Result<Beat> {
    let row = sqlx::query!(
        r#"-- roles: server, gateway
        SELECT beat AS "beat!", at AS "at!: PgTime" FROM beat_history($1, $2)"#,
        incarnation,
        at_once
    );
    let row = row.fetch_optional(conn).await?.ok_or_else(|| unavailable("another history has begun"))?;
    Ok(Beat { number: row.beat, at: row.at.0 })
}

/// Raises the epoch of every tenant, unless it was raised since this incarnation. `fence` leaders too, where what they remember of the
/// store may be gone.
pub(crate) async fn raise(
    _: &PlatformScope,
    conn: &mut PgConnection,
    incarnation: Option<Uuid>,
    fence: bool,
) -> Result<()> {
    sqlx::query!("-- roles: server, gateway, jobs\nSELECT raise_store_epoch($1, $2) AS raised", incarnation, fence)
        .fetch_one(conn)
        .await?;
    Ok(())
}

impl Store {
    /// Raises the store epoch: counted URLs issued so far are refused, and every replica and operator reads everything anew. A step
    /// of the restore guide. Role jobs.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn raise_store_epoch(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        raise(&PlatformScope(()), &mut tx, None, true).await?;
        tx.commit().await.map_err(|e| self.failed(e))
    }
}
