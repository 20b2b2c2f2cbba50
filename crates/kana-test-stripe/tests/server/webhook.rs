use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kana_test_stripe::{Delivery, verify};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::client::World;

const SECRET: &str = "whsec_of_the_tests";
/// How long an event may take to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A signature and a body.
type Received = (String, String);

/// A webhook that answers 500 to the first `failures` requests. Answers its address.
async fn webhook(mut failures: usize) -> (String, UnboundedReceiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, receiver) = unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let status = if failures > 0 { 500 } else { 200 };
            failures = failures.saturating_sub(1);
            let service = service_fn(|request| receive(request, status, &sender));
            // The sender hangs up when it is answered.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        }
    });
    (url, receiver)
}

async fn receive(
    request: Request<Incoming>,
    status: u16,
    sender: &UnboundedSender<Received>,
) -> hyper::Result<Response<Full<Bytes>>> {
    let signature = request.headers()["stripe-signature"].to_str().unwrap().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    // The test may have ended.
    let _ = sender.send((signature, String::from_utf8(body.to_vec()).unwrap()));
    let mut response = Response::new(Full::default());
    *response.status_mut() = status.try_into().unwrap();
    Ok(response)
}

/// The ids of the next events, whose signatures hold.
async fn receive_ids(
    world: &World,
    received: &mut UnboundedReceiver<Received>,
    count: usize,
) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let next =
            tokio::time::timeout(PATIENCE, received.recv()).await.expect("an event is missing");
        let (signature, body) = next.unwrap();
        assert!(verify(SECRET, &signature, body.as_bytes(), world.server.now(), 300));
        let event: Value = serde_json::from_str(&body).unwrap();
        ids.push(event["id"].as_str().unwrap().to_owned());
    }
    ids
}

/// Creates customers and answers the ids of the events, the oldest first.
async fn create_customers(world: &World, count: usize) -> Vec<String> {
    for _ in 0..count {
        world.create("/v1/customers", "").await;
    }
    let list = world.get(&format!("/v1/events?limit={count}")).await;
    let events = list["data"].as_array().unwrap().iter().rev();
    events.map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn events_are_signed_and_sent_in_order_or_twice() {
    let world = World::new().await;
    let (url, mut received) = webhook(0).await;
    world.server.set_webhook(&url, SECRET, Delivery::InOrder).unwrap();
    let events = create_customers(&world, 5).await;
    assert_eq!(receive_ids(&world, &mut received, 5).await, events);
    world.server.set_webhook(&url, SECRET, Delivery::Twice).unwrap();
    let events = create_customers(&world, 2).await;
    let (first, second) = (&events[0], &events[1]);
    assert_eq!(
        receive_ids(&world, &mut received, 4).await,
        [first, first, second, second].map(String::clone)
    );
}

#[tokio::test]
async fn events_are_held_back_until_they_are_released() {
    let world = World::new().await;
    let (url, mut received) = webhook(0).await;
    world.server.set_webhook(&url, SECRET, Delivery::Never).unwrap();
    create_customers(&world, 3).await;
    world.server.set_webhook(&url, SECRET, Delivery::Late).unwrap();
    let late = create_customers(&world, 3).await;
    assert!(received.try_recv().is_err());
    assert_eq!(world.server.release_events(), 3);
    assert_eq!(receive_ids(&world, &mut received, 3).await, late);
    world.server.set_webhook(&url, SECRET, Delivery::Shuffled).unwrap();
    let events = create_customers(&world, 50).await;
    assert_eq!(world.server.release_events(), 50);
    let shuffled = receive_ids(&world, &mut received, 50).await;
    assert_ne!(shuffled, events);
    assert_eq!(shuffled.iter().collect::<HashSet<_>>(), events.iter().collect());
}

#[tokio::test]
async fn an_event_is_sent_again_until_it_is_answered_with_200() {
    let world = World::new().await;
    let (url, mut received) = webhook(2).await;
    world.server.set_webhook(&url, SECRET, Delivery::InOrder).unwrap();
    let events = create_customers(&world, 2).await;
    let (first, second) = (&events[0], &events[1]);
    assert_eq!(
        receive_ids(&world, &mut received, 4).await,
        [first, first, first, second].map(String::clone)
    );
}

#[tokio::test]
async fn a_webhook_has_an_http_address() {
    let world = World::new().await;
    for url in ["https://example.com", "/hook", "", "http:"] {
        assert!(world.server.set_webhook(url, SECRET, Delivery::InOrder).is_err(), "{url}");
    }
}
