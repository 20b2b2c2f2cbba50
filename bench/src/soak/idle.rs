//! Clients that keep connections open and ask nothing.

use std::time::Duration;

use serde_json::json;

use super::client::{Client, Outcome, graphql};
use super::faults::Faults;
use super::gate::Gate;
use super::reader::CAN_USE_FEATURE;
use crate::seed::{FEATURE, user_id};

const CONNECTIONS: usize = 60;

/// Less than the server lets a connection wait.
const HOLD: Duration = Duration::from_secs(30);

/// Holds connections until the gate ends. Each has asked one question and asks another one after a
/// while.
pub(super) fn run(key: &str, gate: &Gate, faults: &Faults) {
    let variables = json!({ "userId": user_id(0), "featureId": FEATURE });
    let question = graphql(key, CAN_USE_FEATURE, &variables);
    while let Some(pass) = gate.enter() {
        let mut clients: Vec<Client<'_>> =
            std::iter::repeat_with(|| Client::new(&pass, faults)).take(CONNECTIONS).collect();
        loop {
            for client in &mut clients {
                if let Outcome::Refused(codes) = client.ask(&question) {
                    faults.add("refused", &format!("an idle client: {codes:?}"));
                }
            }
            if !pass.nap(HOLD) {
                break;
            }
        }
    }
}
