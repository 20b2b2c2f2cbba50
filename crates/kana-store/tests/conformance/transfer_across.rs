//! From one engine to the other and back.

use kana_store::transfer::Scope;
use kana_store::{EnvironmentKind, Store};

use crate::engine::{Engine, Postgres, Sqlite, SqliteOfAServer};
use crate::transfer::{exported, fill, imported};
use crate::world::World;

fn everything() -> Scope {
    let environments = vec![EnvironmentKind::Test, EnvironmentKind::Live];
    Scope { environments, token_secrets: true }
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
