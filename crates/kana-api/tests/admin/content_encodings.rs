//! Compressed bodies: `/events` takes gzip, within the same limits, and no surface takes anything
//! else.

use std::io::{self, Write as _};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::app::TestApp;
use crate::events::{BATCH, EVENT, LINES, event, recorded, used};
use crate::events_streamed::{Shop, error, line};

const MIB: usize = 1024 * 1024;

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// Sends a gzip stream in these pieces, and returns the answer.
async fn send(shop: &Shop, form: &str, pieces: Vec<io::Result<Bytes>>) -> (StatusCode, Value) {
    let request = Request::post("/events")
        .header(header::AUTHORIZATION, shop.key())
        .header(header::CONTENT_TYPE, form)
        .header(header::CONTENT_ENCODING, "gzip")
        .body(Body::from_stream(stream::iter(pieces)))
        .unwrap();
    let response = shop.router().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn send_whole(shop: &Shop, form: &str, packed: Vec<u8>) -> (StatusCode, Value) {
    send(shop, form, vec![Ok(packed.into())]).await
}

fn message(answer: &Value) -> &str {
    answer["detail"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn gzip_is_taken_in_each_form_of_events() {
    let shop = Shop::open().await;
    for (form, text, count) in [
        (EVENT, event("a", json!({})).to_string(), 1),
        (BATCH, json!([event("b", json!({})), event("c", json!({}))]).to_string(), 2),
        (LINES, (0..5000).map(line).collect(), 5000),
        (LINES, format!("\u{feff}{}", line(5000)), 1),
        (LINES, String::new(), 0),
    ] {
        let packed = gzip(text);
        assert_eq!(
            send_whole(&shop, form, packed.clone()).await,
            (StatusCode::OK, recorded(count))
        );
        // The result is the same byte by byte.
        let bytes = packed.iter().map(|byte| Ok(Bytes::copy_from_slice(&[*byte]))).collect();
        assert_eq!(send(&shop, form, bytes).await, (StatusCode::OK, recorded(count)), "{form}");
    }
    // Events that were sent twice are recorded once.
    assert_eq!(shop.used().await, 1 + 2 + 5001);
}

#[tokio::test]
async fn a_gzip_stream_of_several_members_is_taken() {
    let shop = Shop::open().await;
    let members = [gzip(line(1)), gzip(""), gzip(&line(2)[..40]), gzip(&line(2)[40..])].concat();
    assert_eq!(send_whole(&shop, LINES, members).await, (StatusCode::OK, recorded(2)));
}

#[tokio::test]
async fn a_gzip_stream_that_is_cut_keeps_the_lines_before_the_cut() {
    let shop = Shop::open().await;
    let packed = gzip((0..4_000).map(line).collect::<String>());
    let cut = packed[..packed.len() / 2].to_vec();
    let (status, answer) = send_whole(&shop, LINES, cut).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        error(&answer),
        "BAD_USER_INPUT ValidationError: The gzip stream of the request body was cut before its end"
    );
    let kept = answer["recorded"].as_i64().unwrap();
    assert!((500..4_000).contains(&kept), "{answer}");
    assert_eq!(shop.used().await, kept);
    // A body that is read as a whole records nothing.
    for form in [EVENT, BATCH] {
        let packed = gzip(format!("[{}]", event("torn", json!({}))));
        let (status, answer) = send_whole(&shop, form, packed[..packed.len() - 9].to_vec()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{form}");
        assert_eq!(message(&answer), "The gzip stream of the request body was cut before its end");
    }
    assert_eq!(shop.used().await, kept);
}

#[tokio::test]
async fn what_is_no_gzip_or_has_more_behind_it_is_refused() {
    let shop = Shop::open().await;
    let event = event("a", json!({})).to_string();
    let mut damaged = gzip(&event);
    let checksum = damaged.len() - 6;
    damaged[checksum] ^= 1;
    let more = [gzip(&event), b"more than fits into a header".to_vec()].concat();
    for (packed, start) in [
        (event.clone().into_bytes(), "The request body is not valid gzip: "),
        (damaged, "The request body is not valid gzip: "),
        (more, "The request body has more after the end of its gzip stream"),
        (Vec::new(), "The gzip stream of the request body was cut before its end"),
    ] {
        let (status, answer) = send_whole(&shop, EVENT, packed).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(message(&answer).starts_with(start), "{answer}");
    }
    assert_eq!(shop.used().await, 0);
}

#[tokio::test]
async fn the_limits_are_those_of_what_comes_out() {
    let shop = Shop::open().await;
    let padded = |text: String, bytes: usize| {
        let padding = " ".repeat(bytes - text.len());
        gzip(text + &padding)
    };
    let one = || event("a", json!({})).to_string();
    for (form, text, max) in [(EVENT, one(), MIB), (BATCH, format!("[{}]", one()), 4 * MIB)] {
        let fits = padded(text.clone(), max);
        assert!(fits.len() < MIB / 10);
        assert_eq!(send_whole(&shop, form, fits).await, (StatusCode::OK, recorded(1)), "{form}");
        let (status, answer) = send_whole(&shop, form, padded(text, max + 1)).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{answer}");
    }
    // The lines around one that is too long are recorded.
    let long = "x".repeat(70_000);
    let lines = gzip(format!("{}{long}\n{}", line(1), line(2)));
    let (status, answer) = send_whole(&shop, LINES, lines).await;
    assert_eq!((status, &answer["recorded"]), (StatusCode::OK, &json!(2)));
    assert_eq!(answer["refused"][0]["message"], "An event must have at most 65536 bytes");
}

#[tokio::test]
async fn a_bomb_is_stopped_after_little_of_it() {
    let shop = Shop::open().await;
    // Ten gibibytes in ten megabytes.
    for (form, filling) in [(EVENT, b' '), (BATCH, 0), (LINES, b' '), (LINES, b'\n'), (LINES, 0)] {
        let member = Bytes::from(gzip(vec![filling; 4 * MIB]));
        let pieces = (0..2560).map(|_| Ok(member.clone())).collect();
        let (status, answer) = send(&shop, form, pieces).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{form} {filling}: {answer}");
    }
}

/// Returns a request for each kind of body that each surface takes.
fn requests(app: &TestApp) -> Vec<(&'static str, crate::app::Ask<'_>)> {
    let query = json!({ "query": "{ __typename }" }).to_string();
    let client = app
        .request(Method::POST, "/client/graphql")
        .with(header::AUTHORIZATION, app.keys.test_public.reveal())
        .with("x-user-id".parse().unwrap(), "124");
    let events = |form: &str| {
        let request = app.request(Method::POST, "/events").with(header::CONTENT_TYPE, form);
        request.body(event("a", json!({})).to_string())
    };
    vec![
        ("errors", app.post(query.clone())),
        ("errors", app.request(Method::GET, "/graphql?query=%7B__typename%7D")),
        ("errors", client.body(query)),
        ("event", events(EVENT)),
        ("event", events(LINES)),
        ("cli", app.request(Method::POST, "/cli/validate").body("{}")),
        ("cli", app.request(Method::POST, "/cli/publish").body("{}")),
        ("cli", app.request(Method::GET, "/cli/pull")),
    ]
}

#[tokio::test]
async fn another_encoding_is_a_415_on_every_surface() {
    let (app, _) = TestApp::subscribed("basic").await;
    let stored = app.stored();
    for encoding in ["gzip", "br", "deflate", "zstd", "gzip, gzip", "gzip, br", "x"] {
        for (kind, request) in requests(&app) {
            let takes_gzip = kind == "event";
            if takes_gzip && encoding == "gzip" {
                continue;
            }
            let answer = request.with(header::CONTENT_ENCODING, encoding).send().await;
            assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{encoding} {kind}");
            let json = answer.json();
            let told = match kind {
                "errors" => &json["errors"][0]["message"],
                "event" => &json["detail"],
                _ => &json["error"],
            };
            let expected = if takes_gzip {
                "The Content-Encoding is not supported: compress the request body with gzip, once, \
                 or not at all"
            } else {
                "The Content-Encoding is not supported: send the request body uncompressed"
            };
            assert_eq!(told, expected, "{encoding} {kind}");
        }
    }
    assert_eq!(app.stored(), stored);
    for (kind, request) in requests(&app) {
        let plain = request.send().await;
        let (_, request) = requests(&app).into_iter().find(|(other, _)| *other == kind).unwrap();
        let identity = request.with(header::CONTENT_ENCODING, "identity").send().await;
        assert_ne!(identity.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
        assert_ne!(plain.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    assert_eq!(used(&app).await, 1);
}

#[tokio::test]
async fn a_plan_refuses_a_compressed_body_too() {
    let (app, _) = TestApp::subscribed("basic").await;
    let record = json!({ "query": r#"mutation {
        createUsageEvent(input: { userId: "124", featureId: "api-calls" }) }"# });
    for _ in 0..2 {
        app.post(record.to_string()).send().await.ok();
    }
    let request = app.post(record.to_string()).with(header::CONTENT_ENCODING, "gzip");
    assert_eq!(request.send().await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(used(&app).await, 2);
}
