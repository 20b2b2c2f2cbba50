use std::sync::Arc;
use std::time::Duration;

use super::forgetting::{AT_ONCE, forget_in_each_environment};
use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::kana::Kana;

/// Deletes holds that have been over for as long as idempotency keys are kept.
pub(super) struct Holds(pub(super) Arc<Kana>);

impl JobKind for Holds {
    const NAME: &'static str = "holds";
    type State = ();

    fn policy(&self) -> Policy {
        Policy::every(Duration::from_secs(5 * 60))
    }

    async fn run(&self, slice: &Slice, (): &mut ()) -> Result<Progress, Failure> {
        let Kana { store, clock, settings, .. } = &*self.0;
        let before = clock.now().saturating_add_ms(-settings.idempotency_ms());
        let delete = |environment| store.forget_holds(environment, before, AT_ONCE);
        forget_in_each_environment(store.as_ref(), slice, delete).await
    }
}
