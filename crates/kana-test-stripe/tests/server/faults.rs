use kana_test_stripe::{Fault, FaultKind};

use crate::client::World;

#[tokio::test]
async fn faults_meet_the_requests_that_they_are_for_as_often_as_asked() {
    let world = World::new().await;
    let kind = FaultKind::TooManyRequests { retry_after: Some(7) };
    let fault = Fault {
        method: Some("GET".into()),
        path: "/v1/prices".into(),
        times: 2,
        ..Fault::next(kind)
    };
    world.server.add_fault(fault);
    assert_eq!(world.customers().await, 0);
    for _ in 0..2 {
        let answer = world.call("GET", "/v1/prices", "").await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, "7"));
        assert!(answer.header("request-id").starts_with("req_"));
    }
    assert_eq!(world.call("GET", "/v1/prices", "").await.status, 200);
    assert_eq!(world.server.request_count("GET", "/v1/prices"), 3);
}

#[tokio::test]
async fn each_fault_is_what_it_says() {
    let world = World::new().await;
    for (form, status, customers) in [
        ("kind=too_many_requests", 429, 0),
        ("kind=conflict", 409, 0),
        ("kind=unauthorized", 401, 0),
        ("kind=html", 503, 0),
        ("kind=server_error&should_retry=false", 500, 0),
        ("kind=server_error&done=true", 500, 1),
    ] {
        let set = world.send("POST", "/_control/faults", form, &[]).await.unwrap();
        assert_eq!(set.status, 200, "{}", set.text);
        let answer = world.call("POST", "/v1/customers", "").await;
        assert_eq!(answer.status, status, "{form}");
        assert_eq!(answer.header("retry-after"), "");
        assert_eq!(answer.header("stripe-should-retry") == "false", form.contains("should_retry"));
        assert_eq!(world.customers().await, customers, "{form}");
    }
    let wrong = world.send("POST", "/_control/faults", "kind=flood", &[]).await.unwrap();
    assert_eq!((wrong.status, wrong.error("param").as_str()), (400, "kind"));
}

#[tokio::test]
async fn a_cut_connection_has_no_answer() {
    let world = World::new().await;
    for (done, customers) in [(false, 0), (true, 1)] {
        world.server.add_fault(Fault::next(FaultKind::Cut { done }));
        assert!(world.create_customer_with(&done.to_string(), "").await.is_err());
        assert_eq!(world.customers().await, customers);
        // The client sends it again.
        assert_eq!(world.create_customer_with(&done.to_string(), "").await.unwrap().status, 200);
        assert_eq!(world.customers().await, 1);
        if !done {
            let made =
                world.get("/v1/customers").await["data"][0]["id"].as_str().unwrap().to_owned();
            world.call("DELETE", &format!("/v1/customers/{made}"), "").await;
        }
    }
}
