//! Bodies of `POST /events`, in each of its forms.
//!
//! The first line of the input names the form: `event`, `batch`, `lines` or `data`. The rest is the
//! body; that of `data` follows the `ce-` headers, one a line, and an empty line.
#![no_main]

use kana_fuzz::{Answer, Server, with_server};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const EVENT: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const LINES: &str = "application/x-ndjson";

fuzz_target!(|input: &[u8]| {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return };
    let (form, body) = (&input[..end], &input[end + 1..]);
    with_server(|server| match form {
        b"event" => event(server, body),
        b"batch" => check(&send(server, BATCH, body)),
        b"lines" => check(&send(server, LINES, body)),
        b"data" => data(server, body),
        _ => {}
    });
});

fn send(server: &Server, form: &str, body: &[u8]) -> Answer {
    server.post("/events", &[("Content-Type", form)], body.to_vec())
}

/// An event gets the same answer in a batch and on a line.
fn event(server: &Server, body: &[u8]) {
    let alone = send(server, EVENT, body);
    check(&alone);
    // Messages name columns, which spaces around the event would shift.
    let is_bare = body.starts_with(b"{") && body.ends_with(b"}") && !body.contains(&b'\n');
    if alone.status.as_u16() != 200 || !is_bare {
        return;
    }
    let in_batch = send(server, BATCH, &[b"[", body, b"]"].concat());
    assert_eq!(alone.body, in_batch.body);
    let on_line = send(server, LINES, body);
    assert_eq!(alone.body, on_line.body);
}

fn data(server: &Server, input: &[u8]) {
    let mut headers = vec![("Content-Type", "application/json")];
    let mut rest = input;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        if line.is_empty() {
            break;
        }
        let Ok(line) = std::str::from_utf8(line) else { return };
        let Some((name, value)) = line.split_once(": ") else { return };
        let is_name = name.starts_with("ce-")
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_value = value.bytes().all(|byte| byte >= b' ' && byte != 0x7f);
        if !is_name || !is_value {
            return;
        }
        headers.push((name, value));
    }
    check(&server.post("/events", &headers, rest.to_vec()));
}

/// Every event that was received is recorded, not counted, or refused.
fn check(answer: &Answer) {
    let body = &answer.body;
    if body.get("received").is_none() {
        assert!(body.get("error").is_some(), "{body}");
        return;
    }
    let count = |field: &str| body[field].as_u64().expect(field);
    let refused = body["refused"].as_array().expect("a list");
    let indexes: Vec<_> = refused.iter().map(|event: &Value| event["index"].as_u64()).collect();
    assert!(indexes.is_sorted_by(|a, b| a < b), "{body}");
    assert!(indexes.last().is_none_or(|last| *last < Some(count("received"))), "{body}");
    let known = count("recorded") + count("notCounted") + refused.len() as u64;
    assert_eq!(count("received"), known, "{body}");
}
