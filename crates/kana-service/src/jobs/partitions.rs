use std::sync::Arc;
use std::time::Duration;

use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::kana::Kana;

/// Creates the partitions of usage events before they are needed.
pub(super) struct Partitions(pub(super) Arc<Kana>);

impl JobKind for Partitions {
    const NAME: &'static str = "partitions";
    type State = ();

    fn policy(&self) -> Policy {
        Policy::every(Duration::from_secs(60 * 60))
    }

    async fn run(&self, _slice: &Slice, (): &mut ()) -> Result<Progress, Failure> {
        self.0.store.make_partitions().await?;
        Ok(Progress::Done)
    }
}
