//! What an API proxy is told to do, and what it saw.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::watch;

use crate::fault::Trap;

/// A write and the API server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Method and path.
    pub what: String,
    /// The API server's answer.
    pub status: StatusCode,
    /// Whether it was held back before it was sent.
    pub was_held: bool,
}

/// The switches of a proxy and its memory.
#[derive(Debug)]
pub struct Control {
    pub(super) trap: Trap,
    state: Mutex<State>,
    /// Goes up with each cut.
    cuts: watch::Sender<u64>,
    held: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    answered: Vec<Answered>,
    /// A part of method and path of the writes to hold back.
    hold: Option<String>,
    holding: usize,
    /// Watches to answer with 410.
    gone: usize,
    gone_seen: usize,
    is_cut: bool,
    forge_leases: bool,
    lease: Option<Value>,
}

impl Control {
    pub(super) fn new(trap: Trap) -> Self {
        Self { trap, state: Mutex::default(), cuts: watch::Sender::new(0), held: watch::Sender::new(false) }
    }

    /// Ends every watch and answers 503, until mended.
    pub fn cut(&self) {
        self.state().is_cut = true;
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Lets requests through again.
    pub fn mend(&self) {
        self.state().is_cut = false;
    }

    /// Answers the next watches with `410 Gone`, and ends those that run.
    pub fn expire_watches(&self, count: usize) {
        self.state().gone += count;
        self.cut();
        self.mend();
    }

    /// How many 410s the operator was told, by the proxy or the API server.
    pub fn gone_seen(&self) -> usize {
        self.state().gone_seen
    }

    /// Holds back writes whose method and path contain this, such as `PATCH /apis/authly.dev`, until released.
    pub fn hold(&self, what: &str) {
        self.state().hold = Some(what.to_owned());
        self.held.send_replace(true);
    }

    /// Sends what was held back, whether the operator still waits for it or not.
    pub fn release(&self) {
        self.state().hold = None;
        self.held.send_replace(false);
    }

    /// How many writes are held back now.
    pub fn holding(&self) -> usize {
        self.state().holding
    }

    /// The writes that were answered.
    pub fn answered(&self) -> Vec<Answered> {
        self.state().answered.clone()
    }

    /// From now on the Lease seems to be held and renewed, whatever becomes of it, until the operator gives it up or this
    /// is taken back.
    pub fn forge_leases(&self, forge: bool) {
        self.state().forge_leases = forge;
    }

    pub(super) fn is_cut(&self) -> bool {
        self.state().is_cut
    }

    /// Changes with the next cut.
    pub(super) fn cuts(&self) -> watch::Receiver<u64> {
        self.cuts.subscribe()
    }

    /// Takes one of the watches to refuse.
    pub(super) fn take_gone(&self) -> bool {
        let mut state = self.state();
        let take = state.gone > 0;
        if take {
            state.gone -= 1;
            state.gone_seen += 1;
        }
        take
    }

    pub(super) fn note_gone(&self) {
        self.state().gone_seen += 1;
    }

    /// Waits while writes like this are held back; true if it had to.
    pub(super) async fn wait_if_held(&self, what: &str) -> bool {
        let holds = |state: &State| state.hold.as_ref().is_some_and(|part| what.contains(part.as_str()));
        if !holds(&self.state()) {
            return false;
        }
        let mut held = self.held.subscribe();
        self.state().holding += 1;
        let _ = held.wait_for(|held| !held).await;
        self.state().holding -= 1;
        true
    }

    pub(super) fn note(&self, answered: Answered) {
        self.state().answered.push(answered);
    }

    /// Remembers the Lease as it was last answered.
    pub(super) fn note_lease(&self, lease: Value) {
        self.state().lease = Some(lease);
    }

    /// The forged answer to a request of the Lease, if it is to be forged.
    pub(super) fn forged(&self, method: &Method, body: &[u8]) -> Option<Value> {
        let mut state = self.state();
        if !state.forge_leases {
            return None;
        }
        if *method == Method::GET {
            return state.lease.clone();
        }
        let lease: Value = serde_json::from_slice(body).ok()?;
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        if holder.is_empty() {
            state.forge_leases = false;
            return None;
        }
        state.lease = Some(lease.clone());
        Some(lease)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
