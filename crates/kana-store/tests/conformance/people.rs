//! Admins, their sessions, invitations, and the audit log's entries of no environment.

use futures_util::future::join_all;
use kana_core::Timestamp;
use kana_core::change::AuditKind;
use kana_store::feed::{AuditQuery, NewAuditEntry};
use kana_store::people::{
    Admin, AdminId, FORM_KEPT_MS, INVITATIONS_MAX, Invitee, NewAdmin, NewInvitation, PasswordHash,
    Role, SESSIONS_MAX, SecretHash, Session,
};
use kana_store::{Store, WriteTransaction};
use uuid::Uuid;

use crate::Engine;
use crate::world::{BEGINNING, World, time};

fn at(seconds: i64) -> Timestamp {
    time(BEGINNING).saturating_add_ms(seconds * 1000)
}

fn secret(number: usize) -> SecretHash {
    let mut hash = [0x5A; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    SecretHash(hash)
}

fn new_admin(email: &str, role: Role) -> NewAdmin {
    let email_folded = email.to_lowercase();
    NewAdmin { email: email.to_owned(), email_folded, role, created_at: at(0) }
}

fn session(number: usize, admin: AdminId, created_at: Timestamp) -> Session {
    Session {
        hash: secret(number),
        admin,
        created_at,
        last_seen_at: created_at,
        ends_at: created_at.saturating_add_ms(1_000_000),
        address: "2001:db8::1".to_owned(),
        browser: "Mozilla/5.0 (é)".to_owned(),
    }
}

fn invitation(number: usize, invitee: Invitee) -> NewInvitation {
    NewInvitation { hash: secret(number), invitee, created_at: at(0), expires_at: at(100) }
}

/// Begins to change people.
async fn begin(store: &dyn Store) -> Box<dyn WriteTransaction> {
    let mut transaction = store.write().await.unwrap();
    assert!(transaction.lock_people().await.unwrap().is_some());
    transaction
}

/// Runs changes of people in a transaction of their own. Returns what the last expression is.
macro_rules! change {
    ($store:expr, |$transaction:ident| $body:expr) => {{
        let mut $transaction = begin($store.as_ref()).await;
        let changed = $body;
        $transaction.commit().await.unwrap();
        changed
    }};
}

async fn add<E: Engine>(world: &World<E>, email: &str, role: Role) -> AdminId {
    let new = new_admin(email, role);
    change!(world.store, |transaction| transaction.add_admin(&new).await.unwrap()).unwrap()
}

pub(crate) async fn without_an_app_there_are_no_people<E: Engine>() {
    let database = E::empty().await;
    let store = E::open(&database).await;
    assert_eq!(store.admins().await.unwrap(), []);
    assert_eq!(store.write().await.unwrap().lock_people().await.unwrap(), None);
}

pub(crate) async fn an_admin_is_kept_with_everything_and_changes<E: Engine>() {
    let world = World::<E>::new().await;
    let id = add(&world, "Ada@Example.com", Role::Viewer).await;
    let other = add(&world, "bob@example.com", Role::Owner).await;
    assert!(id < other);
    let mut ada = Admin {
        id,
        email: "Ada@Example.com".to_owned(),
        role: Role::Viewer,
        has_password: false,
        created_at: at(0),
        last_sign_in_at: None,
    };
    assert_eq!(world.store.admins().await.unwrap()[0], ada);
    let found = world.store.credentials("ada@example.com").await.unwrap().unwrap();
    assert_eq!((found.admin, found.password), (ada.clone(), None));
    assert_eq!(world.store.credentials("Ada@Example.com").await.unwrap(), None);

    let hash = PasswordHash("$argon2id$…".to_owned());
    change!(world.store, |transaction| {
        transaction.set_password(id, Some(&hash)).await.unwrap();
        transaction.set_role(id, Role::Editor).await.unwrap();
        transaction.note_sign_in(id, at(7)).await.unwrap();
    });
    (ada.has_password, ada.role, ada.last_sign_in_at) = (true, Role::Editor, Some(at(7)));
    let world = world.opened_again().await;
    let found = world.store.credentials("ada@example.com").await.unwrap().unwrap();
    assert_eq!((found.admin, found.password.as_ref()), (ada, Some(&hash)));
    assert!(!format!("{:?}", found.password).contains("argon2"));
    let bob = &world.store.admins().await.unwrap()[1];
    assert_eq!((bob.role, bob.has_password), (Role::Owner, false));

    change!(world.store, |transaction| transaction.set_password(id, None).await.unwrap());
    let found = world.store.credentials("ada@example.com").await.unwrap().unwrap();
    assert_eq!((found.admin.has_password, found.password), (false, None));
}

pub(crate) async fn an_email_belongs_to_one_admin_whatever_the_case<E: Engine>() {
    let world = World::<E>::new().await;
    add(&world, "ada@example.com", Role::Owner).await;
    let again = new_admin("ADA@example.com", Role::Viewer);
    let added = change!(world.store, |transaction| transaction.add_admin(&again).await.unwrap());
    assert_eq!(added, None);
    assert_eq!(world.store.admins().await.unwrap().len(), 1);
}

pub(crate) async fn a_number_of_an_admin_is_not_used_again<E: Engine>() {
    let world = World::<E>::new().await;
    let first = add(&world, "ada@example.com", Role::Owner).await;
    change!(world.store, |transaction| transaction.remove_admin(first).await.unwrap());
    assert!(first < add(&world, "ada@example.com", Role::Owner).await);
}

pub(crate) async fn a_removed_admin_has_no_sessions_and_no_invitations<E: Engine>() {
    let world = World::<E>::new().await;
    let ada = add(&world, "ada@example.com", Role::Owner).await;
    let bob = add(&world, "bob@example.com", Role::Owner).await;
    change!(world.store, |transaction| {
        for (number, admin) in [(1, ada), (2, bob)] {
            transaction.add_session(&session(number, admin, at(0))).await.unwrap();
            let invitation = invitation(number, Invitee::Admin(admin));
            assert!(transaction.add_invitation(&invitation).await.unwrap());
        }
    });
    change!(world.store, |transaction| transaction.remove_admin(ada).await.unwrap());
    for (number, is_there) in [(1, false), (2, true)] {
        let session = world.store.session(secret(number)).await.unwrap();
        assert_eq!(session.is_some(), is_there);
        let invitation = world.store.invitation(secret(number), at(1)).await.unwrap();
        assert_eq!(invitation.is_some(), is_there);
    }
    let left = world.store.admins().await.unwrap();
    assert_eq!(left.iter().map(|admin| admin.id).collect::<Vec<_>>(), [bob]);
}

pub(crate) async fn a_session_is_found_with_its_admin_and_the_app<E: Engine>() {
    let world = World::<E>::new().await;
    let ada = add(&world, "ada@example.com", Role::Editor).await;
    let kept = session(1, ada, at(5));
    change!(world.store, |transaction| transaction.add_session(&kept).await.unwrap());
    let found = world.store.session(secret(1)).await.unwrap().unwrap();
    assert_eq!(found.session, kept);
    assert_eq!((found.admin.id, found.admin.role), (ada, Role::Editor));
    assert_eq!(found.app.name, "Kana");
    assert_eq!(world.store.session(secret(2)).await.unwrap(), None);

    world.store.note_seen(secret(1), at(9), at(99)).await.unwrap();
    world.store.note_seen(secret(1), at(7), at(77)).await.unwrap();
    world.store.note_seen(secret(2), at(9), at(99)).await.unwrap();
    let found = world.store.session(secret(1)).await.unwrap().unwrap().session;
    assert_eq!((found.last_seen_at, found.ends_at, found.created_at), (at(9), at(99), at(5)));
    assert_eq!(world.store.sessions_of(ada).await.unwrap(), [found]);
}

pub(crate) async fn one_session_too_many_ends_the_oldest_of_the_admin<E: Engine>() {
    let world = World::<E>::new().await;
    let ada = add(&world, "ada@example.com", Role::Owner).await;
    let bob = add(&world, "bob@example.com", Role::Owner).await;
    change!(world.store, |transaction| {
        transaction.add_session(&session(1000, bob, at(-1))).await.unwrap();
        for number in 0..SESSIONS_MAX + 3 {
            let created_at = at(i64::try_from(number).unwrap());
            transaction.add_session(&session(number, ada, created_at)).await.unwrap();
        }
    });
    let left = world.store.sessions_of(ada).await.unwrap();
    let hashes: Vec<SecretHash> = left.iter().map(|session| session.hash).collect();
    assert_eq!(hashes, (3..SESSIONS_MAX + 3).rev().map(secret).collect::<Vec<_>>());
    assert_eq!(world.store.sessions_of(bob).await.unwrap().len(), 1);
    // The newest one stays, though the clock was set back.
    change!(world.store, |transaction| {
        transaction.add_session(&session(2000, ada, at(-100))).await.unwrap();
    });
    assert!(world.store.session(secret(2000)).await.unwrap().is_some());
    assert_eq!(world.store.sessions_of(ada).await.unwrap().len(), SESSIONS_MAX);
}

pub(crate) async fn sessions_end_one_by_one_or_all_but_one_or_all<E: Engine>() {
    let world = World::<E>::new().await;
    let ada = add(&world, "ada@example.com", Role::Owner).await;
    let bob = add(&world, "bob@example.com", Role::Owner).await;
    change!(world.store, |transaction| {
        transaction.add_session(&session(10, bob, at(0))).await.unwrap();
        for number in 0..4 {
            transaction.add_session(&session(number, ada, at(0))).await.unwrap();
        }
    });
    for (step, expected) in [3, 1, 0].into_iter().enumerate() {
        change!(world.store, |transaction| match step {
            0 => transaction.end_session(secret(3)).await.unwrap(),
            1 => transaction.end_sessions(ada, Some(secret(1))).await.unwrap(),
            _ => transaction.end_sessions(ada, None).await.unwrap(),
        });
        let left = world.store.sessions_of(ada).await.unwrap();
        assert_eq!(left.len(), expected);
        assert!(left.is_empty() || left.iter().any(|session| session.hash == secret(1)));
        assert_eq!(world.store.sessions_of(bob).await.unwrap().len(), 1);
    }
}

pub(crate) async fn an_invitation_works_once_and_until_it_expires<E: Engine>() {
    let world = World::<E>::new().await;
    let ada = add(&world, "ada@example.com", Role::Editor).await;
    change!(world.store, |transaction| {
        let of_ada = invitation(1, Invitee::Admin(ada));
        let of_anyone = invitation(2, Invitee::Anyone(Role::Owner));
        assert!(transaction.add_invitation(&of_ada).await.unwrap());
        assert!(transaction.add_invitation(&of_anyone).await.unwrap());
    });
    let open = world.store.invitation(secret(1), at(99)).await.unwrap().unwrap();
    assert_eq!((open.admin.map(|admin| admin.id), open.role), (Some(ada), Role::Editor));
    let open = world.store.invitation(secret(2), at(99)).await.unwrap().unwrap();
    assert_eq!((open.admin, open.role), (None, Role::Owner));
    assert_eq!(world.store.invitation(secret(1), at(100)).await.unwrap(), None);
    assert_eq!(world.store.invitation(secret(3), at(1)).await.unwrap(), None);

    let uses = async |number, now| {
        change!(world.store, |transaction| transaction
            .use_invitation(secret(number), at(now))
            .await
            .unwrap()
            .is_some())
    };
    assert!(!uses(1, 100).await, "it has expired");
    assert!(uses(1, 99).await);
    assert!(!uses(1, 1).await, "it was used");
    assert_eq!(world.store.invitation(secret(1), at(1)).await.unwrap(), None);
    change!(world.store, |transaction| transaction.withdraw_invitations(ada).await.unwrap());
    assert!(uses(2, 99).await);
}

pub(crate) async fn of_many_who_use_an_invitation_at_once_one_does<E: Engine>() {
    let world = World::<E>::new().await;
    change!(world.store, |transaction| {
        let of_anyone = invitation(1, Invitee::Anyone(Role::Owner));
        assert!(transaction.add_invitation(&of_anyone).await.unwrap());
    });
    let uses = (0..8).map(|number| {
        let store = world.store.clone();
        tokio::spawn(async move {
            let mut transaction = begin(store.as_ref()).await;
            let used = transaction.use_invitation(secret(1), at(1)).await.unwrap();
            if used.is_none() {
                return false;
            }
            let new = new_admin(&format!("{number}@example.com"), Role::Owner);
            transaction.add_admin(&new).await.unwrap().unwrap();
            transaction.commit().await.unwrap();
            true
        })
    });
    let used = join_all(uses).await.into_iter().filter(|used| *used.as_ref().unwrap()).count();
    assert_eq!(used, 1);
    assert_eq!(world.store.admins().await.unwrap().len(), 1);
}

pub(crate) async fn an_admin_has_one_invitation_and_all_have_a_hundred<E: Engine>() {
    let world = World::<E>::new().await;
    let ada = add(&world, "ada@example.com", Role::Editor).await;
    change!(world.store, |transaction| {
        for number in 0..INVITATIONS_MAX + 5 {
            let of_ada = invitation(number, Invitee::Admin(ada));
            assert!(transaction.add_invitation(&of_ada).await.unwrap());
        }
        assert!(transaction.use_invitation(secret(0), at(1)).await.unwrap().is_none());
        for number in 1000..1000 + INVITATIONS_MAX - 1 {
            let of_anyone = invitation(number, Invitee::Anyone(Role::Viewer));
            assert!(transaction.add_invitation(&of_anyone).await.unwrap());
        }
        let one_more = invitation(2000, Invitee::Anyone(Role::Viewer));
        assert!(!transaction.add_invitation(&one_more).await.unwrap());
        // One that is used or has expired makes room.
        assert!(transaction.use_invitation(secret(1000), at(1)).await.unwrap().is_some());
        assert!(transaction.add_invitation(&one_more).await.unwrap());
        let later = NewInvitation {
            created_at: at(100),
            expires_at: at(200),
            ..invitation(2001, Invitee::Anyone(Role::Viewer))
        };
        assert!(transaction.add_invitation(&later).await.unwrap());
    });
}

pub(crate) async fn what_has_ended_is_forgotten_and_nothing_else<E: Engine>() {
    let world = World::<E>::new().await;
    let ada = add(&world, "ada@example.com", Role::Editor).await;
    change!(world.store, |transaction| {
        for number in 0..5 {
            let ends_at = at(i64::try_from(number).unwrap());
            let session = Session { ends_at, ..session(number, ada, at(0)) };
            transaction.add_session(&session).await.unwrap();
        }
        for (number, expires_at) in [(1, at(3)), (2, at(4))] {
            let of_anyone = invitation(number, Invitee::Anyone(Role::Viewer));
            let invitation = NewInvitation { expires_at, ..of_anyone };
            assert!(transaction.add_invitation(&invitation).await.unwrap());
        }
    });
    assert_eq!(world.store.forget_ended(at(3), 2).await.unwrap(), 3);
    assert_eq!(world.store.forget_ended(at(3), 2).await.unwrap(), 2);
    assert_eq!(world.store.forget_ended(at(3), 2).await.unwrap(), 0);
    let left = world.store.sessions_of(ada).await.unwrap();
    assert_eq!(left.iter().map(|session| session.hash).collect::<Vec<_>>(), [secret(4)]);
    assert!(world.store.invitation(secret(2), at(3)).await.unwrap().is_some());
}

pub(crate) async fn a_form_is_claimed_by_one_and_leads_all_others_to_what_it_made<E: Engine>() {
    let world = World::<E>::new().await;
    let store = &world.store;
    let claims = join_all((0..4).map(|_| store.claim_form(secret(1), at(0)))).await;
    let claimed = claims.into_iter().map(Result::unwrap).filter(Option::is_none).count();
    assert_eq!(claimed, 1);
    assert_eq!(store.claim_form(secret(1), at(0)).await.unwrap(), Some(String::new()));
    store.settle_form(secret(1), Some("/dashboard/test/user?id=a")).await.unwrap();
    let led_to = store.claim_form(secret(1), at(1)).await.unwrap();
    assert_eq!(led_to.as_deref(), Some("/dashboard/test/user?id=a"));
    // One that failed is sent again.
    assert_eq!(store.claim_form(secret(2), at(0)).await.unwrap(), None);
    store.settle_form(secret(2), None).await.unwrap();
    assert_eq!(store.claim_form(secret(2), at(60)).await.unwrap(), None);
    let day = FORM_KEPT_MS / 1000;
    assert_eq!(store.forget_ended(at(day - 1), 10).await.unwrap(), 0);
    assert_eq!(store.forget_ended(at(day), 10).await.unwrap(), 1);
    assert_eq!(store.claim_form(secret(2), at(day)).await.unwrap(), Some(String::new()));
    assert_eq!(store.claim_form(secret(1), at(day)).await.unwrap(), None);
}

/// Removes an admin if another owner is left, as the service does.
async fn remove_unless_last(store: &dyn Store, id: AdminId) -> bool {
    let mut transaction = begin(store).await;
    let admins = transaction.locked_admins().await.unwrap();
    let owners = admins.iter().filter(|admin| admin.role == Role::Owner).count();
    if owners == 1 || !admins.iter().any(|admin| admin.id == id) {
        return false;
    }
    transaction.remove_admin(id).await.unwrap();
    transaction.commit().await.unwrap();
    true
}

pub(crate) async fn of_owners_who_are_all_removed_at_once_one_is_left<E: Engine>() {
    let world = World::<E>::new().await;
    let mut owners = Vec::new();
    for number in 0..6 {
        owners.push(add(&world, &format!("{number}@example.com"), Role::Owner).await);
    }
    let removals = owners.into_iter().map(|id| {
        let store = world.store.clone();
        tokio::spawn(async move { remove_unless_last(store.as_ref(), id).await })
    });
    let removed = join_all(removals).await.into_iter().filter(|it| *it.as_ref().unwrap()).count();
    assert_eq!(removed, 5);
    assert_eq!(world.store.admins().await.unwrap().len(), 1);
}

pub(crate) async fn people_that_are_not_committed_are_not_there<E: Engine>() {
    let world = World::<E>::new().await;
    let mut transaction = begin(world.store.as_ref()).await;
    let id = transaction.add_admin(&new_admin("ada@b.c", Role::Owner)).await.unwrap().unwrap();
    transaction.add_session(&session(1, id, at(0))).await.unwrap();
    transaction.set_app_name("Other").await.unwrap();
    transaction.audit_app(vec![entry("signIn", at(0))]).await.unwrap();
    drop(transaction);
    assert_eq!(world.store.admins().await.unwrap(), []);
    assert_eq!(world.store.session(secret(1)).await.unwrap(), None);
    assert_eq!(world.store.app().await.unwrap().unwrap().name, "Kana");
    assert_eq!(actions(&world, &all()).await, [""; 0]);
}

pub(crate) async fn the_app_gets_another_name<E: Engine>() {
    let world = World::<E>::new().await;
    change!(world.store, |transaction| transaction.set_app_name("Käse 🧀").await.unwrap());
    let world = world.opened_again().await;
    assert_eq!(world.store.app().await.unwrap().unwrap().name, "Käse 🧀");
}

pub(crate) fn entry(action: &'static str, at: Timestamp) -> NewAuditEntry {
    NewAuditEntry {
        id: Uuid::now_v7(),
        at,
        actor: "ada@example.com".to_owned(),
        action,
        kind: AuditKind::Person,
        subject: Some("ada@example.com".to_owned()),
        before: None,
        after: Some("{}".to_owned()),
        request_id: None,
    }
}

fn all() -> AuditQuery {
    AuditQuery { limit: 100, ..AuditQuery::default() }
}

async fn actions<E: Engine>(world: &World<E>, query: &AuditQuery) -> Vec<String> {
    let page = world.store.audit_log_of_app(query).await.unwrap();
    page.rows.into_iter().map(|row| row.action).collect()
}

pub(crate) async fn entries_of_no_environment_are_in_no_environments_log<E: Engine>() {
    let world = World::<E>::new().await;
    change!(world.store, |transaction| {
        transaction.audit_app(vec![entry("one", at(1)), entry("two", at(2))]).await.unwrap();
        transaction.append(world.test, crate::feed::of_every_shape()).await.unwrap();
    });
    assert_eq!(actions(&world, &all()).await, ["two", "one"]);
    let newest = AuditQuery { limit: 1, ..all() };
    assert_eq!(actions(&world, &newest).await, ["two"]);
    let of_kind = AuditQuery { kind: Some(AuditKind::Setting), ..all() };
    assert_eq!(actions(&world, &of_kind).await, [""; 0]);
    let of_ada = AuditQuery { subject: Some("ada@example.com".to_owned()), ..all() };
    assert_eq!(actions(&world, &of_ada).await, ["two", "one"]);
    for (environment, expected) in [(world.test, 2), (world.live, 0)] {
        let page = world.store.audit_log(environment, &all()).await.unwrap();
        assert_eq!(page.rows.len(), expected);
        assert!(page.rows.iter().all(|row| row.kind != "person"));
        assert_eq!(world.store.forget_audit_log(environment, at(2), 10).await.unwrap(), 0);
    }
    assert_eq!(world.store.forget_audit_log_of_app(at(2), 10).await.unwrap(), 1);
    assert_eq!(actions(&world, &all()).await, ["two"]);
}
