//! Usage in bulk over GraphQL: `recordUsageBatch`, many inputs in one request, without keys.

use anyhow::Result;
use serde_json::json;

use super::http::{Response, post};
use super::talk::{Answer, Talk};
use crate::seed::{FEATURE, USER_DIGITS, user_id, write_user_digits};

const QUERY: &str = "mutation RecordUsageBatch($inputs: [CreateUsageEventInput!]!) { \
                     recordUsageBatch(inputs: $inputs) { recorded } }";
/// What the answer to each input is.
const RECORDED: &[u8] = b"{\"recorded\":true}";

/// Requests of many inputs, each about some user.
pub(crate) struct Batches {
    request: Vec<u8>,
    /// Where the digits of the users are.
    digits_at: Vec<usize>,
    users: u32,
    random: fastrand::Rng,
}

impl Batches {
    /// Requests of `batch` inputs about any of `users` users.
    pub(crate) fn new(key: &str, batch: usize, users: u32) -> Self {
        let input = json!({ "userId": user_id(0), "featureId": FEATURE, "delta": 1 });
        let body = json!({ "query": QUERY, "variables": { "inputs": vec![input; batch] } });
        let request = post("/graphql", key, "application/json", body.to_string().as_bytes());
        let id = user_id(0);
        let digits_at = request
            .windows(id.len())
            .enumerate()
            .filter(|(_, part)| *part == id.as_bytes())
            .map(|(at, _)| at + id.len() - USER_DIGITS)
            .collect();
        Self { request, digits_at, users, random: fastrand::Rng::with_seed(1) }
    }
}

impl Talk for Batches {
    fn ask(&mut self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.extend_from_slice(&self.request);
        for at in &self.digits_at {
            let digits = &mut out[start + at..start + at + USER_DIGITS];
            write_user_digits(digits, self.random.u32(..self.users));
        }
        0
    }

    fn read(&mut self, _kind: usize, input: &[u8]) -> Result<Option<Answer>> {
        Ok(Response::read(input)?.map(|response| {
            let recorded =
                response.body.windows(RECORDED.len()).filter(|part| *part == RECORDED).count();
            Answer {
                len: response.len,
                right: response.status == 200 && recorded == self.digits_at.len(),
            }
        }))
    }

    fn units(&self) -> u32 {
        u32::try_from(self.digits_at.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn every_input_has_a_user_of_its_own() {
        let mut batches = Batches::new("key", 50, 100_000);
        assert_eq!(batches.units(), 50);
        let mut request = Vec::new();
        batches.ask(&mut request);
        let text = String::from_utf8(request).unwrap();
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        let inputs = body["variables"]["inputs"].as_array().unwrap();
        let users: HashSet<&str> = inputs.iter().filter_map(|it| it["userId"].as_str()).collect();
        assert!(users.len() > 45, "{users:?}");
    }

    #[test]
    fn an_answer_in_which_one_was_not_recorded_is_wrong() {
        let mut batches = Batches::new("key", 2, 3);
        let mut judge = |body: &str| {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            batches.read(0, format!("{head}{body}").as_bytes()).unwrap().unwrap().right
        };
        let answer = |one: &str, other: &str| {
            format!(
                r#"{{"data":{{"recordUsageBatch":[{{"recorded":{one}}},{{"recorded":{other}}}]}}}}"#
            )
        };
        assert!(judge(&answer("true", "true")));
        assert!(!judge(&answer("true", "false")));
        assert!(!judge(r#"{"data":null,"errors":[]}"#));
    }
}
