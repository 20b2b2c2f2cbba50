use std::sync::Arc;
use std::time::Duration;

use super::forgetting::{AT_ONCE, forget_in_each_environment};
use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::kana::Kana;

/// Deletes threshold events that are as old as the usage events that are forgotten.
pub(super) struct ThresholdEvents(pub(super) Arc<Kana>);

impl JobKind for ThresholdEvents {
    const NAME: &'static str = "threshold-events";
    type State = ();

    fn policy(&self) -> Policy {
        Policy::every(Duration::from_secs(5 * 60))
    }

    async fn run(&self, slice: &Slice, (): &mut ()) -> Result<Progress, Failure> {
        let Kana { store, clock, settings, .. } = &*self.0;
        let Some(kept_ms) = settings.events_ms() else {
            return Ok(Progress::Done);
        };
        let before = clock.now().saturating_add_ms(-kept_ms);
        let delete = |environment| store.forget_threshold_events(environment, before, AT_ONCE);
        forget_in_each_environment(store.as_ref(), slice, delete).await
    }
}
