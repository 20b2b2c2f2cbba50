use std::sync::Arc;
use std::time::Duration;

use super::forgetting::{AT_ONCE, forget, forget_in_each_environment};
use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::kana::Kana;

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
        let delete = |environment| store.forget_audit_log(environment, before, AT_ONCE);
        let of_environments = forget_in_each_environment(store.as_ref(), slice, delete).await?;
        if let Progress::GoOn { .. } = of_environments {
            return Ok(of_environments);
        }
        forget(slice, || store.forget_audit_log_of_app(before, AT_ONCE)).await
    }
}
