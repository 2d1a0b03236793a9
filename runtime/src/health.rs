//! Readiness as a set of named conditions: ready means all of them, and not stopping. Liveness is apart: a process
//! that answers is alive, whatever it waits for.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicBool, Ordering},
};

type Check = Box<dyn Fn() -> bool + Send + Sync>;

/// The conditions of a process. Clones share them.
#[derive(Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Default)]
struct Inner {
    stopping: AtomicBool,
    checks: RwLock<Vec<(&'static str, Check)>>,
}

/// A condition that is set by hand; false until then.
#[derive(Debug, Clone)]
pub struct Condition(Arc<AtomicBool>);

impl Condition {
    /// Sets the condition.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }
}

impl Health {
    /// No condition yet, so ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition that is set by hand.
    #[must_use]
    pub fn condition(&self, name: &'static str) -> Condition {
        let flag = Arc::new(AtomicBool::new(false));
        let condition = Condition(Arc::clone(&flag));
        self.check(name, move || flag.load(Ordering::Acquire));
        condition
    }

    /// Adds a condition that is asked each time; it must not block.
    pub fn check(&self, name: &'static str, check: impl Fn() -> bool + Send + Sync + 'static) {
        self.0.checks.write().unwrap_or_else(PoisonError::into_inner).push((name, Box::new(check)));
    }

    /// Not ready any more: call it when the process is told to stop, before connections drain.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Whether the process is not stopping and every condition holds.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.conditions().iter().all(|(_, ready)| *ready)
    }

    /// Every condition now, `running` first.
    #[must_use]
    pub fn conditions(&self) -> Vec<(&'static str, bool)> {
        let checks = self.0.checks.read().unwrap_or_else(PoisonError::into_inner);
        let running = ("running", !self.0.stopping.load(Ordering::Acquire));
        std::iter::once(running).chain(checks.iter().map(|(name, check)| (*name, check()))).collect()
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.conditions()).finish()
    }
}
