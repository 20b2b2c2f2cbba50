//! Documentation: first calls, schemas and the guide.

use axum::http::StatusCode;
use kana_service::Role;

use crate::world::World;

#[tokio::test]
async fn the_first_calls_are_ready_to_paste_and_everything_else_is_one_link_away() {
    let settings = kana_dashboard::Settings {
        public_url: Some("https://kana.meridian.example".parse().unwrap()),
        ..kana_dashboard::Settings::default()
    };
    let world = World::with_settings(settings).await;
    let mut viewer = world.person(Role::Viewer).await;
    viewer.follow("Documentation").await;
    assert_eq!(viewer.heading(), "Documentation");
    assert!(viewer.main().contains("export KANA_URL=https://kana.meridian.example"));
    assert_eq!(viewer.link("Console"), "/graphql");
    for link in ["Guide", "Admin API schema", "Client API schema"] {
        viewer.visit("/dashboard/test/documentation").await;
        assert_eq!(viewer.follow(link).await, StatusCode::OK);
        assert_eq!(viewer.header("content-type"), Some("text/plain; charset=utf-8"));
    }
}
