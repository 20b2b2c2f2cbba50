//! Imports of users: what waits, what it would do, and its beginning.

use kana_store::jobs::{Due, NewJob};
use kana_store::user_imports::{UserImport, UserImportId};
use kana_store::{EnvironmentId, WriteTransaction};

use super::Environment;
use crate::blocking::off_thread;
use crate::error::Error;
use crate::jobs::USER_IMPORT;
use crate::retry::retry;
use crate::user_import::{
    ImportActor, ImportData, UserImportCounts, UserImportError, UserImportLine, UserImportLineKind,
    UserImportResult, UserImportState, WHOLE_MAX,
};
use crate::writer::{ImportOutcome, ImportSlice};

/// An import, as whoever may apply it sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserImportStatus {
    /// How far it is.
    pub state: UserImportState,
    /// How many lines there are of each kind.
    pub counts: UserImportCounts,
    /// What was done so far.
    pub result: UserImportResult,
    /// Whether an empty cell clears the value.
    pub clears_empty: bool,
    /// Whether the file has a column of packages, which is not read.
    pub ignores_packages: bool,
    /// Whether it can be applied.
    pub is_importable: bool,
}

impl Environment {
    /// Returns an import whose file has arrived. Fails with [`NotFound`](UserImportError::NotFound) if
    /// there is none, or it waited for too long.
    pub async fn user_import(&self, id: UserImportId) -> Result<UserImportStatus, UserImportError> {
        let data = self.import_data(id).await?;
        if data.state == UserImportState::Reading || data.is_over(self.now()) {
            return Err(UserImportError::NotFound);
        }
        Ok(UserImportStatus {
            state: data.state,
            counts: data.counts,
            result: data.result,
            clears_empty: data.clears_empty,
            ignores_packages: data.ignores_packages,
            is_importable: data.is_importable(),
        })
    }

    /// Returns the first `limit` lines of a kind after the line `after`, in the order of the file. Of a
    /// kind that changes nothing, there are the first 100 only.
    pub async fn user_import_lines(
        &self,
        id: UserImportId,
        kind: UserImportLineKind,
        after: u32,
        limit: usize,
    ) -> Result<Vec<UserImportLine>, Error> {
        let stored = retry(|| async {
            let mut transaction = self.begin().await?;
            let name = kind.name();
            Ok(transaction.user_import_lines(self.id(), id, name, after, limit).await?)
        });
        Ok(stored.await?.iter().map(UserImportLine::read).collect::<Result<_, _>>()?)
    }

    /// Applies an import: up to 1,000 lines in one transaction, which is done on return; more by a job,
    /// in the background. One that was applied, or is being applied, stays as it is.
    pub async fn apply_user_import(&self, id: UserImportId) -> Result<(), UserImportError> {
        let data = self.import_data(id).await?;
        match data.state {
            UserImportState::Applying | UserImportState::Done => return Ok(()),
            _ if data.is_over(self.now()) => return Err(UserImportError::NotFound),
            _ if !data.is_importable() => return Err(UserImportError::NotImportable),
            _ => {}
        }
        if data.counts.changes() > WHOLE_MAX {
            return self.schedule_user_import(id).await;
        }
        let begins = Some(ImportActor::of(&self.actor));
        // One more, to see in the same transaction that these were all.
        let lines_max = WHOLE_MAX as usize + 1;
        let slice = ImportSlice { import: id, begins, lines_max };
        match self.kana().writer.submit_import(self.id(), slice).await? {
            ImportOutcome::Finished => Ok(()),
            ImportOutcome::GoesOn => Err(Error::Bug("an import was longer than counted").into()),
            ImportOutcome::Gone => Err(UserImportError::NotFound),
        }
    }

    async fn schedule_user_import(&self, id: UserImportId) -> Result<(), UserImportError> {
        let (environment, now) = (self.id(), self.now());
        let actor = ImportActor::of(&self.actor);
        off_thread(&self.kana().store, move |store| async move {
            let mut transaction = store.write().await?;
            let found = locked_import(transaction.as_mut(), environment, id).await?;
            let Some((stored, mut data)) = found else { return Err(UserImportError::NotFound) };
            if data.state == UserImportState::Applying {
                return Ok(());
            }
            if !data.is_importable() || data.is_over(now) {
                return Err(UserImportError::NotFound);
            }
            data.state = UserImportState::Applying;
            data.actor = Some(actor);
            let stored = UserImport { data: data.written(), ..stored };
            transaction.put_user_import(environment, &stored).await?;
            let job = NewJob {
                kind: USER_IMPORT,
                key: id.to_string(),
                environment: Some(environment),
                due: Due::NOW,
            };
            transaction.schedule_jobs(&[job], now).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn import_data(&self, id: UserImportId) -> Result<ImportData, UserImportError> {
        let imports = retry(|| async { Ok(self.begin().await?.user_imports(self.id()).await?) });
        let stored = imports.await?.into_iter().find(|import| import.id == id);
        Ok(ImportData::read(&stored.ok_or(UserImportError::NotFound)?)?)
    }
}

/// Returns an import that nobody else changes meanwhile.
pub(super) async fn locked_import(
    transaction: &mut dyn WriteTransaction,
    environment: EnvironmentId,
    id: UserImportId,
) -> Result<Option<(UserImport, ImportData)>, Error> {
    transaction.lock_user_imports(environment).await?;
    let imports = transaction.user_imports(environment).await?;
    let Some(stored) = imports.into_iter().find(|import| import.id == id) else {
        return Ok(None);
    };
    let data = ImportData::read(&stored)?;
    Ok(Some((stored, data)))
}
