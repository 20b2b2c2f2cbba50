use std::sync::Arc;
use std::time::Duration;

use super::forgetting::{AT_ONCE, forget_in_each_environment};
use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::kana::Kana;

/// Deletes crossings of limits in periods that have ended (contract: `dashboard.md`, "Data that the
/// service does not have yet").
pub(super) struct LimitCrossings(pub(super) Arc<Kana>);

impl JobKind for LimitCrossings {
    const NAME: &'static str = "limit-crossings";
    type State = ();

    fn policy(&self) -> Policy {
        Policy::every(Duration::from_secs(60))
    }

    async fn run(&self, slice: &Slice, (): &mut ()) -> Result<Progress, Failure> {
        let Kana { store, clock, .. } = &*self.0;
        let now = clock.now();
        let delete = |environment| store.forget_limit_crossings(environment, now, AT_ONCE);
        forget_in_each_environment(store.as_ref(), slice, delete).await
    }
}
