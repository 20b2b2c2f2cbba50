use std::sync::Arc;
use std::time::Duration;

use kana_store::jobs::Due;

use super::forgetting::AT_ONCE;
use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::kana::Kana;

/// Forgets usage events that are older than the settings allow. Counters stay, so users' entitlements
/// do not change.
pub(super) struct Events(pub(super) Arc<Kana>);

impl JobKind for Events {
    const NAME: &'static str = "events";
    type State = ();

    fn policy(&self) -> Policy {
        Policy::every(Duration::from_secs(5 * 60))
    }

    async fn run(&self, slice: &Slice, (): &mut ()) -> Result<Progress, Failure> {
        let kana = &self.0;
        let Some(kept_ms) = kana.settings.events_ms() else {
            return Ok(Progress::Done);
        };
        let before = kana.clock.now().saturating_add_ms(-kept_ms);
        while kana.store.forget_events(before, AT_ONCE).await? {
            if slice.is_over() {
                return Ok(Progress::GoOn { due: Due::NOW });
            }
        }
        Ok(Progress::Done)
    }
}
