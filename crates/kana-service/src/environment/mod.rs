//! Everything that can be asked and changed of one environment, a file for each subject.

mod authorise;
mod catalog;
pub(crate) mod client;
pub(crate) mod configuration;
mod feed;
mod read_only;
pub(crate) mod subscriptions;
mod usage;
pub(crate) mod users;

use std::sync::Arc;

use kana_core::decide::Command;
use kana_store::{Actor, EnvironmentId, EnvironmentKind};

use self::read_only::ReadOnly;
use crate::error::Error;
use crate::kana::Kana;
use crate::writer::{Answered, CatalogDone, CatalogRequest};

/// One environment and the actor that uses it. Only authorisation creates one. An [`Actor`] is someone
/// who may change something.
#[derive(Clone)]
pub struct Environment {
    read: ReadOnly,
    kind: EnvironmentKind,
    /// Who asks for changes.
    actor: Arc<Actor>,
}

/// The error for an answer that does not belong to its command, which the writer never gives.
const ANSWERED_AS_ANOTHER: Error = Error::Bug("a command was answered as another");

impl Environment {
    fn new(kana: Arc<Kana>, id: EnvironmentId, kind: EnvironmentKind, actor: Arc<Actor>) -> Self {
        Self { read: ReadOnly::new(kana, id), kind, actor }
    }

    /// Submits a command. Returns once it is durable.
    async fn submit(&self, command: Command) -> Result<Answered, Error> {
        self.read.kana().writer.submit(self.read.id(), &self.actor, command).await
    }

    /// Submits up to [`BATCH_MAX`](crate::writer::BATCH_MAX) commands.
    async fn submit_together(&self, commands: Vec<Command>) -> Vec<Result<Answered, Error>> {
        self.read.kana().writer.submit_together(self.read.id(), &self.actor, commands).await
    }

    /// Submits a change of the catalog. Returns once it is durable.
    async fn submit_catalog(&self, request: CatalogRequest) -> Result<CatalogDone, Error> {
        self.read.kana().writer.submit_catalog(self.read.id(), &self.actor, request).await
    }
}
