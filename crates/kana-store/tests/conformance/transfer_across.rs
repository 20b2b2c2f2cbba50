//! From one engine to the other and back.

use kana_core::id::UserId;
use kana_store::transfer::Scope;
use kana_store::{EnvironmentKind, Store};

use crate::engine::{Engine, Postgres, Sqlite, SqliteOfAServer};
use crate::transfer::{exported, fill, imported};
use crate::world::World;

fn everything() -> Scope {
    let environments = vec![EnvironmentKind::Test, EnvironmentKind::Live];
    Scope { environments, token_secrets: true, user: None }
}

fn sorted(file: &[u8]) -> Vec<&str> {
    let mut lines: Vec<_> = std::str::from_utf8(file).unwrap().lines().collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn what_goes_to_the_other_engine_and_back_is_the_same() {
    if !Postgres::is_here() {
        return;
    }
    let world = World::<SqliteOfAServer>::new().await;
    fill(&world).await;
    let (from_sqlite, tally) = exported(&*world.store, &everything()).await;

    let shared = Postgres::empty().await;
    let postgres = Postgres::open(&shared).await;
    assert_eq!(imported(&*postgres, &from_sqlite).await.unwrap(), tally);
    // Also what an engine keeps beside what it was given.
    for environment in [world.test, world.live] {
        let users: Vec<UserId> = {
            let mut reader = world.store.read().await.unwrap();
            let users = reader.users_after(environment, None, 1000).await.unwrap();
            users.into_iter().map(|user| user.id).collect()
        };
        let facts = world.store.read().await.unwrap().facts(environment, &users).await.unwrap();
        let there = postgres.read().await.unwrap().facts(environment, &users).await.unwrap();
        assert_eq!(there.catalog_version, facts.catalog_version);
        assert_eq!(there.users, facts.users);
    }
    let (from_postgres, same) = exported(&*postgres, &everything()).await;
    assert_eq!(same, tally);
    assert_eq!(sorted(&from_postgres), sorted(&from_sqlite));

    let directory = Sqlite::empty().await;
    let sqlite = Sqlite::open(&directory).await;
    assert_eq!(imported(&*sqlite, &from_postgres).await.unwrap(), tally);
    let (again, same) = exported(&*sqlite, &everything()).await;
    assert_eq!((again, same), (from_postgres, tally));
}

/// What the log of counters of a running server hides is exported as it holds, by another process, too.
#[tokio::test]
async fn what_a_running_server_has_not_yet_written_to_its_counters_is_exported() {
    let world = World::<SqliteOfAServer>::new().await;
    fill(&world).await;
    let (file, _) = exported(&*world.store, &everything()).await;
    let beside: Box<dyn Store> =
        Box::new(kana_store::SqliteStore::open(&world.database.path().join("data")).unwrap());
    assert_eq!(exported(&*beside, &everything()).await.0, file);
    assert!(String::from_utf8(file).unwrap().contains("\"used\":77}"));
}
