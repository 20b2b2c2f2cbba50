//! Grants.

use kana_core::Timestamp;
use kana_core::facts::Change;
use kana_core::grant::{Grant, GrantKey};
use kana_core::id::GrantId;
use kana_core::user::User;
use kana_store::EnvironmentId;
use uuid::Uuid;

use crate::Engine;
use crate::world::{BEGINNING, World, create_user, feature_id, label, time, user_id, user_key};

/// A grant of every column.
pub(crate) fn whole(n: u16, feature: &str) -> Grant {
    Grant {
        key: GrantKey(Uuid::from_u128(u128::from(n) << 64)),
        id: GrantId::new("id", &format!("a \"grant\" {n}")).unwrap(),
        feature: feature_id(feature),
        amount: 2_147_483_647,
        drawn: 2_147_483_647,
        priority: -100,
        starts_at: time(BEGINNING),
        expires_at: Some(Timestamp::MAX),
        voided_at: Some(time(BEGINNING)),
        reason: Some(label("a \"favour\"")),
        created_at: time(BEGINNING),
    }
}

/// One that says as little as possible.
pub(crate) fn bare(n: u16, feature: &str) -> Grant {
    Grant {
        amount: 1,
        drawn: 0,
        priority: 100,
        expires_at: None,
        voided_at: None,
        reason: None,
        ..whole(n, feature)
    }
}

pub(crate) fn put(new: &Grant) -> Change {
    Change::PutGrant(new.clone())
}

fn draw(grant: &Grant, drawn: i64) -> Change {
    Change::SetDrawn { grant: grant.key, drawn }
}

fn delete(grant: &Grant) -> Change {
    Change::DeleteGrant { grant: grant.key }
}

/// What is stored of the users `1` and `2`, by key, and whether the facts say so.
async fn stored<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
) -> [(bool, Vec<Grant>); 2] {
    let mut flags = Vec::new();
    for id in ["1", "2"] {
        let mut of_one = world.store.read_facts().await.unwrap();
        let facts = of_one.facts(environment, &[user_id(id)]).await.unwrap().users.remove(0);
        flags.push(facts.unwrap().has_grants());
    }
    let users = [user_key(1), user_key(2)];
    let mut reader = world.store.read_facts().await.unwrap();
    let mut all = reader.grants_of(environment, &users).await.unwrap();
    all.iter_mut().for_each(|of_user| of_user.sort_by_key(|grant| grant.key));
    let mut both = flags.into_iter().zip(all);
    [both.next().unwrap(), both.next().unwrap()]
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

const NONE: (bool, Vec<Grant>) = (false, Vec::new());

pub(crate) async fn grants_are_kept_as_they_are_given_each_for_its_user<E: Engine>() {
    let world = world::<E>().await;
    assert_eq!(stored(&world, world.test).await, [NONE, NONE]);
    let (calls, seats) = (whole(1, "calls"), bare(2, "seats"));
    world.change(world.test, user_key(1), [put(&calls), put(&seats)]).await;
    let one = (true, vec![calls.clone(), seats.clone()]);
    assert_eq!(stored(&world, world.test).await, [one, NONE]);
    assert_eq!(stored(&world, world.live).await, [NONE, NONE]);

    // What is drawn changes alone, and with the rest.
    let drawn = |grant: &Grant, drawn| Grant { drawn, ..grant.clone() };
    world.change(world.test, user_key(1), [draw(&calls, 7), draw(&calls, 8)]).await;
    let both = vec![drawn(&calls, 8), seats.clone()];
    assert_eq!(stored(&world, world.test).await, [(true, both), NONE]);
    let voided = Grant { voided_at: Some(Timestamp::from_ms(5)), ..drawn(&seats, 1) };
    world.change(world.test, user_key(1), [draw(&seats, 1), put(&voided), delete(&calls)]).await;
    assert_eq!(stored(&world, world.test).await, [(true, vec![voided]), NONE]);
    world.change(world.test, user_key(1), [delete(&seats)]).await;
    assert_eq!(stored(&world, world.test).await, [NONE, NONE]);
    let new = [put(&calls), draw(&calls, 3), put(&seats), draw(&seats, 1), delete(&seats)];
    world.change(world.test, user_key(2), new).await;
    let left = (true, vec![drawn(&calls, 3)]);
    assert_eq!(stored(&world, world.test).await, [NONE, left]);
}

pub(crate) async fn a_grant_that_is_not_committed_was_never_given<E: Engine>() {
    let world = world::<E>().await;
    let mut writer = world.store.write().await.unwrap();
    writer.facts(world.test, &[user_id("1")]).await.unwrap();
    let changes = [(user_key(1), put(&bare(1, "calls")))];
    writer.change_facts(world.test, &changes).await.unwrap();
    // Who wrote it sees it.
    let facts = writer.facts(world.test, &[user_id("1")]).await.unwrap().users.remove(0).unwrap();
    assert!(facts.has_grants());
    drop(writer);
    assert_eq!(stored(&world, world.test).await, [NONE, NONE]);
}

pub(crate) async fn a_deleted_user_has_no_grants<E: Engine>() {
    let world = world::<E>().await;
    let mine = whole(1, "calls");
    world.change(world.test, user_key(1), [put(&mine)]).await;
    world.change(world.test, user_key(2), [put(&mine)]).await;
    let left = User { key: user_key(1), ..User::named(user_id("gone")) };
    let deleted = Change::DeleteUser { user: left, previous_id: user_id("1") };
    // One that is given, and one that is drawn and deleted with the user, are gone, too.
    let changes = [put(&bare(5, "seats")), draw(&mine, 1), deleted];
    world.change(world.test, user_key(1), changes).await;
    let mut reader = world.store.read().await.unwrap();
    let users = [user_key(1), user_key(2)];
    let all = reader.grants_of(world.test, &users).await.unwrap();
    assert_eq!(all, [vec![], vec![mine]]);
    let gone = reader.facts(world.test, &[user_id("gone")]).await.unwrap().users.remove(0);
    assert!(!gone.unwrap().has_grants());
}
