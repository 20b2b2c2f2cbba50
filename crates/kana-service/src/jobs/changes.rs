use std::sync::Arc;
use std::time::Duration;

use super::forgetting::{AT_ONCE, forget_in_each_environment};
use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::kana::Kana;

/// Deletes changes that are older than the settings allow, or more than they allow
/// (contract: `changes.md`, `--changes-days` and `--changes-max`).
pub(super) struct Changes(pub(super) Arc<Kana>);

impl JobKind for Changes {
    const NAME: &'static str = "changes";
    type State = ();

    fn policy(&self) -> Policy {
        Policy::every(Duration::from_secs(60))
    }

    async fn run(&self, slice: &Slice, (): &mut ()) -> Result<Progress, Failure> {
        let Kana { store, settings, clock, .. } = &*self.0;
        let now = clock.now();
        let kept = now.saturating_add_ms(-settings.changes_ms())..=now;
        let delete = |environment| {
            store.forget_changes(environment, kept.clone(), settings.changes_max, AT_ONCE)
        };
        forget_in_each_environment(store.as_ref(), slice, delete).await
    }
}
