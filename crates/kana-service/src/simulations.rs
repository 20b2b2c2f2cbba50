//! Which simulations run on this node: one of an environment at a time.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use kana_store::EnvironmentId;

/// The environments whose usage is being counted again on this node.
#[derive(Debug, Default)]
pub(crate) struct Simulations(Mutex<HashSet<EnvironmentId>>);

/// The turn of one simulation, which ends with it.
pub(crate) struct Turn<'a> {
    simulations: &'a Simulations,
    environment: EnvironmentId,
}

impl Simulations {
    /// Returns the turn of a simulation; `None` while there is another one of the environment.
    pub(crate) fn begin(&self, environment: EnvironmentId) -> Option<Turn<'_>> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = running.insert(environment);
        // One that is not its own must not come to be, since its end would be that of the other.
        is_new.then(|| Turn { simulations: self, environment })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let running = self.simulations.0.lock();
        running.unwrap_or_else(PoisonError::into_inner).remove(&self.environment);
    }
}
