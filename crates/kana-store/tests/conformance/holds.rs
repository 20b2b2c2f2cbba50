//! Holds.

use kana_core::Timestamp;
use kana_core::credits::Cost;
use kana_core::facts::{Change, CounterKey};
use kana_core::hold::{Hold, HoldEnd};
use kana_core::id::{HoldId, SubscriptionId, UserKey};
use kana_core::terms::TermsNumber;
use kana_store::EnvironmentId;
use uuid::Uuid;

use crate::Engine;
use crate::world::{BEGINNING, World, create_user, feature_id, time, user_id, user_key};

/// A hold that lives, with the largest values.
pub(crate) fn living(n: u16, feature: &str) -> Hold {
    Hold {
        id: HoldId::new("id", &format!("a \"hold\" {n}")).unwrap(),
        feature: feature_id(feature),
        amount: 2_147_483_647,
        cost: Cost::new(1_000_000).unwrap(),
        counter: CounterKey {
            subscription: SubscriptionId(Uuid::from_u128(u128::from(n) << 64)),
            feature: feature_id("credits"),
            terms: TermsNumber(u32::MAX),
            period_start: time(BEGINNING),
        },
        created_at: time(BEGINNING),
        expires_at: Timestamp::MAX,
        ended: None,
    }
}

/// One that expires at this instant.
fn until(n: u16, ms: i64) -> Hold {
    Hold { expires_at: Timestamp::from_ms(ms), ..living(n, "calls") }
}

pub(crate) fn settled(n: u16, feature: &str) -> Hold {
    let ended = Some((HoldEnd::Settled(2_147_483_647), time(BEGINNING)));
    Hold { ended, ..living(n, feature) }
}

fn released(n: u16, at: i64) -> Hold {
    let ended = Some((HoldEnd::Released, Timestamp::from_ms(at)));
    Hold { ended, ..living(n, "calls") }
}

pub(crate) fn put(new: &Hold) -> Change {
    Change::PutHold(new.clone())
}

/// What lives of the users `1` and `2` at an instant, by id, and whether the facts say that something may, once
/// that was read.
async fn stored<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
    at: i64,
) -> [(bool, Vec<Hold>); 2] {
    let mut both = [NONE, NONE];
    for (n, (may_live, living)) in (1..).zip(&mut both) {
        let id = user_id(&n.to_string());
        let mut reader = world.store.read_facts().await.unwrap();
        reader.facts(environment, std::slice::from_ref(&id)).await.unwrap();
        let since = Timestamp::from_ms(at);
        let balance = [(user_key(n), feature_id("credits"))];
        let mut all = reader.living_holds_of(environment, &balance, since).await.unwrap();
        *living = all.remove(0);
        living.sort_by(|a, b| a.id.cmp(&b.id));
        drop(reader);
        let mut reader = world.store.read_facts().await.unwrap();
        let facts = reader.facts(environment, &[id]).await.unwrap().users.remove(0);
        *may_live = facts.unwrap().has_holds();
    }
    both
}

async fn world<E: Engine>() -> World<E> {
    let world = World::<E>::new().await;
    for environment in [world.test, world.live] {
        for n in [1, 2] {
            let user = [create_user(user_key(n), &n.to_string())];
            world.change(environment, user_key(n), user).await;
        }
    }
    world
}

/// The holds with these ids, whoever has them.
async fn named<E: Engine>(world: &World<E>, holds: &[(UserKey, &Hold)]) -> Vec<Option<Hold>> {
    let ids: Vec<_> = holds.iter().map(|(user, hold)| (*user, hold.id.clone())).collect();
    world.store.read().await.unwrap().holds(world.test, &ids).await.unwrap()
}

const NONE: (bool, Vec<Hold>) = (false, Vec::new());

pub(crate) async fn holds_are_kept_as_they_are_made_each_for_its_user<E: Engine>() {
    let world = world::<E>().await;
    assert_eq!(stored(&world, world.test, 0).await, [NONE, NONE]);
    let (one, other) = (living(1, "calls"), until(2, 1000));
    world.change(world.test, user_key(1), [put(&one), put(&other)]).await;
    let both = (true, vec![one.clone(), other.clone()]);
    assert_eq!(stored(&world, world.test, 999).await, [both, NONE]);
    assert_eq!(stored(&world, world.test, 1000).await, [(true, vec![one.clone()]), NONE]);
    assert_eq!(stored(&world, world.live, 0).await, [NONE, NONE]);
    let asked = [(user_key(1), &other), (user_key(2), &other), (user_key(1), &one)];
    let (found, and) = (Some(other.clone()), Some(one.clone()));
    assert_eq!(named(&world, &asked).await, [found, None, and]);

    // One that was settled is there by its id alone. One that is put twice is as it was put last.
    let elsewhere = CounterKey {
        subscription: SubscriptionId(Uuid::from_u128(7)),
        terms: TermsNumber(3),
        period_start: Timestamp::from_ms(-1),
        ..other.counter.clone()
    };
    let later = Hold { counter: elsewhere, ..until(2, 2000) };
    let ended = settled(1, "calls");
    world.change(world.test, user_key(1), [put(&until(2, 1500)), put(&later), put(&ended)]).await;
    assert_eq!(stored(&world, world.test, 1999).await, [(true, vec![later]), NONE]);
    assert_eq!(named(&world, &[(user_key(1), &one)]).await, [Some(ended)]);
    let released = released(2, 7);
    world.change(world.test, user_key(1), [put(&released)]).await;
    assert_eq!(stored(&world, world.test, 0).await, [NONE, NONE]);
    assert_eq!(named(&world, &[(user_key(1), &other)]).await, [Some(released)]);
}

