//! Events in bulk: CloudEvents 1.0, one a line, many in one request, each with an id of its own.

use anyhow::Result;
use serde_json::json;

use super::http::{Response, post};
use super::talk::{Answer, Talk};
use crate::seed::{FEATURE, USER_DIGITS, user_id, write_user_digits};

/// Where the events go, and what they are.
pub(crate) const PATH: &str = "/events";
const MEDIA_TYPE: &str = "application/x-ndjson";

/// The digits of an event's id.
const ID_DIGITS: usize = 16;

/// Requests of many events, each of some user.
pub(crate) struct Events {
    request: Vec<u8>,
    /// Where the first line begins, and how long each is.
    lines_at: usize,
    line_len: usize,
    /// Where, in a line, the digits of the id and of the user are.
    id_at: usize,
    user_at: usize,
    batch: usize,
    users: u32,
    events_made: u64,
    /// What a right answer holds.
    recorded: Vec<u8>,
    random: fastrand::Rng,
}

impl Events {
    /// Requests of `batch` events of any of `users` users.
    pub(crate) fn new(key: &str, batch: usize, users: u32) -> Self {
        let id = "0".repeat(ID_DIGITS);
        let event = json!({
            "specversion": "1.0",
            "id": id,
            "source": "bench",
            "type": "kana.usage",
            "subject": user_id(0),
            "data": { "featureId": FEATURE, "delta": 1 },
        });
        let line = format!("{event}\n");
        let place = |what: &str| line.find(what).unwrap_or(0);
        let (id_at, user_at) = (place(&id), place(&user_id(0)) + user_id(0).len() - USER_DIGITS);
        let body = line.repeat(batch);
        let request = post(PATH, key, MEDIA_TYPE, body.as_bytes());
        Self {
            lines_at: request.len() - body.len(),
            request,
            line_len: line.len(),
            id_at,
            user_at,
            batch,
            users,
            events_made: 0,
            recorded: format!("\"recorded\":{batch},").into_bytes(),
            random: fastrand::Rng::with_seed(1),
        }
    }
}

impl Talk for Events {
    fn ask(&mut self, out: &mut Vec<u8>) -> usize {
        let start = out.len() + self.lines_at;
        out.extend_from_slice(&self.request);
        for line in out[start..].chunks_exact_mut(self.line_len) {
            write_id(&mut line[self.id_at..self.id_at + ID_DIGITS], self.events_made);
            let user = self.random.u32(..self.users);
            write_user_digits(&mut line[self.user_at..self.user_at + USER_DIGITS], user);
            self.events_made += 1;
        }
        0
    }

    fn read(&mut self, _kind: usize, input: &[u8]) -> Result<Option<Answer>> {
        Ok(Response::read(input)?.map(|response| Answer {
            len: response.len,
            right: response.status == 200
                && contains(response.body, &self.recorded)
                && contains(response.body, b"\"refused\":[]"),
        }))
    }

    fn units(&self) -> u32 {
        u32::try_from(self.batch).unwrap_or(u32::MAX)
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|found| found == part)
}

/// Writes the id of the event with this number. Two have never the same, and in the order of ids
/// neighbours lie far apart, as they do where ids are made at random.
fn write_id(digits: &mut [u8], number: u64) {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut left = number.wrapping_mul(ODD);
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(left % 16) as usize];
        left /= 16;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn every_event_has_an_id_of_its_own() {
        let mut events = Events::new("key", 50, 3);
        let (mut ids, mut subjects) = (HashSet::new(), HashSet::new());
        for _ in 0..2 {
            let mut request = Vec::new();
            events.ask(&mut request);
            let text = String::from_utf8(request).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())));
            for line in body.lines() {
                let event: Value = serde_json::from_str(line).unwrap();
                ids.insert(event["id"].as_str().unwrap().to_owned());
                subjects.insert(event["subject"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!((ids.len(), subjects.len()), (100, 3));
    }

    #[test]
    fn an_answer_that_lists_a_refusal_is_wrong() {
        let mut events = Events::new("key", 2, 3);
        let mut judge = |status: u16, body: &str| {
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
            let answer = events.read(0, format!("{head}{body}").as_bytes()).unwrap();
            answer.unwrap().right
        };
        assert!(judge(200, r#"{"received":2,"recorded":2,"notCounted":0,"refused":[]}"#));
        assert!(!judge(503, r#"{"received":2,"recorded":2,"notCounted":0,"refused":[]}"#));
        assert!(!judge(200, r#"{"received":2,"recorded":1,"notCounted":1,"refused":[]}"#));
        assert!(!judge(200, r#"{"received":3,"recorded":2,"refused":[{"id":"a"}]}"#));
    }
}
