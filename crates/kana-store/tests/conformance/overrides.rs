//! Overrides.

use kana_core::Timestamp;
use kana_core::facts::Change;
use kana_core::id::OverrideId;
use kana_core::overrides::{Override, OverrideTerms};
use kana_core::period::{Reset, ResetAnchor, ResetPeriod};
use kana_core::terms::TermsHistory;
use kana_core::user::User;
use kana_store::EnvironmentId;
use uuid::Uuid;

use crate::Engine;
use crate::world::{
    BEGINNING, World, create_user, feature_id, label, subscribe, subscription_id, time, user_id,
    user_key,
};

/// An override of every column, which has had other terms.
pub(crate) fn weekly(n: u16, feature: &str) -> Override {
    let reset = Reset { period: ResetPeriod::Week, anchor: ResetAnchor::Calendar };
    let terms = OverrideTerms::Allow {
        limit: Some(i64::MAX),
        overage_enabled: Some(true),
        reset: Some(reset),
    };
    let mut history = TermsHistory::beginning_with(None);
    history.change(terms.allowance(), time(BEGINNING));
    Override {
        id: OverrideId::of(Uuid::from_u128(u128::from(n) << 64)),
        feature: feature_id(feature),
        terms,
        starts_at: time(BEGINNING),
        ends_at: Some(Timestamp::MAX),
        reason: Some(label("a \"favour\"")),
        history,
    }
}

/// One that says as little as possible.
pub(crate) fn deny(n: u16, feature: &str) -> Override {
    let terms = OverrideTerms::Deny;
    let history = TermsHistory::beginning_with(terms.allowance());
    Override { terms, history, ends_at: None, reason: None, ..weekly(n, feature) }
}

pub(crate) fn put(new: &Override) -> Change {
    Change::PutOverride(new.clone())
}

fn delete(feature: &str) -> Change {
    Change::DeleteOverride { feature: feature_id(feature) }
}

/// What is stored of the users `1` and `2`, by feature, and whether the facts say so.
async fn stored<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
) -> [(bool, Vec<Override>); 2] {
    let mut reader = world.store.read_facts().await.unwrap();
    let mut flags = Vec::new();
    for id in ["1", "2"] {
        let mut of_one = world.store.read_facts().await.unwrap();
        let facts = of_one.facts(environment, &[user_id(id)]).await.unwrap().users.remove(0);
        flags.push(facts.unwrap().has_overrides());
    }
    let users = [user_key(1), user_key(2)];
    let mut all = reader.overrides_of(environment, &users).await.unwrap();
    all.iter_mut().for_each(|of_user| of_user.sort_by(|a, b| a.feature.cmp(&b.feature)));
    let mut both = flags.into_iter().zip(all);
    [both.next().unwrap(), both.next().unwrap()]
}

async fn world<E: Engine>() -> World<E> {
    let world = World::<E>::new().await;
    for environment in [world.test, world.live] {
        for n in [1, 2] {
            let user =
                [create_user(user_key(n), &n.to_string()), subscribe(subscription_id(n), "pro")];
            world.change(environment, user_key(n), user).await;
        }
    }
    world
}

const NONE: (bool, Vec<Override>) = (false, Vec::new());

pub(crate) async fn overrides_are_kept_as_they_are_set_each_for_its_user<E: Engine>() {
    let world = world::<E>().await;
    assert_eq!(stored(&world, world.test).await, [NONE, NONE]);
    let (calls, seats) = (weekly(1, "calls"), deny(2, "seats"));
    world.change(world.test, user_key(1), [put(&calls), put(&seats)]).await;
    let one = (true, vec![calls.clone(), seats]);
    assert_eq!(stored(&world, world.test).await, [one, NONE]);
    assert_eq!(stored(&world, world.live).await, [NONE, NONE]);

    // Another of the same feature takes its place.
    let other = Override { terms: OverrideTerms::Deny, ..weekly(3, "calls") };
    world.change(world.test, user_key(1), [put(&other), delete("seats")]).await;
    assert_eq!(stored(&world, world.test).await, [(true, vec![other]), NONE]);
    world.change(world.test, user_key(1), [delete("calls")]).await;
    assert_eq!(stored(&world, world.test).await, [NONE, NONE]);
    world.change(world.test, user_key(2), [put(&calls), delete("calls"), put(&calls)]).await;
    assert_eq!(stored(&world, world.test).await, [NONE, (true, vec![calls])]);
}

pub(crate) async fn an_override_that_is_not_committed_was_never_set<E: Engine>() {
    let world = world::<E>().await;
    let mut writer = world.store.write().await.unwrap();
    writer.facts(world.test, &[user_id("1")]).await.unwrap();
    let changes = [(user_key(1), put(&deny(1, "calls")))];
    writer.change_facts(world.test, &changes).await.unwrap();
    // Who wrote it sees it.
    let facts = writer.facts(world.test, &[user_id("1")]).await.unwrap().users.remove(0).unwrap();
    assert!(facts.has_overrides());
    drop(writer);
    assert_eq!(stored(&world, world.test).await, [NONE, NONE]);
}

pub(crate) async fn a_deleted_user_has_no_overrides<E: Engine>() {
    let world = world::<E>().await;
    let mine = weekly(1, "calls");
    world.change(world.test, user_key(1), [put(&mine)]).await;
    world.change(world.test, user_key(2), [put(&mine)]).await;
    let left = User { key: user_key(1), ..User::named(user_id("gone")) };
    let deleted = Change::DeleteUser { user: left, previous_id: user_id("1") };
    // One that is set and deleted with the user is gone, too.
    world.change(world.test, user_key(1), [put(&deny(5, "seats")), deleted]).await;
    let mut reader = world.store.read().await.unwrap();
    let users = [user_key(1), user_key(2)];
    let all = reader.overrides_of(world.test, &users).await.unwrap();
    assert_eq!(all, [vec![], vec![mine]]);
    let gone = reader.facts(world.test, &[user_id("gone")]).await.unwrap().users.remove(0);
    assert!(!gone.unwrap().has_overrides());
}
