//! What waits for the writer, and what it is answered with.

use std::sync::Arc;
use std::time::Instant;

use kana_core::Refusal;
use kana_core::catalog::{Catalog, CatalogVersion};
use kana_core::catalog_command::{CatalogAnswer, CatalogCommand};
use kana_core::decide::{Answer, Command};
use kana_store::{Actor, EnvironmentId};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::publish::Publish;
use crate::error::Error;

/// Commands decided in one transaction.
pub(crate) const BATCH_MAX: usize = 1024;

pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

impl Request {
    /// Answers with an error.
    pub(super) fn fail(self, error: &Error) {
        // Whoever asked may have gone away meanwhile.
        match self {
            Self::Command { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::Together(Together { reply, .. }) => drop(reply.send(Err(error.clone()))),
            Self::Catalog { reply, .. } => drop(reply.send(Err(error.clone()))),
        }
    }

    /// Whether both can be decided in one transaction.
    pub(super) fn is_decided_with(&self, other: &Self) -> bool {
        // A catalog is changed between two batches, and so in one piece.
        matches!(
            (self, other),
            (Self::Command { .. }, Self::Command { .. }) | (Self::Together(_), Self::Together(_))
        )
    }

    /// Returns how many commands these are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Together(together) => together.len(),
            Self::Command { .. } | Self::Catalog { .. } => 1,
        }
    }
}

/// Something to be written, and since when it has waited.
pub(super) struct Waiting {
    pub(super) request: Request,
    pub(super) since: Instant,
}

/// Something to be written.
pub(super) enum Request {
    Command {
        environment: EnvironmentId,
        asked: Asked,
        reply: Reply<Answered>,
    },
    Together(Together),
    Catalog {
        environment: EnvironmentId,
        actor: Arc<Actor>,
        request: CatalogRequest,
        reply: Reply<CatalogDone>,
    },
}

/// A command, and who asks for it.
pub(super) struct Asked {
    pub(super) command: Command,
    pub(super) actor: Arc<Actor>,
}

/// Commands of one environment that were handed in together, at most [`BATCH_MAX`]. Each stands or
/// falls alone; only a failure of the store answers them all.
pub(super) struct Together {
    pub(super) environment: EnvironmentId,
    pub(super) asked: Vec<Asked>,
    pub(super) reply: Reply<Answers>,
    /// Their place in what may wait.
    pub(super) waiting: OwnedSemaphorePermit,
}

impl Together {
    pub(super) fn len(&self) -> usize {
        self.asked.len()
    }
}

/// Who is answered when what is under way has ended.
pub(super) enum Replies {
    Commands(Vec<Reply<Answered>>),
    Together(Vec<TogetherReply>),
    Catalog(Reply<CatalogDone>),
}

/// Where the answers to commands go that were handed in together.
pub(super) struct TogetherReply {
    pub(super) environment: EnvironmentId,
    pub(super) commands: usize,
    pub(super) reply: Reply<Answers>,
    /// Their place in what may wait, until they are answered.
    pub(super) _waiting: OwnedSemaphorePermit,
}

impl Replies {
    /// Answers all with an error.
    pub(super) fn fail(self, error: &Error) {
        // Whoever asked may have gone away meanwhile.
        match self {
            Self::Commands(replies) => {
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
            Self::Together(replies) => {
                for TogetherReply { reply, .. } in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
            Self::Catalog(reply) => drop(reply.send(Err(error.clone()))),
        }
    }
}

/// What each command of an environment is answered with, in their order.
pub(super) type Answers = Vec<Result<Answered, Refusal>>;

/// The answer to a command, returned once the command is durable. It is complete: the caller reads
/// nothing after the commit, so nothing can fail after it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    /// The catalog that the command was decided on, if the answer names packages.
    pub(crate) catalog: Option<Arc<Catalog>>,
}

impl Answered {
    pub(super) fn new(answer: Answer, catalog: &Arc<Catalog>) -> Self {
        let catalog = answer.names_packages().then(|| Arc::clone(catalog));
        Self { answer, catalog }
    }
}

/// A change of the catalog that is asked for.
pub(crate) enum CatalogRequest {
    /// One change.
    Command(CatalogCommand),
    /// All that makes the catalog what a configuration says.
    Publish(Publish),
}

/// A catalog as it is once a change is done.
pub(crate) struct CatalogDone {
    pub(crate) version: CatalogVersion,
    pub(crate) catalog: Arc<Catalog>,
    /// What a command was about.
    pub(crate) about: Option<CatalogAnswer>,
}
