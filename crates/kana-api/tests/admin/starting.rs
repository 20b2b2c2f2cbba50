//! What is answered while a server starts.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use kana_api::Settings;
use kana_api::starting::{self, Starting};
use serde_json::{Value, json};
use tower::ServiceExt as _;

#[tokio::test]
async fn every_route_of_a_server_that_starts_refuses_but_those_for_operators() {
    let starting = Starting::default();
    let router = starting::router(&starting, &Settings::default());
    for path in kana_api::ROUTES {
        for method in [Method::GET, Method::POST] {
            let request = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            let is_for_operators = ["/metrics", "/healthz"].contains(&path);
            match (is_for_operators, &method) {
                (true, &Method::GET) => assert_eq!(response.status(), StatusCode::OK, "{path}"),
                (true, _) => assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED),
                (false, &Method::POST) if path == "/readyz" => {
                    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
                }
                (false, _) => {
                    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
                    let retry_after = response.headers().get(header::RETRY_AFTER);
                    assert_eq!(retry_after.is_some(), path != "/readyz", "{path}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_starts_says_what_it_waits_for() {
    let starting = Starting::default();
    let router = starting::operators_router(&starting);
    let checks = async || {
        let request = Request::get("/readyz").body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()["checks"].take()
    };
    assert_eq!(checks().await, json!({ "server": "starting" }));
    starting.set_database_problem("unavailable");
    assert_eq!(checks().await, json!({ "database": "unavailable" }));
}
