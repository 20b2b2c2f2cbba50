//! Who is near or over a limit now.

use kana_core::Timestamp;
use kana_core::entitlement::Consumption;
use kana_core::facts::Obstacle;
use kana_core::id::{FeatureId, UserId};
use kana_core::near_limit::{Share, near_limit};
use kana_core::subjects::Subjects;
use kana_store::limit_crossings::CrossedLimit;
use kana_store::{EnvironmentId, Store};

use super::catalogs::Catalogs;
use super::facts_in_use::{FactsInUse, ROUNDS_MAX, Wanted};
use crate::error::Error;

/// A user who has used 80 % or more of a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearLimit {
    /// The user.
    pub user: UserId,
    /// The feature.
    pub feature: FeatureId,
    /// How much the user has used in the current period, and the budget.
    pub consumption: Consumption,
    /// The largest share of the budget that this has reached.
    pub share: Share,
}

/// Asks the rule about the newest `limit` users and features that have crossed a limit, and leaves out
/// those that are no longer near one. Everything is of one snapshot.
pub(super) async fn near_limits(
    store: &dyn Store,
    catalogs: &Catalogs,
    environment: EnvironmentId,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<NearLimit>, Error> {
    let mut transaction = store.read().await?;
    let transaction = transaction.as_mut();
    let crossed = transaction.limit_crossings(environment, now, limit).await?;
    if crossed.is_empty() {
        return Ok(Vec::new());
    }
    let mut users: Vec<UserId> = crossed.iter().map(|crossed| crossed.user.clone()).collect();
    users.sort_unstable();
    users.dedup();
    let mut facts = FactsInUse::load(transaction, catalogs, environment, users).await?;
    for _ in 0..ROUNDS_MAX {
        let mut wanted = Wanted::default();
        let near = crossed.iter().filter_map(|crossed| ask(&facts, crossed, now, &mut wanted));
        let near: Vec<NearLimit> = near.collect();
        if wanted.is_empty() {
            return Ok(near);
        }
        facts.supply(transaction, wanted).await?;
    }
    Err(Error::Bug("a rule went on asking for facts"))
}

/// Returns how near the limit the user is. Adds facts that are not loaded to `wanted`.
fn ask(
    facts: &FactsInUse,
    crossed: &CrossedLimit,
    now: Timestamp,
    wanted: &mut Wanted,
) -> Option<NearLimit> {
    let CrossedLimit { user, feature } = crossed;
    match near_limit(&facts.catalog, facts.user(user)?, feature, now) {
        Ok(near) => near.map(|(consumption, share)| NearLimit {
            user: user.clone(),
            feature: feature.clone(),
            consumption,
            share,
        }),
        // A feature that was deleted since.
        Err(Obstacle::Refused(_)) => None,
        Err(Obstacle::Needs(need)) => {
            facts.want(need, &Subjects::one(facts.place(user)), wanted);
            None
        }
    }
}