pub(crate) async fn holds_are_read_of_the_balances_that_are_asked_for<E: Engine>() {
    let world = world::<E>().await;
    let on = |n: u16, balance: &str| {
        let counter = CounterKey { feature: feature_id(balance), ..living(n, "calls").counter };
        Hold { counter, ..living(n, "calls") }
    };
    let of = |user: u16, balance: &str| (user_key(user), feature_id(balance));
    let (one, other, third) = (on(1, "credits"), on(2, "calls"), on(3, "credits"));
    world.change(world.test, user_key(1), [put(&one), put(&other)]).await;
    world.change(world.test, user_key(2), [put(&third)]).await;
    let mut reader = world.store.read().await.unwrap();
    // In the order in which they were asked for, also one that is asked for twice.
    let asked =
        [of(2, "credits"), of(1, "calls"), of(2, "calls"), of(1, "credits"), of(1, "calls")];
    let living = reader.living_holds_of(world.test, &asked, time(BEGINNING)).await.unwrap();
    let expected = [vec![third], vec![other.clone()], vec![], vec![one], vec![other]];
    assert_eq!(living, expected);
    let none = reader.living_holds_of(world.test, &[], time(BEGINNING)).await.unwrap();
    assert!(none.is_empty());
    drop(reader);

    // That nothing is held on one balance does not say that nothing is held.
    for _ in 0..2 {
        let mut reader = world.store.read_facts().await.unwrap();
        let id = [user_id("1")];
        let facts = reader.facts(world.test, &id).await.unwrap().users.remove(0).unwrap();
        assert!(facts.has_holds());
        let asked = [of(1, "seats")];
        let living = reader.living_holds_of(world.test, &asked, time(BEGINNING)).await.unwrap();
        assert_eq!(living, [Vec::new()]);
    }
}

pub(crate) async fn a_hold_that_is_not_committed_was_never_made<E: Engine>() {
    let world = world::<E>().await;
    let mut writer = world.store.write().await.unwrap();
    writer.facts(world.test, &[user_id("1")]).await.unwrap();
    let changes = [(user_key(1), put(&living(1, "calls")))];
    writer.change_facts(world.test, &changes).await.unwrap();
    // Who wrote it sees it.
    let facts = writer.facts(world.test, &[user_id("1")]).await.unwrap().users.remove(0).unwrap();
    assert!(facts.has_holds());
    drop(writer);
    assert_eq!(stored(&world, world.test, 0).await, [NONE, NONE]);
}

pub(crate) async fn holds_follow_their_user<E: Engine>() {
    let world = world::<E>().await;
    world.change(world.test, user_key(1), [put(&living(1, "calls"))]).await;
    let renamed =
        kana_core::user::User { key: user_key(1), ..kana_core::user::User::named(user_id("new")) };
    let change = Change::UpdateUser { user: renamed, previous_id: Some(user_id("1")) };
    world.change(world.test, user_key(1), [change]).await;
    let mut reader = world.store.read_facts().await.unwrap();
    let facts = reader.facts(world.test, &[user_id("new")]).await.unwrap().users.remove(0);
    assert!(facts.unwrap().has_holds());
}

pub(crate) async fn holds_that_are_over_are_forgotten_some_at_a_time<E: Engine>() {
    let world = world::<E>().await;
    // By when they are over: 10, 20, 30 and 40; and one that is not.
    let over = [until(1, 10), released(2, 20), until(3, 30), released(4, 40)];
    let left = living(5, "calls");
    let user = |n: usize| user_key(if n.is_multiple_of(2) { 1 } else { 2 });
    for (n, hold) in over.iter().enumerate() {
        world.change(world.test, user(n), [put(hold)]).await;
        world.change(world.live, user(n), [put(hold)]).await;
    }
    world.change(world.test, user_key(1), [put(&left)]).await;
    let forget = async |before, at_most| {
        let before = Timestamp::from_ms(before);
        world.store.forget_holds(world.test, before, at_most).await.unwrap()
    };
    let is_kept = async || {
        let asked: Vec<_> = over.iter().enumerate().map(|(n, hold)| (user(n), hold)).collect();
        named(&world, &asked).await.iter().map(Option::is_some).collect::<Vec<_>>()
    };
    assert_eq!(forget(10, 100).await, 0);
    assert_eq!(forget(40, 2).await, 2);
    assert_eq!(is_kept().await, [false, false, true, true]);
    assert_eq!(forget(40, 2).await, 1);
    assert_eq!(is_kept().await, [false, false, false, true]);
    assert_eq!(forget(i64::MAX, 100).await, 1);
    assert_eq!(stored(&world, world.test, 0).await[0], (true, vec![left]));
    let mut live = world.store.read().await.unwrap();
    let ids = [(user(0), over[0].id.clone())];
    assert!(live.holds(world.live, &ids).await.unwrap()[0].is_some());
}
