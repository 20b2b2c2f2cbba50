use futures_util::future::join_all;
use kana_service::{AcceptError, Invitation, Role, WelcomeToken};

use crate::world::{PASSWORD, World, visitor};

/// Uses a link up.
async fn accept(
    world: &World,
    token: &WelcomeToken,
    (email, password): (&str, &str),
) -> Result<(), AcceptError> {
    let accepted = world.kana.accept_invitation(&visitor(1), token.reveal(), email, password).await;
    accepted.map(|_| ())
}

#[tokio::test]
async fn the_link_of_the_first_start_makes_an_owner_once() {
    let world = World::new().await;
    let token = &world.keys.welcome;
    let open = world.kana.invitation(token.reveal()).await.unwrap();
    assert_eq!(open, Some(Invitation { email: None, role: Role::Owner }));

    let secret = world
        .kana
        .accept_invitation(&visitor(1), token.reveal(), "Ada@example.com", PASSWORD)
        .await
        .ok()
        .unwrap();
    let session = world.session(&secret).await.unwrap();
    assert_eq!((session.email(), session.role()), ("Ada@example.com", Role::Owner));

    assert_eq!(world.kana.invitation(token.reveal()).await.unwrap(), None);
    let again = accept(&world, token, ("eve@example.com", PASSWORD)).await;
    assert!(matches!(again, Err(AcceptError::Gone)));
    assert!(world.sign_in("ada@example.com", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn what_cannot_be_taken_uses_nothing_up() {
    let world = World::new().await;
    let token = &world.keys.welcome;
    for (email, password, problem) in [
        ("ada", PASSWORD, "e-mail address"),
        ("ada@example.com", "too short", "at least 12 characters"),
        ("ada.lovelace@example.com", "ADA.LOVELACE@example.com", "the e-mail"),
        ("ada@example.com", "Password1234", "commonest"),
    ] {
        match accept(&world, token, (email, password)).await {
            Err(AcceptError::Invalid(invalid)) => {
                assert!(invalid.problem.contains(problem), "{}", invalid.problem);
            }
            other => panic!("{email} {password}: {other:?}"),
        }
    }
    world.admin("ada@example.com", Role::Viewer).await;
    let taken = accept(&world, token, ("ADA@example.com", PASSWORD)).await;
    assert!(matches!(taken, Err(AcceptError::Invalid(_))), "{taken:?}");
    assert!(accept(&world, token, ("bob@example.com", PASSWORD)).await.is_ok());
}

#[tokio::test]
async fn a_link_expires_after_a_day() {
    let world = World::new().await;
    world.set(24 * 60 * 60);
    let token = &world.keys.welcome;
    assert_eq!(world.kana.invitation(token.reveal()).await.unwrap(), None);
    let late = accept(&world, token, ("ada@example.com", PASSWORD)).await;
    assert!(matches!(late, Err(AcceptError::Gone)));
    for unknown in ["", "é", &"a".repeat(40)] {
        assert_eq!(world.kana.invitation(unknown).await.unwrap(), None);
    }
}

#[tokio::test]
async fn of_many_who_use_a_link_at_once_one_gets_in() {
    let world = World::new().await;
    let token = &world.keys.welcome;
    let emails: Vec<String> = (0..8).map(|number| format!("{number}@example.com")).collect();
    let all = emails.iter().map(|email| accept(&world, token, (email, PASSWORD)));
    let in_time = join_all(all).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(in_time, 1);
}

#[tokio::test]
async fn a_new_link_makes_the_one_before_it_void_and_fixes_the_email() {
    let world = World::new().await;
    let owner = world.person(Role::Owner).await.owner().unwrap();
    let first = owner.invite("ada@example.com", Role::Viewer).await.ok().unwrap();
    let admins = owner.admins().await.unwrap();
    let ada = admins.iter().find(|admin| admin.email == "ada@example.com").unwrap();
    assert!(!ada.has_password);
    let second = owner.reset_password(ada.id).await.ok().unwrap();
    assert!(matches!(accept(&world, &first, ("", PASSWORD)).await, Err(AcceptError::Gone)));
    let email = Some("ada@example.com".to_owned());
    let open = world.kana.invitation(second.reveal()).await.unwrap();
    assert_eq!(open, Some(Invitation { email, role: Role::Viewer }));
    assert!(accept(&world, &second, ("eve@example.com", PASSWORD)).await.is_ok());
    assert_eq!(world.signed_in("ada@example.com").await.admin_id(), ada.id);
}
