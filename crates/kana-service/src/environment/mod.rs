//! What can be asked and told of one environment, a file for each subject.

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

/// One environment, as an actor may use it: everything that can be asked or told of it. Only
/// authorisation makes one, of an [`Actor`], which only those are who may change something.
#[derive(Clone)]
pub struct Environment {
    read: ReadOnly,
    kind: EnvironmentKind,
    /// Who asks for what is changed.
    actor: Arc<Actor>,
}

/// The writer answers each command with an answer of its own kind.
const ANSWERED_AS_ANOTHER: Error = Error::Bug("a command was answered as another");

impl Environment {
    fn new(kana: Arc<Kana>, id: EnvironmentId, kind: EnvironmentKind, actor: Arc<Actor>) -> Self {
        Self { read: ReadOnly::new(kana, id), kind, actor }
    }

    /// Hands a command to the writer, and answers once it is durable.
    async fn submit(&self, command: Command) -> Result<Answered, Error> {
        self.read.kana().writer.submit(self.read.id(), &self.actor, command).await
    }

    /// Hands commands to the writer, at most [`BATCH_MAX`](crate::writer::BATCH_MAX).
    async fn submit_together(&self, commands: Vec<Command>) -> Vec<Result<Answered, Error>> {
        self.read.kana().writer.submit_together(self.read.id(), &self.actor, commands).await
    }

    /// Hands a change of the catalog to the writer, and answers once it is durable.
    async fn submit_catalog(&self, request: CatalogRequest) -> Result<CatalogDone, Error> {
        self.read.kana().writer.submit_catalog(self.read.id(), &self.actor, request).await
    }
}
