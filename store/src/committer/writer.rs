//! The writer's task: takes what waits, commits it, takes the next.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use authly_model::clock::Clock;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    batch::{self, Report},
    chain::Chains,
    commit::Line,
    record::Record,
    spool::Spool,
};
use crate::{Backoff, Store};

/// The pauses between two probes of a store that is away.
const PROBE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));
/// How often counters of past minutes are looked for.
const TICK: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    line: Line,
    chains: Chains,
    clock: Arc<dyn Clock>,
    batch: usize,
    spool: Arc<Spool>,
    shared: Arc<Shared>,
}

type Queue = mpsc::Receiver<Record>;

impl Writer {
    pub(super) fn new(
        store: &Store,
        clock: Arc<dyn Clock>,
        batch: usize,
        spool: Arc<Spool>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            line: Line::new(store.connect_options().clone(), Arc::clone(store.watched())),
            chains: Chains::new(),
            clock,
            batch,
            spool,
            shared,
        }
    }

    pub(super) async fn run(
        mut self,
        mut queue: Queue,
        mut flushes: mpsc::Receiver<oneshot::Sender<()>>,
        cancel: CancellationToken,
    ) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            let mut records = Vec::new();
            tokio::select! {
                biased;
                () = cancel.cancelled() => return self.drain(&mut queue).await,
                // Flush at once: whatever came while the last commit was in flight is the next batch.
                taken = queue.recv_many(&mut records, self.batch) => {
                    if taken == 0 {
                        return self.drain(&mut queue).await;
                    }
                }
                Some(done) = flushes.recv() => {
                    self.drain(&mut queue).await;
                    let _ = done.send(());
                }
                _ = tick.tick() => { self.spool.tick(false); }
                () = self.spool.filled.notified() => {}
            }
            records.extend(self.spool.take(self.batch.saturating_sub(records.len())));
            if !records.is_empty() {
                self.commit(records, &mut queue).await;
            }
            if self.is_down() {
                self.wait_until_up(&mut queue, &cancel).await;
            }
        }
    }

    async fn commit(&mut self, records: Vec<Record>, queue: &mut Queue) {
        let mut report = batch::commit(&mut self.line, &mut self.chains, records, self.clock.now()).await;
        if report.away {
            self.shared.down.store(true, Ordering::Release);
            self.shared.unavailable.fetch_add(1, Ordering::Relaxed);
            refuse_queued(queue, &mut report);
        }
        self.shared.commits.fetch_add(report.commits, Ordering::Relaxed);
        self.shared.records.fetch_add(report.records, Ordering::Relaxed);
        self.shared.refused.fetch_add(report.refused, Ordering::Relaxed);
        self.spool.give_back(report.returned);
    }

    fn is_down(&self) -> bool {
        self.shared.down.load(Ordering::Acquire)
    }

    async fn wait_until_up(&mut self, queue: &mut Queue, cancel: &CancellationToken) {
        let mut backoff = Backoff::new(PROBE.0, PROBE.1);
        while !self.line.probe().await {
            self.spool.tick(false);
            let mut report = Report::default();
            refuse_queued(queue, &mut report);
            self.spool.give_back(report.returned);
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(backoff.pause()) => {}
            }
        }
        tracing::info!("the store is back: events are written");
        self.shared.down.store(false, Ordering::Release);
    }

    /// Commits what waits and what is spooled, as long as the store answers.
    async fn drain(&mut self, queue: &mut Queue) {
        self.spool.tick(true);
        loop {
            let mut records = Vec::new();
            while records.len() < self.batch {
                match queue.try_recv() {
                    Ok(record) => records.push(record),
                    Err(_) => break,
                }
            }
            records.extend(self.spool.take(self.batch.saturating_sub(records.len())));
            if records.is_empty() || self.is_down() {
                self.spool.give_back(records.into_iter().filter_map(away).collect());
                return;
            }
            self.commit(records, queue).await;
        }
    }
}

fn away(record: Record) -> Option<Record> {
    let mut report = Report::default();
    batch::give_up(std::iter::once(record), &mut report);
    report.returned.pop()
}

/// Whoever queued behind a failed commit is answered at once.
fn refuse_queued(queue: &mut Queue, report: &mut Report) {
    let queued = std::iter::from_fn(|| queue.try_recv().ok());
    batch::give_up(queued, report);
}
