use std::time::Duration;

use kana_service::{Role, SignInError};

use crate::world::{PASSWORD, World, visitor};

#[tokio::test]
async fn the_right_password_signs_in_whatever_the_case_of_the_email() {
    let world = World::new().await;
    world.admin("Ada@Example.com", Role::Editor).await;
    let mut secrets = Vec::new();
    for email in ["ada@example.com", " ADA@EXAMPLE.COM "] {
        let secret = world.sign_in(email, PASSWORD).await.ok().unwrap();
        let session = world.session(&secret).await.unwrap();
        assert_eq!((session.email(), session.role()), ("Ada@Example.com", Role::Editor));
        assert_eq!(session.app_name(), "story");
        secrets.push(secret.reveal().to_owned());
    }
    assert_ne!(secrets[0], secrets[1], "a session is new at every sign-in");
}

#[tokio::test]
async fn a_wrong_email_and_a_wrong_password_are_told_alike() {
    let world = World::new().await;
    world.admin("ada@example.com", Role::Owner).await;
    let long = "x".repeat(100_000);
    for (email, password) in [
        ("ada@example.com", "correct horse batterx"),
        ("eve@example.com", PASSWORD),
        ("", ""),
        ("ada\0@example.com", PASSWORD),
        (&long, PASSWORD),
        ("ada@example.com", &long),
    ] {
        let refused = world.sign_in(email, password).await.err().unwrap();
        assert!(matches!(refused, SignInError::Wrong), "{refused:?}");
        world.set(0);
        world.kana.sign_in(&visitor(9), "ada@example.com", PASSWORD).await.ok().unwrap();
    }
}

#[tokio::test]
async fn after_five_failures_no_password_is_checked_until_the_wait_is_over() {
    let world = World::new().await;
    world.admin("ada@example.com", Role::Owner).await;
    for _ in 0..5 {
        let refused = world.sign_in("ada@example.com", "a wrong password").await.err().unwrap();
        assert!(matches!(refused, SignInError::Wrong));
    }
    let refused = world.sign_in("ada@example.com", PASSWORD).await.err().unwrap();
    assert!(
        matches!(refused, SignInError::TooMany { wait } if wait == Duration::from_secs(1)),
        "{refused:?}"
    );
    world.set(1);
    assert!(world.sign_in("ADA@example.com", PASSWORD).await.is_ok());
    assert!(world.sign_in("ada@example.com", PASSWORD).await.is_ok(), "failures are forgotten");
}

#[tokio::test]
async fn attempts_at_the_same_time_gain_nothing() {
    let world = World::new().await;
    world.admin("ada@example.com", Role::Owner).await;
    let attempts = (0..12).map(|_| world.sign_in("ada@example.com", "a wrong password"));
    let answers = futures_util::future::join_all(attempts).await;
    let hashed = answers.iter().filter(|answer| matches!(answer, Err(SignInError::Wrong))).count();
    assert_eq!(hashed, 5);
}

#[tokio::test]
async fn an_admin_without_a_password_does_not_sign_in() {
    let world = World::new().await;
    let owner = world.person(Role::Owner).await.owner().unwrap();
    owner.invite("ada@example.com", Role::Viewer).await.ok().unwrap();
    for password in ["", PASSWORD] {
        let refused = world.sign_in("ada@example.com", password).await.err().unwrap();
        assert!(matches!(refused, SignInError::Wrong));
    }
}
