//! Lets clients at the server while it is there, and tells them when to let go of it.

use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What all clients go through.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// How often it was opened.
    opened: u64,
    inside: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Closed,
    Open {
        address: SocketAddr,
        calm: bool,
    },
    Over,
}

impl Gate {
    /// Lets clients in, to the server at this address. `calm`: nobody is going to end it.
    pub(super) fn open(&self, address: SocketAddr, calm: bool) {
        let mut state = self.lock();
        state.phase = Phase::Open { address, calm };
        state.opened += 1;
        self.changed.notify_all();
    }

    /// Asks clients to close their connections.
    pub(super) fn close(&self) {
        self.set(Phase::Closed);
    }

    /// Asks clients to end.
    pub(super) fn end(&self) {
        self.set(Phase::Over);
    }

    fn set(&self, phase: Phase) {
        self.lock().phase = phase;
        self.changed.notify_all();
    }

    /// Waits until it is open. `None` if it never will be again.
    pub(super) fn enter(&self) -> Option<Pass<'_>> {
        let mut state = self.lock();
        loop {
            match state.phase {
                Phase::Over => return None,
                Phase::Open { address, calm } => {
                    state.inside += 1;
                    return Some(Pass { gate: self, opened: state.opened, address, calm });
                }
                Phase::Closed => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Waits until all clients have left. Returns false if some have not after this time.
    pub(super) fn wait_until_empty(&self, within: Duration) -> bool {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, within, |state| state.inside > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.inside == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's stay with one server. Its connections must not outlive it.
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    opened: u64,
    /// Where the server is.
    pub(super) address: SocketAddr,
    /// Whether nobody is going to end the server.
    pub(super) calm: bool,
}

impl Pass<'_> {
    /// Waits for so long, and returns whether the client may go on.
    pub(super) fn nap(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut state = self.gate.lock();
        loop {
            if !self.is_valid(&state) {
                return false;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            let waited = self.gate.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_valid(&self, state: &State) -> bool {
        matches!(state.phase, Phase::Open { .. }) && state.opened == self.opened
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.gate.lock().inside -= 1;
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_ends_when_the_gate_closes() {
        let gate = Gate::default();
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        gate.open(address, true);
        let pass = gate.enter().unwrap();
        assert!(pass.nap(Duration::ZERO));
        assert!(!gate.wait_until_empty(Duration::ZERO));
        gate.close();
        gate.open(address, true);
        assert!(!pass.nap(Duration::from_secs(600)), "a pass to an earlier server");
        drop(pass);
        assert!(gate.wait_until_empty(Duration::ZERO));
        gate.end();
        assert!(gate.enter().is_none());
    }
}
