//! What the jobs have in common that delete what is too old.

use kana_store::jobs::Due;
use kana_store::{EnvironmentId, EnvironmentKind, Store, StoreError};

use super::kind::{Failure, Progress, Slice};

/// How many rows are deleted at once: commands wait for so many, and no longer.
pub(super) const AT_ONCE: usize = 1000;

/// Deletes in both environments until nothing is left to delete, or the slice is over. `delete`
/// returns how many rows it deleted, at most [`AT_ONCE`].
pub(super) async fn forget_in_each_environment<F>(
    store: &dyn Store,
    slice: &Slice,
    delete: impl Fn(EnvironmentId) -> F + Send + Sync,
) -> Result<Progress, Failure>
where
    F: Future<Output = Result<usize, StoreError>> + Send,
{
    for kind in EnvironmentKind::ALL {
        let Some(access) = store.client_access(kind).await? else {
            return Ok(Progress::Done);
        };
        let delete = || delete(access.environment);
        if let go_on @ Progress::GoOn { .. } = forget(slice, delete).await? {
            return Ok(go_on);
        }
    }
    Ok(Progress::Done)
}

/// Deletes until nothing is left to delete, or the slice is over. `delete` returns how many rows it
/// deleted, about [`AT_ONCE`] at most.
pub(super) async fn forget<F>(
    slice: &Slice,
    delete: impl Fn() -> F + Send + Sync,
) -> Result<Progress, Failure>
where
    F: Future<Output = Result<usize, StoreError>> + Send,
{
    while delete().await? > 0 {
        if slice.is_over() {
            return Ok(Progress::GoOn { due: Due::NOW });
        }
    }
    Ok(Progress::Done)
}
