//! Answers questions, each from one snapshot of the database.

mod catalogs;
mod facts_in_use;
mod near_limits;
mod questions;
mod rule;

use std::sync::Arc;

use kana_core::Timestamp;
use kana_core::catalog::{Catalog, CatalogVersion};
use kana_core::id::UserId;
use kana_core::subjects::Subjects;
use kana_store::{EnvironmentId, NeededThreads, Store, Transaction};
use kana_telemetry::spans;

pub(crate) use self::catalogs::Catalogs;
pub(crate) use self::facts_in_use::{FactsInUse, Place, ROUNDS_MAX, Wanted};
pub use self::near_limits::NearLimit;
use self::questions::Questions;
pub(crate) use self::rule::Rule;
use crate::clock::Clock;
use crate::error::Error;
use crate::retry::retry;

/// The reader of all environments.
pub(crate) struct Reader {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    catalogs: Arc<Catalogs>,
    /// `None` if a question reads on the thread that asks.
    questions: Option<Questions>,
}

impl Reader {
    /// Starts as many tasks as the store has readers. They end when the `Reader` is dropped.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        threads: &NeededThreads,
    ) -> Self {
        let catalogs = Arc::new(Catalogs::default());
        let questions =
            store.readers().map(|readers| Questions::start(readers, &store, &catalogs, threads));
        Self { store, clock, catalogs, questions }
    }

    /// Returns the catalogs in memory, which the writer keeps current.
    pub(crate) fn catalogs(&self) -> &Arc<Catalogs> {
        &self.catalogs
    }

    /// Begins a read transaction, which reads one snapshot.
    pub(crate) async fn begin(&self) -> Result<Box<dyn Transaction>, Error> {
        Ok(self.store.read().await?)
    }

    /// Returns the environment's catalog and its version, in the transaction's snapshot.
    pub(crate) async fn catalog_in(
        &self,
        transaction: &mut dyn Transaction,
        environment: EnvironmentId,
    ) -> Result<(CatalogVersion, Arc<Catalog>), Error> {
        let version = transaction.catalog_version(environment).await?;
        Ok((version, self.catalogs.at(transaction, environment, version).await?))
    }

    /// Answers a question about one user from one snapshot.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        environment: EnvironmentId,
        user: &UserId,
        rule: impl Rule<T>,
    ) -> Result<T, Error> {
        let now = self.clock.now();
        let span = spans::begin("decide");
        if let Some(questions) = &self.questions {
            return questions.ask(environment, user.clone(), now, rule, span.context()).await;
        }
        match self.try_to_ask(environment, user, &rule, now).await {
            // The first attempt keeps no state for retries, since nearly every question succeeds at
            // once.
            Err(Error::Unavailable(_)) => {
                retry(|| self.try_to_ask(environment, user, &rule, now)).await
            }
            answered => answered,
        }
    }

    /// Returns the newest `limit` users and features that have come near a limit, without those that
    /// are no longer near one.
    pub(crate) async fn near_limits(
        &self,
        environment: EnvironmentId,
        limit: usize,
    ) -> Result<Vec<NearLimit>, Error> {
        let (store, now) = (self.store.as_ref(), self.clock.now());
        retry(|| near_limits::near_limits(store, &self.catalogs, environment, now, limit)).await
    }

    async fn try_to_ask<T>(
        &self,
        environment: EnvironmentId,
        user: &UserId,
        rule: &impl Rule<T>,
        now: Timestamp,
    ) -> Result<T, Error> {
        let mut transaction = self.store.read_facts().await?;
        let transaction = transaction.as_mut();
        let mut facts =
            FactsInUse::load(transaction, &self.catalogs, environment, vec![user.clone()]).await?;
        let about = Subjects::one(facts.place(user));
        let answered =
            facts.ask(transaction, &about, |facts| rule::apply(rule, facts, user, now)).await?;
        Ok(answered?)
    }
}
