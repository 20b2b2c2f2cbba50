use std::sync::Arc;
use std::time::Duration;

use super::forgetting::{AT_ONCE, forget};
use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::kana::Kana;

/// Deletes sessions that have ended and invitations that have expired (contract: `dashboard.md`, "Getting
/// in"). They let nobody in before that, either.
pub(super) struct People(pub(super) Arc<Kana>);

impl JobKind for People {
    const NAME: &'static str = "people";
    type State = ();

    fn policy(&self) -> Policy {
        Policy::every(Duration::from_secs(60 * 60))
    }

    async fn run(&self, slice: &Slice, (): &mut ()) -> Result<Progress, Failure> {
        let Kana { store, clock, .. } = &*self.0;
        let now = clock.now();
        forget(slice, || store.forget_ended(now, AT_ONCE)).await
    }
}
