//! Whether it runs and is ready.

use axum::http::{Method, StatusCode};

use crate::app::TestApp;

#[tokio::test]
async fn the_process_runs_and_the_database_answers_and_nobody_needs_a_key_to_ask() {
    let app = TestApp::new().await;
    for path in ["/healthz", "/readyz"] {
        let ask = app.request(Method::GET, path).without(&axum::http::header::AUTHORIZATION);
        let answer = ask.send().await;
        assert_eq!((answer.status, &*answer.text), (StatusCode::OK, "ok\n"), "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let app = TestApp::new().await;
    for path in ["/", "/graphql/", "/graphql/x", "/metrics.php"] {
        let answer = app.request(Method::GET, path).send().await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn every_route_that_spans_are_named_by_is_there() {
    let app = TestApp::new().await;
    for path in kana_api::ROUTES {
        let answer = app.request(Method::GET, path).send().await;
        assert_ne!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}
