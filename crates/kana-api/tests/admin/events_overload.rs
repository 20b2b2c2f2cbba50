//! Bulk intake at a server whose queue of writes is full. The one writer of the embedded engine can
//! be held, so that the queue does not drain meanwhile.

use axum::http::StatusCode;
use futures_util::FutureExt;
use kana_core::usage::{RecordUsage, UsageAction};
use kana_service::Error;
use serde_json::json;

use crate::events::recorded;
use crate::events_streamed::{Shop, error, feature_id, line, user_id};

#[tokio::test]
async fn a_server_that_is_overloaded_says_so_and_all_may_be_sent_again() {
    let shop = Shop::open().await;
    let environment = shop.kana.authorise_private(shop.key()).await.unwrap();
    let lines: String = (0..1500).map(line).collect();
    let stream = shop.open_stream();
    stream.write(line(0));
    shop.wait_until_used(1).await;

    // Nothing is written while we hold the store, and so the queue fills.
    let held = shop.store.write().await.unwrap();
    let usage = || RecordUsage {
        user: user_id("124"),
        feature: feature_id("api-calls"),
        action: UsageAction::Add,
        delta: 0,
        occurred_at: None,
        idempotency_key: None,
        metadata: None,
    };
    let is_full = |answer| matches!(answer, Some(Err(Error::Overloaded)));
    while !is_full(environment.record_usage(usage()).now_or_never()) {}
    stream.write(lines.clone());
    let (status, answer) = stream.finish().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    // On a busy machine the queue takes so long to fill that its first commands are given up.
    let reasons = ["too much is waiting to be written", "the database is unavailable"];
    let expected = reasons
        .map(|reason| format!("OVERLOADED OverloadedError: {reason}; nothing was recorded. Retry"));
    assert!(expected.contains(&error(&answer)), "{answer}");
    assert_eq!(answer["recorded"], 1);
    assert_eq!(answer["refused"], json!([]));
    drop(held);
    // Whoever comes again shortly is served.
    while environment.record_usage(usage()).await.is_err() {
        tokio::task::yield_now().await;
    }

    let (status, answer) = shop.send_pieces(vec![lines.into()]).await;
    assert_eq!((status, answer), (StatusCode::OK, recorded(1500)));
    assert_eq!(shop.used().await, 1500);
}
