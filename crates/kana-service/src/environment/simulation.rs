//! What recorded usage would have come to under other packages (contract: `beyond.md`, "Replay").

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kana_core::Timestamp;
use kana_core::configuration::Configuration;
use kana_core::id::UserKey;
use kana_core::refusal::InvalidValue;
use kana_core::simulation::{self, Simulated, Simulation};
use kana_store::usage_by_user::{LoggedUsage, UsageWindow};

use super::view::EnvironmentView;
use crate::error::Error;
use crate::retry::retry;

/// How long a simulation may take.
const LIMIT: Duration = Duration::from_secs(600);

/// How many times as long as it works a simulation rests, so that requests have most of the processor.
const REST: u32 = 4;

/// The longest work that it rests for: what took longer was waiting for the database.
const WORK_MAX: Duration = Duration::from_millis(5);

/// Why there is no result of a simulation.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// One at a time for each environment, on all nodes together.
    #[error("Another simulation of this environment is running: try again once it has ended")]
    Running,
    /// It took too long.
    #[error(
        "The simulation took longer than 10 minutes and was ended: choose a shorter or later stretch of time"
    )]
    TooLong,
    /// It failed, as any other call can.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<InvalidValue> for SimulationError {
    fn from(invalid: InvalidValue) -> Self {
        Self::Failed(invalid.into())
    }
}

impl EnvironmentView {
    /// Counts usage that occurred in a stretch of time again, as if `configuration` had been in force, and stores
    /// nothing. Fails if the stretch is empty or longer than [`DAYS_MAX`](simulation::DAYS_MAX).
    pub async fn simulate(
        &self,
        configuration: &Configuration,
        occurred: Range<Timestamp>,
    ) -> Result<Simulated, SimulationError> {
        simulation::check_window(&occurred)?;
        let turn = self.kana().simulations.begin(self.id());
        let _turn = turn.ok_or(SimulationError::Running)?;
        let run = self.run_simulation(configuration, occurred);
        tokio::time::timeout(LIMIT, run).await.unwrap_or(Err(SimulationError::TooLong))
    }

    async fn run_simulation(
        &self,
        configuration: &Configuration,
        occurred: Range<Timestamp>,
    ) -> Result<Simulated, SimulationError> {
        let window = UsageWindow { occurred, limit: LIMIT };
        let reading = self.kana().store.usage_by_user(self.id(), window).await;
        let mut batches = reading.map_err(Error::from)?.ok_or(SimulationError::Running)?;
        let mut simulation = Simulation::new(configuration);
        let mut current = None;
        while let Some(batch) = batches.next().await.map_err(Error::from)? {
            if self.kana().is_stopping.load(Ordering::Relaxed) {
                return Err(Error::ShuttingDown.into());
            }
            let since = Instant::now();
            self.count_again(&mut simulation, &mut current, batch).await?;
            tokio::time::sleep(since.elapsed().min(WORK_MAX) * REST).await;
        }
        Ok(simulation.finish())
    }

    /// Counts entries again. `current` is the user whose entries came last.
    async fn count_again(
        &self,
        simulation: &mut Simulation,
        current: &mut Option<UserKey>,
        batch: Vec<(UserKey, LoggedUsage)>,
    ) -> Result<(), Error> {
        let mut users: Vec<UserKey> = batch.iter().map(|(user, _)| *user).collect();
        users.dedup();
        users.retain(|user| Some(*user) != *current);
        let subscriptions = retry(|| async {
            let mut transaction = self.begin().await?;
            Ok(transaction.subscriptions_of(self.id(), &users).await?)
        });
        let mut next = users.iter().zip(subscriptions.await?);
        for (user, entry) in batch {
            if *current != Some(user) {
                let (of, subscriptions) = next.next().ok_or(Error::Bug("a user without facts"))?;
                simulation.begin_user(subscriptions);
                *current = Some(*of);
            }
            match entry {
                LoggedUsage::TakenBack(key, at) => simulation.leave_out(key, at),
                LoggedUsage::Event(event) => simulation.count(&event),
            }
        }
        Ok(())
    }
}
