//! Users that leave as a file and come back as one.

use std::fmt::Write as _;

use axum::http::StatusCode;
use kana_core::configuration::Configuration;
use kana_core::id::UserId;
use kana_service::Role;
use kana_service::jobs::{JobRunner, housekeeping};
use serde_json::json;

use crate::person::Person;
use crate::world::World;

const FILE: &str = "id,name,email,billing_id,metadata\r\n\
    ada,\"King, Ada\",ada@b.co,cus_1,\"{\"\"a\"\":1}\"\r\n\
    /Measures,'=1+1,,,\r\n";

/// Chooses a file and looks at what it would do.
async fn preview(person: &mut Person, file: impl Into<Vec<u8>>) -> StatusCode {
    person.visit("/dashboard/test/users/import").await;
    let form = person.form("Import users").attach("CSV file", file);
    person.submit(form, "Preview").await
}

async fn import(person: &mut Person, file: &str) {
    assert_eq!(preview(person, file).await, StatusCode::OK);
    let form = person.form("Import");
    assert_eq!(person.submit(form, "Import users").await, StatusCode::OK);
}

fn summary(person: &Person) -> Vec<String> {
    person.table("Summary").into_iter().map(|row| row.join(" ")).collect()
}

#[tokio::test]
async fn a_file_is_previewed_and_imported() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    editor.visit("/dashboard/test/users").await;
    editor.follow("Import CSV").await;
    assert_eq!(editor.heading(), "Import users");
    import(&mut editor, FILE).await;
    assert_eq!(editor.status_text(), "Imported: 2 created, 0 updated, 0 unchanged.");
    assert!(editor.address().starts_with("/dashboard/test/users/import/result?id="));

    assert_eq!(preview(&mut editor, FILE).await, StatusCode::OK);
    assert!(editor.main().contains("to import it changes nothing."));
    assert_eq!(preview(&mut editor, "id,name\n").await, StatusCode::OK);
    assert!(editor.main().contains("no line below its heading"));
    let file = "name,id,packages\nAda,ada,pro\n,/Measures,\nGrace,grace,\n";
    assert_eq!(preview(&mut editor, file).await, StatusCode::OK);
    assert_eq!(editor.heading(), "Preview");
    assert!(editor.address().starts_with("/dashboard/test/users/import/preview?id="));
    let counts = ["Create 1", "Update 1", "Unchanged 1", "Conflict 0", "Error 0"];
    assert_eq!(summary(&editor), counts);
    assert_eq!(editor.table("Update"), [["2", "ada", "name", "King, Ada", "Ada"]]);
    assert_eq!(editor.table("Create"), [["4", "grace", "Grace", "–"]]);
    assert_eq!(editor.table("Unchanged"), [["3", "/Measures"]]);
    assert!(editor.main().contains("The column packages is ignored"));
    let address = editor.address().to_owned();
    let form = editor.form("Import");
    editor.submit(form.clone(), "Import users").await;
    assert_eq!(editor.status_text(), "Imported: 1 created, 1 updated, 1 unchanged.");
    // Sent twice, or looked at again, it is what was done.
    editor.submit(form, "Import users").await;
    assert_eq!(editor.status_text(), "Imported: 1 created, 1 updated, 1 unchanged.");
    editor.visit(&address).await;
    assert_eq!(editor.status_text(), "Imported: 1 created, 1 updated, 1 unchanged.");

    editor.visit("/dashboard/test/audit").await;
    let rows = editor.table("Changes");
    assert_eq!(rows[0][1..3], ["editor@meridian.example", "Imported users"]);
    editor.follow(&rows[0][4]).await;
    let differences = editor.table("Before and after");
    let created = ["Created changed", "–", "1"].map(str::to_owned).to_vec();
    assert!(differences.contains(&created), "{differences:?}");
}

#[tokio::test]
async fn empty_cells_clear_values_where_that_is_wanted() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    import(&mut editor, FILE).await;
    editor.visit("/dashboard/test/users/import").await;
    let form = editor.form("Import users").tick("Empty cells clear values");
    editor.submit(form.attach("CSV file", "id,name\nada,\n"), "Preview").await;
    assert_eq!(editor.table("Update"), [["2", "ada", "name", "King, Ada", "–"]]);
    assert!(editor.main().contains("Empty cells clear values."));
    preview(&mut editor, "id,name\nada,\n").await;
    assert_eq!(summary(&editor)[2], "Unchanged 1");
}

