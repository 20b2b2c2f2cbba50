//! Clients that ask.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, Outcome, graphql};
use super::faults::Faults;
use super::gate::Gate;
use super::ledger::USERS;
use super::slow::MUCH;
use crate::load::http::exchange;
use crate::seed::{FEATURE, user_id};

const PAUSE_MS_MAX: u64 = 25;
const SCRAPE_EVERY: Duration = Duration::from_secs(2);

pub(super) const CAN_USE_FEATURE: &str = "query ($userId: String!, $featureId: String!) { \
    canUseFeature(userId: $userId, featureId: $featureId) { \
    access reason consumption { used budget } } }";
const SHOW_USAGE: &str = "query ($userId: String!, $featureId: String!) { \
    showUsage(userId: $userId, featureId: $featureId) { \
    current { periodStart periodEnd consumption { used } } past { periodStart } } }";
const PAGE: &str = "query ($after: String) { usersConnection(first: 100, after: $after) { \
    edges { cursor node { id subscriptions { id status } } } pageInfo { endCursor } } }";
const CHANGES: &str = "query ($after: String) { changes(first: 200, after: $after) { \
    nodes { number type userId data } endCursor } }";
const CATALOG: &str = "{ packages(status: \"ALL\") { id status features { id limit } } \
    features { id type } }";

/// Asks until the gate ends.
pub(super) fn run(mut random: fastrand::Rng, key: &str, gate: &Gate, faults: &Faults) {
    // Where the next pages begin.
    let (mut of_users, mut of_changes) = (Value::Null, Value::Null);
    while let Some(pass) = gate.enter() {
        let mut client = Client::new(&pass, faults);
        while pass.nap(Duration::from_millis(random.u64(..PAUSE_MS_MAX))) {
            let about = json!({ "userId": user_id(random.u32(..USERS)), "featureId": FEATURE });
            let (query, variables) = match random.u8(..100) {
                0..60 => (CAN_USE_FEATURE, about),
                60..75 => (SHOW_USAGE, about),
                75..88 => (PAGE, json!({ "after": of_users })),
                88..96 => (CHANGES, json!({ "after": of_changes })),
                96..99 => (CATALOG, Value::Null),
                _ => (MUCH, Value::Null),
            };
            match client.ask(&graphql(key, query, &variables)) {
                Outcome::Answered(body) => {
                    let data = &body["data"];
                    match query {
                        PAGE => of_users = data["usersConnection"]["pageInfo"]["endCursor"].clone(),
                        CHANGES => of_changes = data["changes"]["endCursor"].clone(),
                        _ => {}
                    }
                }
                Outcome::Refused(codes) => {
                    faults.add("refused", &format!("a question: {codes:?}"));
                }
                Outcome::Retry => {}
            }
        }
    }
}

/// Reads the metrics now and then until the gate ends.
pub(super) fn scrape(gate: &Gate) {
    while let Some(pass) = gate.enter() {
        while pass.nap(SCRAPE_EVERY) {
            // A server that has just ended has none.
            let _ = panics(pass.address);
        }
    }
}

/// How many panics a server has counted.
pub(super) fn panics(address: std::net::SocketAddr) -> anyhow::Result<u64> {
    let request = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    exchange(address, request, |response| {
        anyhow::ensure!(response.status == 200, "/metrics answers {}", response.status);
        let text = std::str::from_utf8(response.body)?;
        let value = text.lines().find_map(|line| line.strip_prefix("kana_panics_total "));
        let value = value.and_then(|value| value.trim().parse().ok());
        anyhow::Context::context(value, "no kana_panics_total in /metrics")
    })
}
