//! Files of users that wait to be imported.

use std::time::Duration;

use futures_util::future::join_all;
use kana_core::facts::Change;
use kana_core::user::User;
use kana_store::user_imports::{UserImport, UserImportId, UserImportLine, UserImportName};
use kana_store::{EnvironmentId, StoreError};
use uuid::Uuid;

use crate::Engine;
use crate::world::{BEGINNING, World, label, time, user_id, user_ids, user_key};

fn id(number: u128) -> UserImportId {
    UserImportId(Uuid::from_u128(number))
}

fn import(number: u128, data: &str) -> UserImport {
    UserImport { id: id(number), created_at: time(BEGINNING), data: data.to_owned() }
}

fn line(kind: &str, line: u32) -> UserImportLine {
    UserImportLine { kind: kind.to_owned(), line, data: format!("{{\"é\":{line}}}") }
}

async fn put<E: Engine>(world: &World<E>, environment: EnvironmentId, import: &UserImport) {
    let mut writer = world.store.write().await.unwrap();
    writer.lock_user_imports(environment).await.unwrap();
    writer.put_user_import(environment, import).await.unwrap();
    writer.commit().await.unwrap();
}

async fn add<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
    import: UserImportId,
    (lines, names): (&[UserImportLine], &[(&str, u32)]),
) -> Result<(), StoreError> {
    let name = |(name, line): &(&str, u32)| UserImportName {
        name: user_id(name),
        line: *line,
        kind: format!("é{line}"),
    };
    let names: Vec<_> = names.iter().map(name).collect();
    let mut writer = world.store.write().await?;
    writer.add_user_import_lines(environment, import, lines, &names).await?;
    writer.commit().await
}

async fn imports<E: Engine>(world: &World<E>, environment: EnvironmentId) -> Vec<UserImport> {
    world.store.read().await.unwrap().user_imports(environment).await.unwrap()
}

async fn lines<E: Engine>(
    world: &World<E>,
    import: UserImportId,
    (kind, after, limit): (&str, u32, usize),
) -> Vec<UserImportLine> {
    let mut reader = world.store.read().await.unwrap();
    reader.user_import_lines(world.test, import, kind, after, limit).await.unwrap()
}

async fn names<E: Engine>(
    world: &World<E>,
    environment: EnvironmentId,
    import: UserImportId,
) -> Vec<Option<u32>> {
    let asked = user_ids(["ada", "nobody", "grace"]);
    let mut reader = world.store.read().await.unwrap();
    let found = reader.user_import_names(environment, import, &asked).await.unwrap();
    let line = |(asked, found): (_, Option<UserImportName>)| {
        let UserImportName { name, line, kind } = found?;
        assert_eq!((&name, kind), (asked, format!("é{line}")));
        Some(line)
    };
    asked.iter().zip(found).map(line).collect()
}

pub(crate) async fn an_import_is_kept_in_its_environment_and_changes<E: Engine>() {
    let world = World::<E>::new().await;
    put(&world, world.test, &import(2, "{}")).await;
    put(&world, world.test, &import(1, "{}")).await;
    put(&world, world.live, &import(3, "{}")).await;
    put(&world, world.test, &import(2, "{\"é\":1}")).await;

    assert_eq!(imports(&world, world.test).await, [import(1, "{}"), import(2, "{\"é\":1}")]);
    assert_eq!(imports(&world, world.live).await, [import(3, "{}")]);
}

pub(crate) async fn lines_of_a_kind_are_read_in_the_order_of_the_file<E: Engine>() {
    let world = World::<E>::new().await;
    let stored =
        [line("create", 12), line("update", 3), line("create", 2), line("create", 1_000_000)];
    add(&world, world.test, id(1), (&stored[..2], &[])).await.unwrap();
    add(&world, world.test, id(1), (&stored[2..], &[])).await.unwrap();
    add(&world, world.test, id(2), (&[line("create", 2)], &[])).await.unwrap();
    add(&world, world.live, id(1), (&[line("create", 3)], &[])).await.unwrap();

    let all = [line("create", 2), line("create", 12), line("create", 1_000_000)];
    assert_eq!(lines(&world, id(1), ("create", 0, 10)).await, all);
    assert_eq!(lines(&world, id(1), ("create", 2, 1)).await, all[1..2]);
    assert_eq!(lines(&world, id(1), ("create", 1_000_000, 1)).await, []);
    assert_eq!(lines(&world, id(1), ("update", 0, 10)).await, [line("update", 3)]);
    assert_eq!(lines(&world, id(2), ("create", 0, 10)).await, [line("create", 2)]);
    assert_eq!(lines(&world, id(3), ("create", 0, 10)).await, []);
}

