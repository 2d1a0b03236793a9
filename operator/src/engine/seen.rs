//! What a Secret that was read says: which values are in it, since when the one that serves does, and what follows from its age.

use authly_model::client::SecretHash;
use authly_secrets::ClientSecret;
use jiff::{SignedDuration, Timestamp};

use super::{
    credentials::{Plan, Since, Visit, Visited},
    slots::{Known, Slots},
};

/// A Secret as it was read, and what follows from its age.
pub(super) struct Seen {
    pub(super) slots: Slots,
    since: Option<Since>,
    /// The request that the newest value answered.
    answered: Option<String>,
    now: Timestamp,
}

impl Seen {
    pub(super) fn new(plan: &Plan, slots: Slots, answered: Option<String>, since: &mut Option<Since>) -> Self {
        let now = plan.clock.now();
        *since = slots.current.as_ref().map(|current| age(current, since.take(), now));
        Self { slots, since: since.clone(), answered, now }
    }

    /// The time after `client_secret` became what it is.
    fn after(&self, duration: SignedDuration) -> Option<Timestamp> {
        self.since.as_ref()?.at.checked_add(duration).ok()
    }

    fn is_requested(&self, plan: &Plan) -> bool {
        plan.rotation.requested.is_some() && plan.rotation.requested != self.answered
    }

    pub(super) fn known<'a>(&self, plan: &'a Plan) -> Known<'a> {
        let rotation = &plan.rotation;
        let scheduled = rotation.every.and_then(|every| self.after(every)).is_some_and(|due| due <= self.now);
        Known {
            stored: &plan.stored,
            programmed: plan.programmed,
            overlap_over: self.after(rotation.overlap).is_some_and(|end| end <= self.now),
            rotate: scheduled || self.is_requested(plan),
        }
    }

    /// What to store instead, if a pepper changed: the same values, digested under the newest. Every server knows it already.
    /// A hash whose value is nowhere any more stays as it is.
    pub(super) fn digested_anew(&self, values: impl Iterator<Item = ClientSecret>, plan: &Plan) -> Option<Visit> {
        let values: Vec<ClientSecret> = values.collect();
        let anew = |hash: &SecretHash| {
            let found = values.iter().find_map(|value| plan.keys.digest_anew(value, hash).ok().flatten());
            found.unwrap_or_else(|| hash.clone())
        };
        let hashes: Vec<SecretHash> = plan.stored.iter().map(anew).collect();
        let ready = self.slots.current.as_ref().is_some_and(|current| hashes.contains(current));
        (hashes != plan.stored).then_some(Visit::Commit { hashes, ready })
    }

    /// What the engine is told; `visit` is made from whether `client_secret` works.
    pub(super) fn visited(self, plan: &Plan, visit: impl FnOnce(bool) -> Visit) -> Visited {
        let ready = self.slots.current.as_ref().is_some_and(|current| plan.stored.contains(current));
        let retires = self.slots.is_retiring(&plan.stored).then(|| self.after(plan.rotation.overlap)).flatten();
        let rotates = plan.rotation.every.filter(|_| self.slots.next.is_none()).and_then(|every| self.after(every));
        let due = [retires, rotates].into_iter().flatten().filter(|at| *at > self.now).min();
        let rotating = self.rotating(plan, retires);
        let handled = self.answered.filter(|_| self.slots.next.is_none());
        Visited { visit: visit(ready), since: self.since, handled, rotating, due, swept: false, left: None }
    }

    fn rotating(&self, plan: &Plan, retires: Option<Timestamp>) -> Option<String> {
        self.slots.current.as_ref()?;
        if let Some(next) = &self.slots.next {
            let served = plan.stored.contains(next) && !plan.under_way;
            let on_its_way = "the next value is on its way to the servers; client_secret serves until it works";
            let text = if served { "the next value works, and waits to become client_secret" } else { on_its_way };
            return Some(text.to_owned());
        }
        let Some(at) = retires else {
            return plan.under_way.then(|| "the servers are learning which values work".to_owned());
        };
        let until = format!("the value before works until {at:.0}");
        if self.is_requested(plan) {
            return Some(format!("{until}; the rotation that was asked for begins then"));
        }
        Some(until)
    }
}

/// Since when the value of this hash serves: as before, or from now on, rounded up to what status shows.
fn age(current: &SecretHash, before: Option<Since>, now: Timestamp) -> Since {
    let fingerprint: String = current.digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    before.filter(|since| since.fingerprint == fingerprint).unwrap_or_else(|| {
        let at = Timestamp::from_second(now.as_second().saturating_add(1)).unwrap_or(now);
        Since { fingerprint, at }
    })
}
