//! Holds of one user.

use kana_core::Timestamp;
use kana_core::catalog::Catalog;
use kana_core::decide::{Answer, Command, CreateHold, ExtendHold, ReleaseHold, SettleHold};
use kana_core::entitlement::find_feature;
use kana_core::facts::{Obstacle, UserFacts};
use kana_core::hold::{HeldFeature, Hold};
use kana_core::id::{FeatureId, UserId};
use kana_telemetry::metrics::usage::Asked;

use super::view::EnvironmentView;
use super::{ANSWERED_AS_ANOTHER, Environment};
use crate::counted;
use crate::error::Error;

impl EnvironmentView {
    /// Returns the user's holds that live on a feature or, for a balance, on all that draw on it, oldest
    /// first, and the instant at which they are so.
    pub async fn holds(
        &self,
        user: &UserId,
        feature: &FeatureId,
    ) -> Result<(Vec<Hold>, Timestamp), Error> {
        let feature = feature.clone();
        self.ask(user, move |catalog, facts, now| {
            let found = find_feature(catalog, &feature)?;
            let mut holds: Vec<Hold> = facts.living_holds(found.balance(), now)?.cloned().collect();
            holds.retain(|hold| hold.feature == feature || *hold.balance() == feature);
            oldest_first(&mut holds);
            Ok((holds, now))
        })
        .await
    }
}

/// Returns the user's holds that live, on whichever balance, oldest first.
pub(super) fn living_holds(
    catalog: &Catalog,
    facts: &UserFacts,
    now: Timestamp,
) -> Result<Vec<Hold>, Obstacle> {
    let mut holds = Vec::new();
    if facts.has_holds() {
        // A feature of which some was ever held is kept.
        let balances = || catalog.features().filter(|feature| feature.has_amount());
        facts.need_living_holds(balances().map(|balance| &balance.id), now)?;
        for balance in balances() {
            holds.extend(facts.living_holds(&balance.id, now)?.cloned());
        }
    }
    oldest_first(&mut holds);
    Ok(holds)
}

fn oldest_first(holds: &mut [Hold]) {
    holds.sort_by(|one, other| {
        (one.created_at, one.id.as_str()).cmp(&(other.created_at, other.id.as_str()))
    });
}

impl Environment {
    /// Checks whether the user may use an amount and, if so, holds it for a job. Returns the instant at
    /// which the hold is as it is, too. A repeated request, with the same id, returns it as it stands.
    pub async fn create_hold(
        &self,
        command: CreateHold,
    ) -> Result<(HeldFeature, Timestamp), Error> {
        match self.submit(Command::CreateHold(command)).await?.answer {
            Answer::Held(held) => {
                counted::decision(Asked::CreateHold, self.kind(), held.reason);
                Ok((*held, self.now()))
            }
            _ => Err(ANSWERED_AS_ANOTHER),
        }
    }

    /// Ends a hold with what was used, and returns it as it is at an instant.
    pub async fn settle_hold(&self, command: SettleHold) -> Result<(Hold, Timestamp), Error> {
        let answered = self.submit(Command::SettleHold(command)).await;
        counted::settled(self.kind(), answered.as_ref());
        self.hold(answered?.answer)
    }

    /// Ends a hold of which nothing was used, and returns it as it is at an instant.
    pub async fn release_hold(&self, command: ReleaseHold) -> Result<(Hold, Timestamp), Error> {
        self.hold(self.submit(Command::ReleaseHold(command)).await?.answer)
    }

    /// Lets a hold expire at another time, and returns it as it is at an instant.
    pub async fn extend_hold(&self, command: ExtendHold) -> Result<(Hold, Timestamp), Error> {
        self.hold(self.submit(Command::ExtendHold(command)).await?.answer)
    }

    fn hold(&self, answer: Answer) -> Result<(Hold, Timestamp), Error> {
        match answer {
            Answer::Hold(hold) => Ok((hold, self.now())),
            _ => Err(ANSWERED_AS_ANOTHER),
        }
    }
}