#[tokio::test]
async fn with_a_conflict_or_an_error_there_is_no_button() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    let file = "id,name\nada,Ada\nada,Ada\ngrace,\"Gr\"ace\nalan,Alan\n";
    assert_eq!(preview(&mut editor, file).await, StatusCode::OK);
    let counts = ["Create 1", "Update 0", "Unchanged 0", "Conflict 2", "Error 1"];
    assert_eq!(summary(&editor), counts);
    assert!(!editor.has("main button"));
    assert!(editor.alert().starts_with("There is a problem"));
    assert_eq!(editor.link("2 conflicts"), "#conflict");
    assert_eq!(editor.link("1 error"), "#error");
    assert_eq!(editor.table("Error")[0][..2], ["4", "10"]);
    let conflicts =
        [["2", "ada", "The same id as in line 3."], ["3", "ada", "The same id as in line 2."]];
    assert_eq!(editor.table("Conflict"), conflicts);
    // The line that became a conflict is no new user.
    assert_eq!(editor.table("Create"), [["5", "alan", "Alan", "–"]]);
    // Whoever sends the form all the same is refused.
    let address = editor.address().to_owned();
    preview(&mut editor, "id\nada\n").await;
    let mut form = editor.form("Import");
    form = form.lead_to(&address);
    let status = editor.submit(form, "Import users").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(editor.main().contains("This file cannot be imported as it is."));
}

#[tokio::test]
async fn a_warning_of_an_email_keeps_nobody_from_importing() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    import(&mut editor, FILE).await;
    preview(&mut editor, "id,email\ngrace,ada@b.co\n").await;
    let warning = ["2", "grace", "The user ada has the e-mail ada@b.co, too."];
    assert_eq!(editor.table("Warning"), [warning]);
    editor.form("Import");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_refused_with_the_form() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    let utf16: Vec<u8> = "\u{feff}id\tname".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let quotes = [b"id\n".to_vec(), vec![b'"'; 8_000_000]].concat();
    for (file, said) in [
        (utf16, "The file is UTF-16."),
        (b"id;name\r\nada;Ada\r\n".to_vec(), "The columns are separated by semicolons."),
        (b"id,telephone\nada,1\n".to_vec(), "There is no column \"telephone\""),
        (quotes, "The user that begins in line 2 has more than"),
        (Vec::new(), "The file is empty."),
    ] {
        assert_eq!(preview(&mut editor, file).await, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(editor.heading(), "Import users");
        assert!(editor.alert().contains(said), "{}", editor.alert());
        assert!(editor.has("#f-file[aria-invalid=true]"));
    }
    editor.visit("/dashboard/test/users/import").await;
    let form = editor.form("Import users");
    assert_eq!(editor.submit(form, "Preview").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(editor.alert().contains("Choose a file."));
}

#[tokio::test]
async fn many_users_are_imported_in_the_background() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    let mut file = "id\n".to_owned();
    for number in 0..1100 {
        writeln!(file, "u-{number}").unwrap();
    }
    import(&mut editor, &file).await;
    assert_eq!(
        editor.status_text(),
        "0 of 1,100 users are imported. It goes on by itself, also when you leave."
    );
    let runner = JobRunner::start(&world.kana, housekeeping(&world.kana));
    let done = async {
        while editor.status_text().contains("goes on") {
            editor.follow("Look again").await;
            // The jobs have their turn, too.
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), done).await.unwrap();
    runner.stopped().await;
    assert_eq!(editor.status_text(), "Imported: 1,100 created, 0 updated, 0 unchanged.");
}

#[tokio::test]
async fn what_no_longer_fits_is_told_by_line() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    preview(&mut editor, "id\nada\ngrace\n").await;
    let form = editor.form("Import");
    let key = world.keys.test_private.reveal();
    let test = world.kana.authorise_private(key).await.unwrap();
    let ada = UserId::new("id", "ada").unwrap();
    test.create_user(kana_core::user::User::named(ada)).await.unwrap();
    editor.submit(form, "Import users").await;
    assert_eq!(editor.status_text(), "Imported: 1 created, 0 updated, 0 unchanged.");
    let left = ["2", "ada", "A user with the id ada exists already."];
    assert_eq!(editor.table("Left alone"), [left]);
    assert!(editor.main().contains("1 line no longer fitted"));
}

#[tokio::test]
async fn users_are_exported_and_come_back_unchanged() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    import(&mut editor, FILE).await;
    let mut more = "id\n".to_owned();
    for number in 0..250 {
        writeln!(more, "u-{number:03}").unwrap();
    }
    import(&mut editor, &more).await;
    editor.visit("/dashboard/test/users").await;
    editor.follow("Export CSV").await;
    assert_eq!(editor.header("content-type"), Some("text/csv; charset=utf-8"));
    let name = "attachment; filename=\"kana-test-users-2026-11-29.csv\"";
    assert_eq!(editor.header("content-disposition"), Some(name));
    let file = editor.text().to_owned();
    let head = "id,name,email,billing_id,metadata,packages\r\n\
        ada,\"King, Ada\",ada@b.co,cus_1,\"{\"\"a\"\":1}\",\r\n\
        /Measures,'=1+1,,,,\r\nu-000,,,,,\r\n";
    assert!(file.starts_with(head), "{}", &file[..200]);
    assert_eq!(file.lines().count(), 253);
    preview(&mut editor, file).await;
    let counts = ["Create 0", "Update 0", "Unchanged 252", "Conflict 0", "Error 0"];
    assert_eq!(summary(&editor), counts);
    assert!(editor.main().contains("The first 100 of 252."));
    editor.visit("/dashboard/test/audit?kind=user").await;
    assert_eq!(editor.table("Changes")[0][2], "Exported users");
}

