use std::sync::Arc;
use std::time::Duration;

use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::kana::Kana;

/// Forgets idempotency keys that are older than the settings allow.
pub(super) struct Replays(pub(super) Arc<Kana>);

impl JobKind for Replays {
    const NAME: &'static str = "replays";
    type State = ();

    fn policy(&self) -> Policy {
        Policy::every(Duration::from_secs(5 * 60))
    }

    async fn run(&self, _slice: &Slice, (): &mut ()) -> Result<Progress, Failure> {
        let kana = &self.0;
        let now = kana.clock.now();
        let before = now.saturating_add_ms(-kana.settings.idempotency_ms());
        kana.store.forget_old_keys(before, now).await?;
        Ok(Progress::Done)
    }
}
