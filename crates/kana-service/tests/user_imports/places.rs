//! How many previews wait, and how long.

use kana_service::UserImportError;
use kana_service::jobs::housekeeping;

use crate::engine::Engine;
use crate::world::{World, at, preview};

pub(crate) async fn a_fourth_preview_takes_the_place_of_the_oldest<E: Engine>() {
    let world = World::<E>::new().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(world.preview("id\nada\n").await);
    }
    let gone = world.test.user_import(ids[0]).await;
    assert!(matches!(gone, Err(UserImportError::NotFound)), "{gone:?}");
    let gone = world.test.apply_user_import(ids[0]).await;
    assert!(matches!(gone, Err(UserImportError::NotFound)), "{gone:?}");
    for id in &ids[1..] {
        world.status(*id).await;
    }
    // One whose file still arrives can be the oldest, too.
    let mut slow = world.test.begin_user_import(false).await.unwrap();
    slow.push(b"id\nada\n").await.unwrap();
    for _ in 0..2 {
        world.preview("id\nada\n").await;
    }
    world.preview("id\nada\n").await;
    let replaced = slow.end().await;
    assert!(matches!(replaced, Err(UserImportError::Replaced)), "{replaced:?}");
}

pub(crate) async fn somebody_who_tries_small_files_again_and_again_never_waits<E: Engine>() {
    let world = World::<E>::new().await;
    for _ in 0..12 {
        world.preview("id\nada\n").await;
        let refused = preview(&world.test, "id;name\nada;Ada\n", false).await;
        assert!(matches!(refused, Err(UserImportError::File(_))), "{refused:?}");
    }
}

pub(crate) async fn large_files_that_are_not_deleted_yet_leave_no_room<E: Engine>() {
    let world = World::<E>::new().await;
    let users: String = (0..4000).map(|user| format!("u-{user}\n")).collect();
    let file = format!("id\n{users}");
    let mut tries = 0;
    let full = loop {
        match preview(&world.test, &file, false).await {
            Ok(_) => tries += 1,
            Err(error) => break error,
        }
        assert!(tries < 20, "there is always room");
    };
    assert!(matches!(full, UserImportError::TooMany), "{full:?}");
    housekeeping(&world.kana).run_now().await.unwrap();
    world.preview("id\nada\n").await;
}

pub(crate) async fn a_preview_waits_an_hour_and_is_then_deleted<E: Engine>() {
    let world = World::<E>::new().await;
    let id = world.preview("id\nada\n").await;
    world.clock.set(at(3599));
    housekeeping(&world.kana).run_now().await.unwrap();
    assert_eq!(world.counts(id).await, [1, 0, 0, 0, 0, 0]);
    world.clock.set(at(3600));
    let gone = world.test.apply_user_import(id).await;
    assert!(matches!(gone, Err(UserImportError::NotFound)), "{gone:?}");
    assert_eq!(world.lines(id, kana_service::UserImportLineKind::Create).await.len(), 1);
    housekeeping(&world.kana).run_now().await.unwrap();
    assert!(world.lines(id, kana_service::UserImportLineKind::Create).await.is_empty());
    assert_eq!(world.user("ada").await, None);
}

pub(crate) async fn what_belongs_to_the_other_environment_is_not_there<E: Engine>() {
    let world = World::<E>::new().await;
    let id = world.preview("id\nada\n").await;
    let elsewhere = world.live.user_import(id).await;
    assert!(matches!(elsewhere, Err(UserImportError::NotFound)), "{elsewhere:?}");
    let elsewhere = world.live.apply_user_import(id).await;
    assert!(matches!(elsewhere, Err(UserImportError::NotFound)), "{elsewhere:?}");
    // Each has its own three.
    for _ in 0..3 {
        preview(&world.live, "id\nada\n", false).await.unwrap();
    }
    assert_eq!(world.counts(id).await, [1, 0, 0, 0, 0, 0]);
}
