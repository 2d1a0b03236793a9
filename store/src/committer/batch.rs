//! A batch until every record of it is answered: retried while time is left, bisected when a value is refused.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{
    chain::Chains,
    commit::{Failure, Line},
    record::{Outcome, Record},
};
use crate::{StoreError, error::unavailable, time::to_micros};

/// All attempts together; with the wait in the queue it stays below what a caller waits.
const BUDGET: Duration = Duration::from_millis(1800);
/// One attempt: a store that hangs is tried once more on a new connection.
const ATTEMPT: Duration = Duration::from_millis(900);
const PAUSE: Duration = Duration::from_millis(20);

/// What became of a batch.
#[derive(Default)]
pub(super) struct Report {
    pub(super) commits: u64,
    pub(super) records: u64,
    pub(super) refused: u64,
    /// The store is away.
    pub(super) away: bool,
    /// Spooled records that were not written.
    pub(super) returned: Vec<Record>,
}

enum Part {
    Committed(Vec<Outcome>),
    Refused(StoreError),
    Away(String),
}

/// Commits a batch and answers every record of it.
pub(super) async fn commit(line: &mut Line, chains: &mut Chains, batch: Vec<Record>, now: Timestamp) -> Report {
    let deadline = Instant::now() + BUDGET;
    let mut report = Report::default();
    let mut parts = vec![batch];
    while let Some(part) = parts.pop() {
        let mut part = openable(chains, part, &mut report);
        if part.is_empty() {
            continue;
        }
        match commit_part(line, chains, &part, now, deadline).await {
            Part::Committed(outcomes) => {
                report.commits += 1;
                report.records += part.len() as u64;
                for (record, outcome) in part.into_iter().zip(outcomes) {
                    record.answer(Ok(outcome));
                }
            }
            // One tenant's bad value never fails another's.
            Part::Refused(_) if part.len() > 1 => {
                let second = part.split_off(part.len() / 2);
                parts.push(second);
                parts.push(part);
            }
            Part::Refused(error) => {
                report.refused += 1;
                refuse(part, &error);
            }
            Part::Away(why) => {
                tracing::warn!(why, "the store is away: events are refused");
                report.away = true;
                give_up(part.into_iter().chain(parts.drain(..).flatten()), &mut report);
            }
        }
    }
    report
}

/// Answers records that will not be written now.
pub(super) fn give_up(records: impl Iterator<Item = Record>, report: &mut Report) {
    let away = || Err(unavailable("the record could not be written"));
    report.returned.extend(records.filter_map(|record| record.answer(away())));
}

fn refuse(part: Vec<Record>, error: &StoreError) {
    for record in part {
        // A spooled record that is refused is gone: writing it again would fail again.
        let _ = record.answer(Err(StoreError::Refused(error.to_string())));
    }
}

/// Leaves out records whose tenant's audit key cannot be used.
fn openable(chains: &mut Chains, part: Vec<Record>, report: &mut Report) -> Vec<Record> {
    let mut good = Vec::with_capacity(part.len());
    for record in part {
        match chains.open(record.tenant, &record.audit_public) {
            Ok(()) => good.push(record),
            Err(error) => {
                report.refused += 1;
                refuse(vec![record], &error);
            }
        }
    }
    good
}

async fn commit_part(line: &mut Line, chains: &mut Chains, part: &[Record], now: Timestamp, deadline: Instant) -> Part {
    let at = to_micros(now);
    let mut sent = None;
    let mut unclear = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return end(chains, unclear, Part::Away("no time left".into()));
        }
        let why = match line.attempt(part, chains, at, left.min(ATTEMPT), &mut sent).await {
            Ok(()) => break,
            // An earlier attempt was written after all: as it was last sent.
            Err(Failure::Recorded) if unclear => break,
            Err(Failure::Recorded) => {
                // Without an unclear attempt this cannot be ours: leave the chain.
                return end(chains, true, Part::Away("a record was there already".into()));
            }
            // The records that the chains go on from may be gone, and so may the writers: others begin there.
            Err(Failure::AnotherHistory) => {
                return end(chains, true, Part::Away("another history of it has begun".into()));
            }
            Err(Failure::Refused(error)) => return end(chains, unclear, Part::Refused(error)),
            Err(Failure::Retry(why)) => why,
            Err(Failure::Unclear(why)) => {
                unclear = true;
                why
            }
        };
        if deadline.saturating_duration_since(Instant::now()) <= PAUSE {
            return end(chains, unclear, Part::Away(why));
        }
        tokio::time::sleep(PAUSE).await;
    }
    match sent {
        Some(sent) => {
            chains.committed(sent.sealed);
            Part::Committed(sent.outcomes)
        }
        None => end(chains, true, Part::Away("nothing was sent".into())),
    }
}

/// After an unclear attempt its numbers may or may not be taken: this writer ends, another begins.
fn end(chains: &mut Chains, unclear: bool, part: Part) -> Part {
    if unclear {
        *chains = Chains::new();
    }
    part
}
