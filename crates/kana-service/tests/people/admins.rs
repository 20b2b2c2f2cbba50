use futures_util::future::join_all;
use kana_service::{
    AdminError, Role, SignInError, WhichAdmin, list_admins, remove_admin, reset_password,
    set_ready_password,
};

use crate::world::{COMMAND_LINE, PASSWORD, World};

#[tokio::test]
async fn the_last_owner_stays_an_owner() {
    let world = World::new().await;
    let session = world.person(Role::Owner).await;
    let (owner, id) = (session.owner().unwrap(), session.admin_id());
    world.admin("editor@example.com", Role::Editor).await;
    assert!(matches!(owner.remove(id).await, Err(AdminError::LastOwner)));
    assert!(matches!(owner.set_role(id, Role::Editor).await, Err(AdminError::LastOwner)));
    let (store, clock) = (world.store.as_ref(), world.clock.as_ref());
    let which = WhichAdmin::Email("OWNER@example.com");
    let removed = remove_admin(store, clock, COMMAND_LINE, which).await;
    assert!(matches!(removed, Err(AdminError::LastOwner)));

    world.admin("second@example.com", Role::Owner).await;
    owner.set_role(id, Role::Viewer).await.unwrap();
    let again = owner.invite("ada@example.com", Role::Viewer).await;
    assert!(matches!(again, Err(AdminError::NotAllowed)), "whoever asks is no owner any more");
}

#[tokio::test]
async fn of_two_owners_who_remove_each_other_at_once_one_is_left() {
    let world = World::new().await;
    let first = world.person(Role::Owner).await;
    world.admin("second@example.com", Role::Owner).await;
    let second = world.signed_in("second@example.com").await;
    let (one, other) = (first.owner().unwrap(), second.owner().unwrap());
    let removals = [one.remove(second.admin_id()), other.remove(first.admin_id())];
    let removed = join_all(removals).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(removed, 1);
    assert_eq!(list_admins(world.store.as_ref()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_reset_takes_password_and_sessions_away() {
    let world = World::new().await;
    world.admin("ada@example.com", Role::Viewer).await;
    let secret = world.sign_in("ada@example.com", PASSWORD).await.ok().unwrap();
    let (store, clock) = (world.store.as_ref(), world.clock.as_ref());
    let which = WhichAdmin::Email("ada@example.com");
    reset_password(store, clock, COMMAND_LINE, which).await.ok().unwrap();
    assert!(world.session(&secret).await.is_none());
    let refused = world.sign_in("ada@example.com", PASSWORD).await.err().unwrap();
    assert!(matches!(refused, SignInError::Wrong));

    set_ready_password(store, clock, COMMAND_LINE, which, "another password").await.unwrap();
    assert!(world.sign_in("ada@example.com", "another password").await.is_ok());
    let weak = set_ready_password(store, clock, COMMAND_LINE, which, "short").await;
    assert!(matches!(weak, Err(AdminError::Invalid(_))));
    let nobody = WhichAdmin::Email("eve@example.com");
    let unknown = reset_password(store, clock, COMMAND_LINE, nobody).await;
    assert!(matches!(unknown, Err(AdminError::NotFound)));
}

#[tokio::test]
async fn an_email_belongs_to_one_admin() {
    let world = World::new().await;
    let owner = world.person(Role::Owner).await.owner().unwrap();
    owner.invite("Ada@example.com", Role::Viewer).await.ok().unwrap();
    let again = owner.invite("ada@EXAMPLE.com", Role::Owner).await;
    assert!(matches!(again, Err(AdminError::EmailTaken)));
    for bad in ["", "ada", "a b@example.com"] {
        let refused = owner.invite(bad, Role::Viewer).await;
        assert!(matches!(refused, Err(AdminError::Invalid(_))), "{bad}");
    }
}

#[tokio::test]
async fn there_are_a_hundred_invitations_at_most() {
    let world = World::new().await;
    let owner = world.person(Role::Owner).await.owner().unwrap();
    // That of the first start is one of them.
    for number in 1..100 {
        owner.invite(&format!("{number}@example.com"), Role::Viewer).await.ok().unwrap();
    }
    let one_more = owner.invite("ada@example.com", Role::Viewer).await;
    assert!(matches!(one_more, Err(AdminError::TooManyInvitations)));
    let admins = owner.admins().await.unwrap();
    assert!(admins.iter().all(|admin| admin.email != "ada@example.com"));
    world.set(24 * 60 * 60);
    owner.invite("ada@example.com", Role::Viewer).await.ok().unwrap();
}

#[tokio::test]
async fn the_app_gets_another_name_that_is_one() {
    let world = World::new().await;
    let session = world.person(Role::Owner).await;
    let owner = session.owner().unwrap();
    for bad in ["", "  ", "a\nb", &"x".repeat(256)] {
        assert!(matches!(owner.rename_app(bad).await, Err(AdminError::Invalid(_))), "{bad:?}");
    }
    owner.rename_app(" Meridian ").await.unwrap();
    assert_eq!(world.signed_in("owner@example.com").await.app_name(), "Meridian");
}