/// Publishes a package in live, as a pricing file does.
async fn publish_live(world: &World, package: &str) {
    let nothing = json!({ "draft": [], "published": [] });
    let configuration = Configuration::read(&json!({
        "app": "Meridian API", "version": "1.0.0", "features": [{ "id": "seats", "name": "Seats",
        "type": "CONSUMABLE" }],
        "packages": { "draft": [], "published": [{ "id": package, "name": "Pro",
            "features": [{ "id": "seats", "limit": 5 }] }] },
        "addons": nothing,
    }));
    let live = world.kana.authorise_private(world.keys.live_private.reveal()).await.unwrap();
    live.publish(configuration.unwrap(), None).await.unwrap();
}

#[tokio::test]
async fn the_packages_of_a_user_are_exported() {
    let world = World::new().await;
    let mut owner = world.person(Role::Owner).await;
    publish_live(&world, "pro").await;
    world.subscribe_live("ada", "pro").await;
    owner.visit("/dashboard/live/users.csv").await;
    assert!(owner.text().ends_with("\r\nada,,,,,pro\r\n"), "{}", owner.text());
    let name = "attachment; filename=\"kana-live-users-2026-11-29.csv\"";
    assert_eq!(owner.header("content-disposition"), Some(name));
    // The file has what the list shows.
    for (query, is_there) in [
        ("search=AD", true),
        ("search=b", false),
        ("package=pro", true),
        ("search=a&package=pro", true),
    ] {
        owner.visit(&format!("/dashboard/live/users?{query}")).await;
        owner.follow("Export CSV").await;
        assert_eq!(owner.text().contains("\r\nada,"), is_there, "{query}");
    }
    assert_eq!(
        owner.visit("/dashboard/live/users.csv?package=absent").await,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_viewer_takes_nothing_away_and_brings_nothing() {
    let world = World::new().await;
    let mut viewer = world.person(Role::Viewer).await;
    viewer.visit("/dashboard/test/users").await;
    assert!(!viewer.has_link("Import CSV") && !viewer.has_link("Export CSV"));
    for page in ["users.csv", "users/import", "users/import/preview", "users/import/result"] {
        let status = viewer.visit(&format!("/dashboard/test/{page}")).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{page}");
    }
}

#[tokio::test]
async fn a_preview_of_the_other_environment_is_not_found() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    preview(&mut editor, "id\nada\n").await;
    let live = editor.address().replace("/test/", "/live/");
    let form = editor.form("Import").lead_to(&live);
    assert_eq!(editor.submit(form, "Import users").await, StatusCode::NOT_FOUND);
    assert_eq!(editor.visit(&live).await, StatusCode::NOT_FOUND);
    for id in ["", "x", "00000000-0000-0000-0000-000000000001"] {
        let address = format!("/dashboard/test/users/import/preview?id={id}");
        assert_eq!(editor.visit(&address).await, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_forged_file_is_not_read() {
    let world = World::new().await;
    let mut editor = world.person(Role::Editor).await;
    editor.visit("/dashboard/test/users/import").await;
    let form = editor.form("Import users").attach("CSV file", "id\nada\n");
    let status = editor.submit(form.clone().forge("csrf", "forged"), "Preview").await;
    assert_eq!((status, editor.heading().as_str()), (StatusCode::FORBIDDEN, "Not allowed"));
    // The file before the token: nothing of it is looked at.
    let late = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n\
        id\r\n--b--\r\n";
    let media_type = "multipart/form-data; boundary=b";
    let headers = [("sec-fetch-site", "same-origin")];
    let address = "/dashboard/test/users/import";
    let status = editor.send_body(address, (media_type, late.into()), &headers).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    // A head that never ends is not collected.
    let mut endless = b"--b\r\nContent-Disposition: form-data; name=\"".to_vec();
    endless.resize(2_000_000, b'a');
    let status = editor.send_body(address, (media_type, endless), &headers).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let status = editor.submit(form, "Preview").await;
    assert_eq!((status, editor.heading().as_str()), (StatusCode::OK, "Preview"));
}
