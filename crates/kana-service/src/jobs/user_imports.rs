use std::sync::Arc;
use std::time::Duration;

use kana_core::Timestamp;
use kana_store::jobs::Due;
use kana_store::user_imports::UserImportId;
use kana_store::{EnvironmentId, EnvironmentKind};

use super::backoff::Backoff;
use super::forgetting::AT_ONCE;
use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::kana::Kana;
use crate::user_import::ImportData;
use crate::writer::{ImportOutcome, ImportSlice};

/// The kind of job that applies an import.
pub(crate) const USER_IMPORT: &str = "user-import";

/// How many lines are applied in one transaction: the writer has other work again within 10 ms
/// (contract: `dashboard.md`, "CSV").
const LINES_AT_ONCE: usize = 40;
/// The pause after each, in which other work goes first.
const PAUSE: Duration = Duration::from_millis(5);

/// Applies one import, which its key names. It is never given up: one that was begun is to be whole. A
/// slice that runs twice does no harm, since how far the import is stands in the same transaction as what
/// it changes.
pub(super) struct UserImport(pub(super) Arc<Kana>);

impl JobKind for UserImport {
    const NAME: &'static str = USER_IMPORT;
    type State = ();

    fn policy(&self) -> Policy {
        let backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(60) };
        Policy { attempts_max: None, backoff, ..Policy::ONE_OFF }
    }

    async fn run(&self, slice: &Slice, (): &mut ()) -> Result<Progress, Failure> {
        let import: UserImportId = slice.key().parse()?;
        let environment = slice.environment().ok_or("an import without an environment")?;
        while !slice.is_over() {
            let next = ImportSlice { import, begins: None, lines_max: LINES_AT_ONCE };
            match self.0.writer.submit_import(environment, next).await? {
                ImportOutcome::GoesOn => slice.pause(PAUSE).await,
                ImportOutcome::Finished | ImportOutcome::Gone => return Ok(Progress::Done),
            }
        }
        Ok(Progress::GoOn { due: Due::NOW })
    }
}

/// Deletes imports that nobody can look at any more.
pub(super) struct UserImports(pub(super) Arc<Kana>);

impl JobKind for UserImports {
    const NAME: &'static str = "user-imports";
    type State = ();

    fn policy(&self) -> Policy {
        Policy::every(Duration::from_secs(5 * 60))
    }

    async fn run(&self, slice: &Slice, (): &mut ()) -> Result<Progress, Failure> {
        let Kana { store, clock, .. } = &*self.0;
        for kind in EnvironmentKind::ALL {
            let Some(access) = store.client_access(kind).await? else {
                return Ok(Progress::Done);
            };
            while let Some(import) = self.over(access.environment, clock.now()).await? {
                let mut transaction = store.write().await?;
                let environment = access.environment;
                transaction.lock_user_imports(environment).await?;
                transaction.forget_user_import(environment, import, AT_ONCE).await?;
                transaction.commit().await?;
                if slice.is_over() {
                    return Ok(Progress::GoOn { due: Due::NOW });
                }
            }
        }
        Ok(Progress::Done)
    }
}

impl UserImports {
    /// Returns an import that nobody can look at any more. What is over stays so.
    async fn over(
        &self,
        environment: EnvironmentId,
        now: Timestamp,
    ) -> Result<Option<UserImportId>, Failure> {
        let imports = self.0.store.read().await?.user_imports(environment).await?;
        for import in imports {
            if ImportData::read(&import)?.is_over(now) {
                return Ok(Some(import.id));
            }
        }
        Ok(None)
    }
}
