//! A process that dies by `kill -9` at a chosen one of its writes, right before it is sent or right after it took effect.
//!
//! Owns: the count of the writes that the proxies of one process see, in the order in which they arrive, and the moment
//! of its death. What goes through is [`crate::api_proxy`]'s and [`crate::postgres_proxy`]'s. The product itself has no
//! fault points: what is proven is the binary that ships.

use std::{
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// On which side of a write the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The write is not sent.
    Before,
    /// The write took effect, and the process never hears of it.
    After,
}

/// The process is dead: nothing of it goes through any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dead;

/// The writes of a process, shared by its proxies. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Trap(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    writes: Vec<String>,
    pid: Option<u32>,
    armed: Option<(usize, Side)>,
    dead: bool,
}

impl Trap {
    /// Begins to count anew for this process, which dies at the `number`th write from now on, the first being 1.
    pub fn arm(&self, pid: u32, fault: Option<(usize, Side)>) {
        *self.state() = State { writes: Vec::new(), pid: Some(pid), armed: fault, dead: false };
    }

    /// What was written so far, in order.
    pub fn writes(&self) -> Vec<String> {
        self.state().writes.clone()
    }

    /// Whether the process was killed.
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// The number of a write that is about to be sent; `Dead` if it must not be.
    ///
    /// # Errors
    /// [`Dead`].
    pub async fn before(&self, what: String) -> Result<usize, Dead> {
        // A process may write before its pid is known here.
        while self.state().pid.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut state = self.state();
        if state.dead {
            return Err(Dead);
        }
        state.writes.push(what);
        let number = state.writes.len();
        state.die_at((number, Side::Before)).map(|()| number)
    }

    /// Notes that a write took effect; `Dead` if the process must not hear of it.
    ///
    /// # Errors
    /// [`Dead`].
    pub fn after(&self, number: usize) -> Result<(), Dead> {
        self.state().die_at((number, Side::After))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn die_at(&mut self, point: (usize, Side)) -> Result<(), Dead> {
        if self.dead {
            return Err(Dead);
        }
        if self.armed != Some(point) {
            return Ok(());
        }
        if let Some(pid) = self.pid {
            let status = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            assert!(status.is_ok_and(|status| status.success()), "kill -KILL {pid}");
        }
        self.dead = true;
        Err(Dead)
    }
}
