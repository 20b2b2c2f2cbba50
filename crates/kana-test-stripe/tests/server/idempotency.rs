use kana_test_stripe::{Fault, FaultKind};

use crate::client::World;

#[tokio::test]
async fn a_key_replays_the_first_answer_for_24_hours() {
    let world = World::new().await;
    let first = world.create_customer_with("k", "email=a@b.c").await.unwrap();
    let again = world.create_customer_with("k", "email=a@b.c").await.unwrap();
    assert_eq!(again.text, first.text);
    assert_eq!(
        (first.header("idempotent-replayed"), again.header("idempotent-replayed")),
        ("", "true")
    );
    assert_eq!(world.customers().await, 1);
    let other = world.create_customer_with("k", "email=d@e.f").await.unwrap();
    assert_eq!((other.status, other.error("type").as_str()), (400, "idempotency_error"));
    world.server.advance(24 * 60 * 60);
    assert_eq!(world.create_customer_with("k", "email=d@e.f").await.unwrap().status, 200);
    assert_eq!(world.customers().await, 2);
}

#[tokio::test]
async fn a_500_is_replayed_whether_it_was_done_or_not() {
    let world = World::new().await;
    for (key, done, customers) in [("a", false, 0), ("b", true, 1)] {
        world.server.add_fault(Fault::next(FaultKind::ServerError { done }));
        for _ in 0..2 {
            assert_eq!(world.create_customer_with(key, "").await.unwrap().status, 500);
        }
        assert_eq!(world.customers().await, customers);
    }
}

#[tokio::test]
async fn what_was_refused_may_be_corrected_with_the_same_key() {
    let world = World::new().await;
    assert_eq!(world.create_customer_with("k", "email=none").await.unwrap().status, 400);
    assert_eq!(world.create_customer_with("k", "email=a@b.c").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_key_in_use_is_a_conflict_until_its_request_ends() {
    let world = std::sync::Arc::new(World::new().await);
    world.server.add_fault(Fault::next(FaultKind::TimeOut { done: false }));
    let hanging = tokio::spawn({
        let world = world.clone();
        async move { world.create_customer_with("k", "").await }
    });
    while world.server.request_count("POST", "/v1/customers") == 0 {
        tokio::task::yield_now().await;
    }
    let second = world.create_customer_with("k", "").await.unwrap();
    assert_eq!((second.status, second.error("code").as_str()), (409, "idempotency_key_in_use"));
    // The client hangs up.
    hanging.abort();
    while world.create_customer_with("k", "").await.unwrap().status != 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.customers().await, 1);
}
