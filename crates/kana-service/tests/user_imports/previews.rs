//! What a file would do.

use std::fmt::Write as _;

use kana_service::UserImportLineKind as Kind;
use kana_service::{UserImportError, UserImportId};

use crate::engine::Engine;
use crate::world::{World, preview};

async fn import<E: Engine>(world: &World<E>, file: &str) -> UserImportId {
    let id = world.preview(file).await;
    world.test.apply_user_import(id).await.unwrap();
    id
}

pub(crate) async fn a_file_is_held_against_the_users_that_there_are<E: Engine>() {
    let world = World::<E>::new().await;
    import(&world, "id,name,email\nada,Ada,a@b.co\ngrace,Grace,\nalan,Alan,\n").await;
    let file = "id,new_id,name,email,packages\n\
        ada,,Ada King,a@b.co,pro\n\
        grace,grace-2,Grace,,\n\
        alan,,Alan,,\n\
        mary,,Mary,m@b.co,\n\
        ,,nobody,,\n";
    let id = world.preview(file).await;
    assert_eq!(world.counts(id).await, [1, 2, 1, 0, 1, 0]);
    assert!(world.status(id).await.ignores_packages);
    let update = world.lines(id, Kind::Update).await;
    let fields =
        |line: usize| (update[line].before_json().unwrap(), update[line].after_json().unwrap());
    assert_eq!((update[0].line, update[0].user.as_deref()), (2, Some("ada")));
    assert_eq!(fields(0), (r#"{"name":"Ada"}"#.to_owned(), r#"{"name":"Ada King"}"#.to_owned()));
    assert_eq!(fields(1), (r#"{"id":"grace"}"#.to_owned(), r#"{"id":"grace-2"}"#.to_owned()));
    let create = world.lines(id, Kind::Create).await;
    let mary = r#"{"id":"mary","name":"Mary","email":"m@b.co"}"#;
    assert_eq!(create[0].after_json().as_deref(), Some(mary));
    assert_eq!(world.said(id, Kind::Error).await, ["6: id must not be empty."]);
    // Nothing has changed.
    assert_eq!(world.user("mary").await, None);
}

pub(crate) async fn what_stands_twice_is_a_conflict_of_both_lines<E: Engine>() {
    let world = World::<E>::new().await;
    import(&world, "id\nada\ngrace\n").await;
    let file = "id,new_id\nada,ada-2\ngrace,\nnew,\nnew,\nada-2,\nnew,\nother,\n";
    let id = world.preview(file).await;
    assert_eq!(world.counts(id).await, [1, 0, 1, 5, 0, 0]);
    assert_eq!(
        world.said(id, Kind::Conflict).await,
        [
            "2: The same id as in line 6.",
            "4: The same id as in line 5.",
            "5: The same id as in line 4.",
            "6: The same id as in line 2.",
            "7: The same id as in line 4.",
        ]
    );
    assert!(!world.status(id).await.is_importable);
    // Also where so much lies between them that the first is stored already.
    let mut file = "id\n".to_owned();
    for number in 0..450 {
        writeln!(file, "u-{number}").unwrap();
    }
    file.push_str("u-0\n");
    let id = world.preview(&file).await;
    assert_eq!(world.counts(id).await, [449, 0, 0, 2, 0, 0]);
    let said = ["2: The same id as in line 452.", "452: The same id as in line 2."];
    assert_eq!(world.said(id, Kind::Conflict).await, said);
}

pub(crate) async fn an_id_that_another_user_has_is_a_conflict<E: Engine>() {
    let world = World::<E>::new().await;
    import(&world, "id\nada\ngrace\n").await;
    let id = world.preview("id,new_id\nada,grace\n").await;
    let said = ["2: Another user has the id grace."];
    assert_eq!(world.said(id, Kind::Conflict).await, said);
    let id = world.preview("id,new_id\nnobody,somebody\n").await;
    assert_eq!(world.counts(id).await, [0, 0, 0, 0, 1, 0]);
}

pub(crate) async fn an_email_that_another_user_has_is_a_warning<E: Engine>() {
    let world = World::<E>::new().await;
    import(&world, "id,email\nada,a@b.co\ngrace,g@b.co\n").await;
    let id = world.preview("id,email\nada,a@b.co\ngrace,a@b.co\nnew,a@b.co\nmary,m@b.co\n").await;
    assert_eq!(world.counts(id).await, [2, 1, 1, 0, 0, 2]);
    let said = [
        "3: The user ada has the e-mail a@b.co, too.",
        "4: The user ada has the e-mail a@b.co, too.",
    ];
    assert_eq!(world.said(id, Kind::Warning).await, said);
    assert!(world.status(id).await.is_importable);
}

pub(crate) async fn a_hundred_lines_of_a_kind_are_kept_and_all_that_are_imported<E: Engine>() {
    let world = World::<E>::new().await;
    let mut file = "id\n".to_owned();
    for number in 0..250 {
        writeln!(file, "u-{number}").unwrap();
    }
    let id = world.preview(&file).await;
    assert_eq!(world.lines(id, Kind::Create).await.len(), 250);
    world.test.apply_user_import(id).await.unwrap();
    let id = world.preview(&file).await;
    assert_eq!(world.counts(id).await, [0, 0, 250, 0, 0, 0]);
    assert_eq!(world.lines(id, Kind::Unchanged).await.len(), 100);
    let id = world.preview(&file.replace("u-", ",")).await;
    assert_eq!(world.counts(id).await, [0, 0, 0, 0, 250, 0]);
    assert_eq!(world.lines(id, Kind::Error).await.len(), 100);
}

pub(crate) async fn a_file_that_cannot_be_read_leaves_no_preview<E: Engine>() {
    let world = World::<E>::new().await;
    let utf16: Vec<u8> = "id\n1".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let endless = [b"id\n\"".to_vec(), vec![b'"'; 4_000_000]].concat();
    for (file, said) in [
        (utf16, "The file is UTF-16."),
        (b"id;name\n1;Ada\n".to_vec(), "The columns are separated by semicolons."),
        (b"id,phone\n".to_vec(), "There is no column \"phone\""),
        (endless, "The user that begins in line 2 has more than"),
        (b"".to_vec(), "The file is empty."),
    ] {
        let error = preview(&world.test, file, false).await.unwrap_err();
        assert!(matches!(error, UserImportError::File(_)), "{error:?}");
        assert!(error.to_string().starts_with(said), "{error}");
    }
    // None of them has taken a place.
    for _ in 0..2 {
        world.preview("id\n1\n").await;
    }
}
