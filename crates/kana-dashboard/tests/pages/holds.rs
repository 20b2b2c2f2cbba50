//! An amount that is held for a job of one user.

use axum::http::StatusCode;
use kana_core::decide::CreateHold;
use kana_core::id::{FeatureId, HoldId, UserId};
use kana_service::Role;
use uuid::Uuid;

use crate::users::{create, subscribe};
use crate::world::{World, sell};

#[tokio::test]
async fn a_hold_is_shown_and_released() {
    let world = World::new().await;
    let environment = sell(&world).await;
    let mut person = world.person(Role::Editor).await;
    create(&mut person, "u-1", "Ada").await;
    subscribe(&mut person, "pro").await;
    assert!(!person.main().contains("Holds"));
    for id in ["<b>job</b>", "other"] {
        let command = CreateHold {
            user: UserId::new("user", "u-1").unwrap(),
            feature: FeatureId::new("feature", "api-calls").unwrap(),
            id: Some(HoldId::new("id", id).unwrap()),
            amount: 25,
            ttl_seconds: 900,
            new_id: Uuid::nil(),
        };
        environment.create_hold(command).await.unwrap();
    }
    person.visit("/dashboard/test/user?id=u-1").await;
    let [first, _] = &person.table("Holds")[..] else { panic!("two") };
    assert_eq!(first[..3], ["API calls", "25", "<b>job</b>"]);
    assert_eq!(first[4], "Release the hold of API calls");
    let entitlements = person.table("Entitlements");
    let calls = entitlements.iter().find(|row| row[0].contains("API calls")).unwrap();
    assert!(calls[2].contains("and 50 held"), "{calls:?}");
    person.follow("Explain API calls").await;
    assert!(person.main().contains("Held 50"), "{}", person.main());

    let mut viewer = world.person(Role::Viewer).await;
    viewer.visit("/dashboard/test/user?id=u-1").await;
    assert_eq!(viewer.table("Holds")[0][4], "");

    let release = "/dashboard/test/user/release-hold?id=u-1&feature=api-calls&hold=other";
    person.visit(release).await;
    assert_eq!(person.heading(), "Release the hold?");
    assert!(person.main().contains("25 of api-calls are held for a job of u-1"));
    let form = person.form("Release the hold?");
    assert_eq!(person.submit(form, "Release hold").await, StatusCode::OK);
    assert_eq!(person.status_text(), "Hold released.");
    assert_eq!(person.table("Holds").len(), 1);
    // One that is over is not asked about.
    person.visit(release).await;
    assert_eq!(person.heading(), "Ada");
}
