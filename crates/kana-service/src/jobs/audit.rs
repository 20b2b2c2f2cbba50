use std::sync::Arc;
use std::time::Duration;

use kana_store::jobs::Due;

use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::EnvironmentKind;
use crate::kana::Kana;

/// How many are deleted at once: commands wait for so many, and no longer.
const AT_ONCE: usize = 1000;

/// Deletes entries of the audit log that are older than the settings allow
/// (contract: `operations.md`, `--audit-days`).
pub(super) struct Audit(pub(super) Arc<Kana>);

impl JobKind for Audit {
    const NAME: &'static str = "audit";
    type State = ();

    fn policy(&self) -> Policy {
        Policy::every(Duration::from_secs(60 * 60))
    }

    async fn run(&self, slice: &Slice, (): &mut ()) -> Result<Progress, Failure> {
        let Kana { store, settings, clock, .. } = &*self.0;
        let before = clock.now().saturating_add_ms(-settings.audit_ms());
        for kind in EnvironmentKind::ALL {
            let Some(access) = store.client_access(kind).await? else {
                return Ok(Progress::Done);
            };
            while store.forget_audit_log(access.environment, before, AT_ONCE).await? > 0 {
                if slice.is_over() {
                    return Ok(Progress::GoOn { due: Due::NOW });
                }
            }
        }
        Ok(Progress::Done)
    }
}
