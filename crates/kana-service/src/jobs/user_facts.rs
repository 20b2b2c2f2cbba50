use std::sync::Arc;
use std::time::Duration;

use kana_store::jobs::Due;

use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::kana::Kana;

/// How many users are gathered at once. Small, so that no command waits long.
const AT_ONCE: usize = 256;
/// The pause after that, in which other work goes first.
const PAUSE: Duration = Duration::from_millis(10);

/// Stores the facts of users of an older release once more, where one look-up finds them.
pub(super) struct UserFacts(pub(super) Arc<Kana>);

impl JobKind for UserFacts {
    const NAME: &'static str = "user-facts";
    type State = ();

    fn policy(&self) -> Policy {
        Policy::every(Duration::from_secs(60 * 60))
    }

    async fn run(&self, slice: &Slice, (): &mut ()) -> Result<Progress, Failure> {
        while self.0.store.gather_user_facts(AT_ONCE).await? {
            if slice.is_over() {
                return Ok(Progress::GoOn { due: Due::NOW });
            }
            slice.pause(PAUSE).await;
        }
        Ok(Progress::Done)
    }
}
