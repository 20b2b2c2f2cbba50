//! Several may have a database open and change it, where no server has claimed it.

use kana_store::EnvironmentKind;

use crate::Engine;
use crate::world::{
    Access as _, BEGINNING, World, count, counter, create_user, hash, one, private_key,
    subscription_id, time, user, user_ids, user_key,
};

pub(crate) async fn two_who_open_the_same_database_see_what_the_other_wrote<E: Engine>() {
    let world = World::<E>::new().await;
    let tool = E::open(&world.database).await;
    // The server has its connections open and its statements prepared by now.
    assert!(world.store.find_key(hash("test")).await.unwrap().unwrap().revoked_at.is_none());
    assert_eq!(world.user(world.test, "124").await, None);

    tool.add_key(private_key(EnvironmentKind::Live, "new")).await.unwrap();
    let test = tool.find_key(hash("test")).await.unwrap().unwrap();
    let revoked = tool.revoke_key(test.id, time(BEGINNING)).await.unwrap();

    assert_eq!(world.store.find_key(hash("test")).await.unwrap(), revoked);
    let new = world.store.find_key(hash("new")).await.unwrap().unwrap();
    assert_eq!(new.environment, world.live);

    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;
    let seen = tool.read().await.unwrap().users(world.test, &user_ids(["124"])).await.unwrap();
    assert_eq!(one(seen), Some(user(user_key(1), "124")));
}

pub(crate) async fn two_who_open_the_same_database_do_not_lose_each_others_changes<E: Engine>() {
    const EACH: i64 = 25;
    let world = World::<E>::new().await;
    let asked = [(user_key(1), counter(subscription_id(1), "api-calls"))];
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;

    // A thread each, since an engine may wait for the other on the thread that asks.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (environment, asked, database) = (world.test, asked.clone(), &world.database);
            scope.spawn(move || {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                runtime.enable_all().build().unwrap().block_on(async {
                    let store = E::open(database).await;
                    for _ in 0..EACH {
                        let mut writer = store.write().await.unwrap();
                        writer.facts(environment, &user_ids(["124"])).await.unwrap();
                        let used = one(writer.counters(environment, &asked).await.unwrap());
                        let changes = [(
                            asked[0].0,
                            count(asked[0].1.clone(), used.map_or(0, |value| value.used) + 1),
                        )];
                        writer.change_facts(environment, &changes).await.unwrap();
                        writer.commit().await.unwrap();
                    }
                });
            });
        }
    });

    assert_eq!(world.counters(world.test, &asked).await, [2 * EACH]);
}