pub(crate) async fn a_name_is_found_with_its_line_and_stands_once<E: Engine>() {
    let world = World::<E>::new().await;
    add(&world, world.test, id(1), (&[], &[("ada", 2), ("grace", 3)])).await.unwrap();
    add(&world, world.test, id(2), (&[], &[("grace", 9)])).await.unwrap();
    add(&world, world.live, id(1), (&[], &[("ada", 7)])).await.unwrap();

    assert_eq!(names(&world, world.test, id(1)).await, [Some(2), None, Some(3)]);
    assert_eq!(names(&world, world.test, id(2)).await, [None, None, Some(9)]);
    assert_eq!(names(&world, world.live, id(1)).await, [Some(7), None, None]);
    add(&world, world.test, id(1), (&[line("create", 4)], &[("ada", 4)])).await.unwrap_err();
    assert_eq!(lines(&world, id(1), ("create", 0, 10)).await, []);
}

pub(crate) async fn who_has_an_email_is_found_exactly<E: Engine>() {
    let world = World::<E>::new().await;
    let emails = ["a@b.co", "a@b.co", "a@b.co", "A@b.co", "é@b.co"];
    for (number, email) in (1..).zip(emails) {
        let user = User {
            key: user_key(number),
            email: Some(label(email)),
            ..User::named(user_id(&format!("u-{number}")))
        };
        world.change(world.test, user.key, [Change::CreateUser(user.clone())]).await;
    }
    let asked = ["é@b.co", "nobody@b.co", "a@b.co", "A@b.co"].map(label);
    let mut reader = world.store.read().await.unwrap();
    let found = reader.users_with_email(world.test, &asked).await.unwrap();
    assert_eq!(found[0], user_ids(["u-5"]));
    assert_eq!(found[1], []);
    // Two of the three.
    assert_eq!(found[2].len(), 2);
    assert!(found[2].iter().all(|user| ["u-1", "u-2", "u-3"].contains(&user.as_str())));
    assert_eq!(found[3], user_ids(["u-4"]));
    let elsewhere = reader.users_with_email(world.live, &asked).await.unwrap();
    assert!(elsewhere.iter().all(Vec::is_empty) && elsewhere.len() == 4);
}

pub(crate) async fn an_import_is_forgotten_in_pieces_and_itself_last<E: Engine>() {
    let world = World::<E>::new().await;
    for number in [1, 2] {
        put(&world, world.test, &import(number, "{}")).await;
        let stored: Vec<_> = (2..7).map(|number| line("create", number)).collect();
        add(&world, world.test, id(number), (&stored, &[("ada", 2)])).await.unwrap();
    }
    let mut deleted = Vec::new();
    while deleted.last() != Some(&0) {
        let mut writer = world.store.write().await.unwrap();
        deleted.push(writer.forget_user_import(world.test, id(1), 2).await.unwrap());
        writer.commit().await.unwrap();
        let is_left = imports(&world, world.test).await.iter().any(|import| import.id == id(1));
        assert_eq!(is_left, deleted.len() < 4, "{deleted:?}");
    }
    assert_eq!(deleted, [3, 2, 1, 1, 0]);
    assert_eq!(lines(&world, id(1), ("create", 0, 10)).await, []);
    assert_eq!(names(&world, world.test, id(1)).await, [None; 3]);
    assert_eq!(imports(&world, world.test).await, [import(2, "{}")]);
    assert_eq!(lines(&world, id(2), ("create", 0, 10)).await.len(), 5);
    assert_eq!(names(&world, world.test, id(2)).await[0], Some(2));
}

pub(crate) async fn of_many_who_change_an_import_at_once_each_sees_what_the_others_did<
    E: Engine,
>() {
    let world = World::<E>::new().await;
    put(&world, world.test, &import(1, "0")).await;
    let count_up = || async {
        let mut writer = world.store.write().await.unwrap();
        writer.lock_user_imports(world.test).await.unwrap();
        let found = writer.user_imports(world.test).await.unwrap();
        let count: u32 = found[0].data.parse().unwrap();
        writer.put_user_import(world.test, &import(1, &(count + 1).to_string())).await.unwrap();
        writer.commit().await.unwrap();
    };
    let all = join_all((0..8).map(|_| count_up()));
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    assert_eq!(imports(&world, world.test).await, [import(1, "8")]);
}
