use kana_service::{ChangePasswordError, Role};

use crate::world::{PASSWORD, World, at, visitor};

const HOUR: i64 = 60 * 60;

#[tokio::test]
async fn a_session_ends_a_day_after_its_last_use_and_two_weeks_after_its_first() {
    let world = World::new().await;
    world.admin("ada@example.com", Role::Viewer).await;
    let unused = world.sign_in("ada@example.com", PASSWORD).await.ok().unwrap();
    let used = world.sign_in("ada@example.com", PASSWORD).await.ok().unwrap();
    for hour in (0..14 * 24).step_by(12) {
        world.set(hour * HOUR);
        assert!(world.session(&used).await.is_some(), "after {hour} hours");
    }
    assert!(world.session(&unused).await.is_none());
    world.set(14 * 24 * HOUR);
    assert!(world.session(&used).await.is_none());

    world.set(0);
    let other = world.sign_in("ada@example.com", PASSWORD).await.ok().unwrap();
    world.set(24 * HOUR - 1);
    assert!(world.session(&other).await.is_some());
}

#[tokio::test]
async fn a_use_is_written_every_five_minutes() {
    let world = World::new().await;
    let session = world.person(Role::Viewer).await;
    let secret = world.sign_in("viewer@example.com", PASSWORD).await.ok().unwrap();
    for (seconds, seen) in [(0, 0), (299, 0), (300, 300), (599, 300), (100, 300), (601, 601)] {
        world.set(seconds);
        world.session(&secret).await.unwrap();
        let rows = session.sessions().await.unwrap();
        let newest = rows.iter().map(|row| row.last_seen_at).max().unwrap();
        assert_eq!(newest, at(seen), "after {seconds} seconds");
    }
}

#[tokio::test]
async fn an_admin_sees_the_own_sessions_and_ends_them() {
    let world = World::new().await;
    world.admin("ada@example.com", Role::Viewer).await;
    let mut secrets = Vec::new();
    for number in 1..=3 {
        world.set(i64::from(number));
        let signed_in = world.kana.sign_in(&visitor(number), "ada@example.com", PASSWORD).await;
        secrets.push(signed_in.ok().unwrap());
    }
    let session = world.session(&secrets[1]).await.unwrap();
    let rows = session.sessions().await.unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (row.created_at, row.address.as_str(), row.browser.as_str(), row.is_this))
        .collect();
    assert_eq!(
        shown,
        [
            (at(3), "192.0.2.3", "browser 3", false),
            (at(2), "192.0.2.2", "browser 2", true),
            (at(1), "192.0.2.1", "browser 1", false),
        ]
    );
    session.sign_out_everywhere_else().await.unwrap();
    assert!(world.session(&secrets[0]).await.is_none());
    assert!(world.session(&secrets[2]).await.is_none());
    let session = world.session(&secrets[1]).await.unwrap();
    session.sign_out().await.unwrap();
    assert!(world.session(&secrets[1]).await.is_none());
}

#[tokio::test]
async fn a_new_password_ends_all_sessions_and_begins_a_new_one() {
    let world = World::new().await;
    world.admin("ada@example.com", Role::Editor).await;
    let other = world.sign_in("ada@example.com", PASSWORD).await.ok().unwrap();
    let this = world.sign_in("ada@example.com", PASSWORD).await.ok().unwrap();
    let session = world.session(&this).await.unwrap();

    let wrong = session.change_password(&visitor(1), "a wrong password", "new password 1").await;
    assert!(matches!(wrong, Err(ChangePasswordError::Wrong)));
    let short = session.change_password(&visitor(1), PASSWORD, "short").await;
    assert!(matches!(short, Err(ChangePasswordError::Invalid(_))));
    let new = session.change_password(&visitor(1), PASSWORD, "another password").await;
    let new = new.ok().unwrap();
    for ended in [&other, &this] {
        assert!(world.session(ended).await.is_none());
    }
    assert_eq!(world.session(&new).await.unwrap().email(), "ada@example.com");
    assert!(world.sign_in("ada@example.com", PASSWORD).await.is_err());
    assert!(world.sign_in("ada@example.com", "another password").await.is_ok());
}

#[tokio::test]
async fn guessing_the_current_password_waits_like_signing_in() {
    let world = World::new().await;
    let session = world.person(Role::Viewer).await;
    for _ in 0..5 {
        let wrong = session.change_password(&visitor(1), "a wrong password", PASSWORD).await;
        assert!(matches!(wrong, Err(ChangePasswordError::Wrong)));
    }
    let right = session.change_password(&visitor(1), PASSWORD, "another password").await;
    assert!(matches!(right, Err(ChangePasswordError::TooMany { .. })));
}

#[tokio::test]
async fn what_does_not_look_like_a_session_is_none() {
    let world = World::new().await;
    let session = world.person(Role::Viewer).await;
    for presented in ["", "a", "é", &"A".repeat(43), &"A".repeat(10_000)] {
        assert!(world.kana.admin_session(presented).await.unwrap().is_none(), "{presented}");
    }
    let other = world.signed_in("viewer@example.com").await;
    assert_ne!(session.csrf_secret(), other.csrf_secret());
}
