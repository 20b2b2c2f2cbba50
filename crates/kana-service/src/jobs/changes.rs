use std::sync::Arc;
use std::time::Duration;

use kana_store::jobs::Due;

use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::EnvironmentKind;
use crate::kana::Kana;

/// How many are deleted at once: commands wait for so many, and no longer.
const AT_ONCE: usize = 1000;

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
        let before = clock.now().saturating_add_ms(-settings.changes_ms());
        for kind in EnvironmentKind::ALL {
            let Some(access) = store.client_access(kind).await? else {
                return Ok(Progress::Done);
            };
            let (environment, kept_max) = (access.environment, settings.changes_max);
            while store.forget_changes(environment, before, kept_max, AT_ONCE).await? > 0 {
                if slice.is_over() {
                    return Ok(Progress::GoOn { due: Due::NOW });
                }
            }
        }
        Ok(Progress::Done)
    }
}
