use std::sync::Arc;
use std::time::Duration;

use kana_core::day::Day;
use kana_store::EnvironmentId;
use kana_store::jobs::Due;

use super::forgetting::{AT_ONCE, forget_in_each_environment};
use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::EnvironmentKind;
use crate::kana::Kana;

/// The number of commits whose deltas are folded at once.
const FOLDED_AT_ONCE: usize = 2000;
/// The number of commits in one slice from which on the next slice comes soon, since readers read all
/// deltas that are not folded.
const MANY: usize = 10_000;
/// How soon.
const SOON: Duration = Duration::from_secs(5);
/// How long the usage of a day is kept, in days: three years.
const KEPT_DAYS: i64 = 3 * 366;

/// Folds the deltas of usage by day, and deletes the usage of days that are too long ago (contract:
/// `dashboard.md`, "Data that the service does not have yet").
pub(super) struct UsageByDay(pub(super) Arc<Kana>);

impl JobKind for UsageByDay {
    const NAME: &'static str = "usage-by-day";
    type State = ();

    fn policy(&self) -> Policy {
        Policy::every(Duration::from_secs(60))
    }

    async fn run(&self, slice: &Slice, (): &mut ()) -> Result<Progress, Failure> {
        let Kana { store, clock, .. } = &*self.0;
        let mut folded = 0;
        for kind in EnvironmentKind::ALL {
            if let Some(access) = store.client_access(kind).await? {
                folded += self.fold(slice, access.environment).await?;
            }
        }
        if slice.is_over() {
            return Ok(Progress::GoOn { due: Due::NOW });
        }
        let before = Day::of(clock.now()).saturating_add(-KEPT_DAYS);
        let delete = |environment| store.forget_usage_by_day(environment, before, AT_ONCE);
        let forgotten = forget_in_each_environment(store.as_ref(), slice, delete).await?;
        if forgotten == Progress::Done && folded >= MANY {
            return Ok(Progress::GoOn { due: Due::After(SOON) });
        }
        Ok(forgotten)
    }
}

impl UsageByDay {
    /// Folds what there is of an environment, until the slice is over. Returns of how many commits.
    async fn fold(&self, slice: &Slice, environment: EnvironmentId) -> Result<usize, Failure> {
        let mut all = 0;
        loop {
            let folded = self.0.store.fold_usage(environment, FOLDED_AT_ONCE).await?;
            all += folded;
            if folded < FOLDED_AT_ONCE || slice.is_over() {
                return Ok(all);
            }
        }
    }
}
