//! What waits for the writer, and what it is answered with.

use std::sync::Arc;
use std::time::Instant;

use kana_core::Refusal;
use kana_core::catalog::{Catalog, CatalogVersion};
use kana_core::catalog_command::{CatalogAnswer, CatalogCommand, PackageEdit};
use kana_core::decide::{Answer, Command};
use kana_core::id::PackageId;
use kana_store::user_imports::UserImportId;
use kana_store::{Actor, EnvironmentId};
use kana_telemetry::request::Origin;
use kana_telemetry::{SpanContext, request, spans};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::publish::Publish;
use crate::error::Error;
use crate::user_import::ImportActor;

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
            Self::Import { reply, .. } => drop(reply.send(Err(error.clone()))),
        }
    }

    /// Whether both can be decided in one transaction.
    pub(super) fn is_decided_with(&self, other: &Self) -> bool {
        // A catalog is changed between two batches, and so in one piece; as is a slice of an import. A
        // deletion changes what the commands before it have told, so that has to be stored.
        match (self, other) {
            (Self::Command { asked: one, .. }, Self::Command { asked: other, .. }) => {
                !one.deletes_user() && !other.deletes_user()
            }
            (Self::Together(_), Self::Together(_)) => true,
            _ => false,
        }
    }

    /// Returns how many commands these are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Together(together) => together.len(),
            Self::Command { .. } | Self::Catalog { .. } | Self::Import { .. } => 1,
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
        /// The request that it is asked for by.
        origin: Option<Origin>,
        request: CatalogRequest,
        reply: Reply<CatalogDone>,
    },
    Import {
        environment: EnvironmentId,
        slice: ImportSlice,
        reply: Reply<ImportOutcome>,
    },
}

/// A command, and who asks for it.
pub(super) struct Asked {
    pub(super) command: Command,
    pub(super) actor: Arc<Actor>,
    /// The id of the request, if the audit log may get it.
    pub(super) request_id: Option<Box<str>>,
    /// The span of whoever asks, if that is traced.
    pub(super) span: Option<Box<SpanContext>>,
}

impl Asked {
    /// Asks for a command within the request that is being answered.
    pub(super) fn new(command: Command, actor: &Arc<Actor>) -> Self {
        let span = spans::current().map(Box::new);
        let mut asked = Self { command, actor: Arc::clone(actor), request_id: None, span };
        if actor.is_audited_for_users() || asked.deletes_user() {
            asked.request_id = request::current_id().map(|id| id.as_str().into());
        }
        asked
    }

    fn deletes_user(&self) -> bool {
        matches!(self.command, Command::DeleteUser(_))
    }
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
    Import(Reply<ImportOutcome>),
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
            Self::Import(reply) => drop(reply.send(Err(error.clone()))),
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
    /// Whether the command changed something; otherwise its answer was kept from an earlier one, or there
    /// was nothing to change.
    pub(crate) is_new: bool,
}

impl Answered {
    pub(super) fn new(answer: Answer, catalog: &Arc<Catalog>, is_new: bool) -> Self {
        let catalog = answer.names_packages().then(|| Arc::clone(catalog));
        Self { answer, catalog, is_new }
    }
}

/// A change of the catalog that is asked for.
pub(crate) enum CatalogRequest {
    /// One change.
    Command(CatalogCommand),
    /// One change of the catalog at this version.
    CommandAt(CatalogCommand, CatalogVersion),
    /// All that makes one package what is said of it, of the catalog at this version.
    Package(PackageId, PackageEdit, CatalogVersion),
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

/// A slice of an import.
#[derive(Debug)]
pub(crate) struct ImportSlice {
    pub(crate) import: UserImportId,
    /// Whoever begins the import with this slice; `None` if it has begun.
    pub(crate) begins: Option<ImportActor>,
    /// How many lines to apply.
    pub(crate) lines_max: usize,
}

/// How far a slice has brought its import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImportOutcome {
    /// There are more lines.
    GoesOn,
    /// Everything is applied.
    Finished,
    /// There is no such import that could be applied.
    Gone,
}
