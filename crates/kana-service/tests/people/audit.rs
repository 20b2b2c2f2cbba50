use kana_core::id::UserId;
use kana_core::user::User;
use kana_service::jobs::housekeeping;
use kana_service::{AuditQuery, AuditRow, EnvironmentKind, Role, SessionSecret, TrailQuery};
use kana_store::people::People as _;

use crate::world::{BOTH, PASSWORD, World, entries, visitor};

fn shown(row: &AuditRow) -> (&str, &str, Option<&str>) {
    (&row.actor, &row.action, row.subject.as_deref())
}

fn all() -> AuditQuery {
    AuditQuery { limit: 100, ..AuditQuery::default() }
}

#[tokio::test]
async fn whatever_changes_people_leaves_an_entry_without_a_secret() {
    let world = World::new().await;
    let token = world.keys.welcome.reveal();
    let accepted = world.kana.accept_invitation(&visitor(1), token, "ada@b.co", PASSWORD).await;
    let session = world.session(&accepted.ok().unwrap()).await.unwrap();
    let owner = session.owner().unwrap();
    let link = owner.invite("bob@b.co", Role::Viewer).await.ok().unwrap();
    let bob = owner.admins().await.unwrap().pop().unwrap().id;
    owner.set_role(bob, Role::Editor).await.unwrap();
    owner.set_role(bob, Role::Editor).await.unwrap();
    owner.rename_app("Meridian").await.unwrap();
    let reset = owner.reset_password(bob).await.ok().unwrap();
    owner.remove(bob).await.unwrap();
    let changed = session.change_password(&visitor(1), PASSWORD, "another password").await;
    let changed: SessionSecret = changed.ok().unwrap();
    world.sign_in("ada@b.co", "another password").await.ok().unwrap();

    let entries = world.entries().await;
    let (ada, bob) = ("ada@b.co", Some("bob@b.co"));
    assert_eq!(
        entries.iter().map(shown).collect::<Vec<_>>(),
        [
            (ada, "createAdmin", Some(ada)),
            (ada, "setPassword", Some(ada)),
            (ada, "createAdmin", bob),
            (ada, "setRole", bob),
            (ada, "renameApp", Some("app")),
            (ada, "resetPassword", bob),
            (ada, "removeAdmin", bob),
            (ada, "changePassword", Some(ada)),
            (ada, "signIn", Some(ada)),
        ]
    );
    let role = &entries[3];
    assert_eq!(role.before.as_deref(), Some(r#"{"role":"viewer"}"#));
    assert_eq!(role.after.as_deref(), Some(r#"{"role":"editor"}"#));
    assert_eq!(entries[4].before.as_deref(), Some(r#""story""#));
    let text = format!("{entries:?}");
    let hash = world.store.credentials(ada).await.unwrap().unwrap().password.unwrap();
    for secret in [
        token,
        link.reveal(),
        reset.reveal(),
        changed.reveal(),
        PASSWORD,
        "another password",
        &hash.0,
    ] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_by_the_minute_and_a_mistyped_email_is_not_told() {
    let world = World::new().await;
    world.admin("ada@example.com", Role::Owner).await;
    for email in ["ada@example.com", "my secret password!", "eve@example.com"] {
        for _ in 0..3 {
            assert!(world.sign_in(email, "a wrong password").await.is_err());
        }
    }
    let count = |entries: &[AuditRow], subject: Option<&str>| -> Vec<String> {
        let of = entries.iter().filter(|entry| entry.subject.as_deref() == subject);
        of.map(|entry| entry.after.clone().unwrap()).collect()
    };
    let one = r#"{"failures":1}"#;
    let entries = world.entries_of("failSignIn", 2).await;
    assert_eq!(count(&entries, Some("ada@example.com")), [one]);
    assert_eq!(count(&entries, None), [one]);
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    let entries = world.entries_of("failSignIn", 4).await;
    assert_eq!(count(&entries, Some("ada@example.com")), [one, r#"{"failures":2}"#]);
    assert_eq!(count(&entries, None), [one, r#"{"failures":5}"#]);
    assert!(!format!("{entries:?}").contains("my secret"));
}

#[tokio::test]
async fn what_was_counted_is_written_when_the_server_stops() {
    let world = World::new().await;
    let viewer = world.person(Role::Viewer).await;
    for _ in 0..3 {
        assert!(viewer.editor(EnvironmentKind::Live).is_err());
    }
    assert!(viewer.owner().is_err());
    world.entries_of("refuse", 2).await;
    drop(viewer);
    let World { kana, store, directory: _directory, .. } = world;
    kana.finish().await;
    let mut refused = entries(&store).await;
    refused.retain(|entry| entry.action == "refuse");
    assert_eq!(refused.len(), 3);
    assert_eq!(shown(&refused[0]), ("viewer@example.com", "refuse", Some("viewer@example.com")));
    let afters: Vec<_> = refused.iter().map(|entry| entry.after.as_deref().unwrap()).collect();
    let live = r#"{"role":"viewer","needs":"editor","environment":"live","times":"#;
    assert!(afters.contains(&format!("{live}1}}").as_str()), "{afters:?}");
    assert!(afters.contains(&format!("{live}2}}").as_str()), "{afters:?}");
}

#[tokio::test]
async fn both_environments_show_what_belongs_to_none_and_their_own() {
    let world = World::new().await;
    let session = world.person(Role::Editor).await;
    for (kind, id) in BOTH.into_iter().zip(["t", "l"]) {
        let user = User::named(UserId::new("id", id).unwrap());
        session.editor(kind).unwrap().create_user(user).await.unwrap();
    }
    let trail = TrailQuery { limit: 100, ..TrailQuery::default() };
    for (kind, id) in BOTH.into_iter().zip(["t", "l"]) {
        let page = session.view(kind).audit_trail(&trail).await.unwrap();
        let rows: Vec<_> = page.rows.iter().map(shown).collect();
        let editor = "editor@example.com";
        assert_eq!(
            rows,
            [
                (editor, "createUser", Some(id)),
                (editor, "signIn", Some(editor)),
                ("command line", "createAdmin", Some(editor)),
            ]
        );
        let of_key = world.kana.authorise_private(world.keys.test_private.reveal()).await.unwrap();
        let page = of_key.audit_log(&all()).await.unwrap();
        assert!(page.rows.iter().all(|row| row.kind == "user"));
    }
}

#[tokio::test]
async fn housekeeping_deletes_what_has_ended() {
    let world = World::new().await;
    world.person(Role::Viewer).await;
    world.set(500 * 24 * 60 * 60);
    assert_eq!(world.entries().await.len(), 2);
    let id = world.store.admins().await.unwrap()[0].id;
    assert_eq!(world.store.sessions_of(id).await.unwrap().len(), 1);
    housekeeping(&world.kana).run_now().await.unwrap();
    assert_eq!(world.entries().await.len(), 0);
    assert_eq!(world.store.sessions_of(id).await.unwrap().len(), 0);
    assert_eq!(world.store.admins().await.unwrap().len(), 1);
}
