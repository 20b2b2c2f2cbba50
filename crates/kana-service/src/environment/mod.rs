//! Everything that can be asked and changed of one environment, a file for each subject.

pub(crate) mod audit_trail;
mod authorise;
mod catalog;
pub(crate) mod client;
pub(crate) mod configuration;
mod feed;
pub(crate) mod first_steps;
mod grants;
mod holds;
mod overrides;
pub(crate) mod package;
pub(crate) mod simulation;
mod subscribers;
pub(crate) mod subscriptions;
pub(crate) mod threshold_events;
mod usage;
mod usage_statistics;
pub(crate) mod user_deletion;
pub(crate) mod user_events;
mod user_export;
pub(crate) mod user_import_upload;
pub(crate) mod user_imports;
pub(crate) mod user_overview;
pub(crate) mod user_search;
pub(crate) mod users;
pub(crate) mod view;

use std::ops::Deref;
use std::sync::Arc;

use kana_core::decide::Command;
use kana_store::{Actor, EnvironmentId, EnvironmentKind};

use self::view::EnvironmentView;
use crate::error::Error;
use crate::kana::Kana;
use crate::writer::{Answered, CatalogDone, CatalogRequest};

/// One environment and the actor that uses it. Only authorisation creates one. An [`Actor`] is someone
/// who may change something. What can be asked, its [view](EnvironmentView) answers.
#[derive(Clone)]
pub struct Environment {
    view: EnvironmentView,
    kind: EnvironmentKind,
    /// Who asks for changes.
    actor: Arc<Actor>,
}

/// The error for an answer that does not belong to its command, which the writer never gives.
const ANSWERED_AS_ANOTHER: Error = Error::Bug("a command was answered as another");

impl Environment {
    pub(crate) fn new(
        kana: Arc<Kana>,
        id: EnvironmentId,
        kind: EnvironmentKind,
        actor: Arc<Actor>,
    ) -> Self {
        Self { view: EnvironmentView::new(kana, id, kind), kind, actor }
    }

    /// Returns the number of the key that opened the environment; `None` for who is no key.
    #[must_use]
    pub fn key_id(&self) -> Option<i64> {
        match &*self.actor {
            Actor::Key { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// Submits a command. Returns once it is durable.
    async fn submit(&self, command: Command) -> Result<Answered, Error> {
        self.view.kana().writer.submit(self.view.id(), &self.actor, command).await
    }

    /// Submits up to [`BATCH_MAX`](crate::writer::BATCH_MAX) commands.
    async fn submit_together(&self, commands: Vec<Command>) -> Vec<Result<Answered, Error>> {
        self.view.kana().writer.submit_together(self.view.id(), &self.actor, commands).await
    }

    /// Submits a change of the catalog. Returns once it is durable.
    async fn submit_catalog(&self, request: CatalogRequest) -> Result<CatalogDone, Error> {
        self.view.kana().writer.submit_catalog(self.view.id(), &self.actor, request).await
    }
}

impl Deref for Environment {
    type Target = EnvironmentView;

    fn deref(&self) -> &EnvironmentView {
        &self.view
    }
}
