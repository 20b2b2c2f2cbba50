//! Makes usage under idempotency keys, and writes down what was answered.

use serde_json::{Value, json};

use super::client::{Outcome, graphql};
use super::faults::Faults;
use super::ledger::{Entry, Feature, Key, Standing, USERS};
use crate::load::http::post;
use crate::seed::{FEATURE, user_id};

/// The id of the feature of which there are few.
pub(super) const CREDITS_FEATURE: &str = "credits";

/// Most usage in one batch.
const BATCH_MAX: usize = 20;

const RECORD: &str = "mutation ($input: CreateUsageEventInput!) { \
    done: recordUsage(input: $input) { recorded reason } }";
const USE: &str = "mutation ($input: UseFeatureInput!) { \
    done: useFeature(input: $input) { granted reason } }";
const BATCH: &str = "mutation ($input: [CreateUsageEventInput!]!) { \
    done: recordUsageBatch(inputs: $input) { recorded reason errorCode } }";

/// The feature that goes by this id.
pub(super) fn feature(id: &str) -> Option<Feature> {
    match id {
        FEATURE => Some(Feature::Calls),
        CREDITS_FEATURE => Some(Feature::Credits),
        _ => None,
    }
}

/// The idempotency key of a sender's usage. In their order, neighbours lie far apart, as they do where
/// keys are made at random: that is how a server gets most to do with them.
fn write_key(sender: usize, number: usize) -> String {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let spread = ((sender as u64) << 32 | number as u64).wrapping_mul(ODD);
    format!("{spread:016x}-{sender}-{number}")
}

/// The sender and the number at the end of a key.
fn read_parts(stored: &str) -> Option<Key> {
    let mut parts = stored.rsplitn(3, '-');
    let (number, sender) = (parts.next()?, parts.next()?);
    Some((sender.parse().ok()?, number.parse().ok()?))
}

/// The key that a stored idempotency key stands for, if [`write_key`] made that. Those of CloudEvents
/// are stored with their source before them.
pub(super) fn read_key(stored: &str) -> Option<Key> {
    let (sender, number) = read_parts(stored)?;
    let is_ours = stored.rsplit(' ').next() == Some(&write_key(sender, number));
    is_ours.then_some((sender, number))
}

/// How usage is sent.
#[derive(Debug, Clone, Copy)]
enum Way {
    Record,
    Use,
    Batch,
    /// CloudEvents as an array.
    Events,
    /// CloudEvents as lines, each of which stands alone when the rest does not come.
    Lines,
}

/// A request that may be sent again and again.
#[derive(Debug, Clone)]
pub(super) struct Request {
    way: Way,
    first: usize,
    /// The whole request, as it is sent.
    pub(super) bytes: Vec<u8>,
    number: usize,
}

/// One of those who send usage, and its part of the ledger.
pub(super) struct Scribe {
    sender: usize,
    key: String,
    pub(super) random: fastrand::Rng,
    entries: Vec<Entry>,
}

impl Scribe {
    /// `key` authorises its requests.
    pub(super) fn new(sender: usize, seed: u64, key: &str) -> Self {
        let random = fastrand::Rng::with_seed(seed.wrapping_add(sender as u64));
        Self { sender, key: key.to_owned(), random, entries: Vec::new() }
    }

    /// Its part of the ledger.
    pub(super) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// New usage. Without an answer until it is [settled](Self::settle).
    pub(super) fn any(&mut self) -> Request {
        let way = match self.random.u8(..10) {
            0..4 => Way::Record,
            4..7 => Way::Use,
            7 => Way::Batch,
            8 => Way::Events,
            _ => Way::Lines,
        };
        let number = match way {
            Way::Record | Way::Use => 1,
            Way::Batch | Way::Events | Way::Lines => self.random.usize(1..=BATCH_MAX),
        };
        let feature = if matches!(way, Way::Use) { Feature::Credits } else { Feature::Calls };
        let first = self.entries.len();
        for _ in 0..number {
            let user = self.random.u32(..USERS);
            let delta = self.random.i64(1..=3);
            self.entries.push(Entry { user, feature, delta, standing: Standing::Unanswered });
        }
        Request { way, first, bytes: self.to_bytes(way, first), number }
    }

    /// The request for everything from the entry `first` on.
    fn to_bytes(&self, way: Way, first: usize) -> Vec<u8> {
        let key = |index: usize| write_key(self.sender, first + index);
        let inputs = |feature: &str| {
            let entries = self.entries[first..].iter().enumerate();
            let input = |(index, entry): (usize, &Entry)| {
                json!({
                    "userId": user_id(entry.user),
                    "featureId": feature,
                    "delta": entry.delta,
                    "idempotencyKey": key(index),
                })
            };
            entries.map(input).collect::<Vec<Value>>()
        };
        let events = || {
            let entries = self.entries[first..].iter().enumerate();
            let event = |(index, entry): (usize, &Entry)| {
                json!({
                    "specversion": "1.0",
                    "id": key(index),
                    "source": "soak",
                    "type": "kana.usage",
                    "subject": user_id(entry.user),
                    "data": { "featureId": FEATURE, "delta": entry.delta },
                })
            };
            entries.map(event).collect::<Vec<Value>>()
        };
        let one = |feature: &str| json!({ "input": inputs(feature).swap_remove(0) });
        match way {
            Way::Record => graphql(&self.key, RECORD, &one(FEATURE)),
            Way::Use => graphql(&self.key, USE, &one(CREDITS_FEATURE)),
            Way::Batch => graphql(&self.key, BATCH, &json!({ "input": inputs(FEATURE) })),
            Way::Events => {
                let body = Value::from(events()).to_string();
                let media_type = "application/cloudevents-batch+json";
                post("/events", &self.key, media_type, body.as_bytes())
            }
            Way::Lines => {
                let lines: String = events().iter().map(|event| format!("{event}\n")).collect();
                post("/events", &self.key, "application/x-ndjson", lines.as_bytes())
            }
        }
    }

    /// Writes down what a request was answered. Returns whether it was. An answer that differs from
    /// an earlier one to the same request is a fault.
    pub(super) fn settle(&mut self, request: &Request, outcome: &Outcome, faults: &Faults) -> bool {
        let counts = match outcome {
            Outcome::Retry => return false,
            Outcome::Refused(codes) => {
                faults.add("refused", &format!("{:?}: {codes:?}", request.way));
                return false;
            }
            Outcome::Answered(body) => request.counts(body),
        };
        let Some(counts) = counts else {
            faults.add("wrong answer", &format!("{:?}: {outcome:?}", request.way));
            return false;
        };
        let entries = &mut self.entries[request.first..][..request.number];
        for (entry, counts) in entries.iter_mut().zip(counts) {
            let standing = if counts { Standing::Counted } else { Standing::Refused };
            if ![Standing::Unanswered, standing].contains(&entry.standing) {
                let what =
                    format!("{:?}: first {:?}, then {standing:?}", request.way, entry.standing);
                faults.add("answered differently", &what);
            }
            entry.standing = standing;
        }
        true
    }
}

impl Request {
    /// Which of its usage counts, as an answer says.
    fn counts(&self, body: &Value) -> Option<Vec<bool>> {
        let done = &body["data"]["done"];
        let counts = match self.way {
            Way::Record => vec![done["recorded"].as_bool()?],
            Way::Use => vec![done["granted"].as_bool()?],
            Way::Batch => {
                let results = done.as_array()?.iter();
                results.map(|result| result["recorded"].as_bool()).collect::<Option<_>>()?
            }
            Way::Events | Way::Lines => {
                let all = body["received"] == self.number && body["recorded"] == self.number;
                all.then(|| vec![true; self.number])?
            }
        };
        (counts.len() == self.number).then_some(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_stored() {
        let key = write_key(3, 17);
        assert_eq!(read_key(&key), Some((3, 17)));
        assert_eq!(read_key(&format!("cloudevent soak {key}")), Some((3, 17)));
        for other in ["3-17", "0-3-17", "17", "a-b-c", ""] {
            assert_eq!(read_key(other), None, "{other}");
        }
    }

    /// The first request of one usage by [`Way::Use`].
    fn a_use(scribe: &mut Scribe) -> Request {
        std::iter::repeat_with(|| scribe.any()).find(|any| matches!(any.way, Way::Use)).unwrap()
    }

    #[test]
    fn an_answer_that_differs_from_the_first_is_a_fault() {
        let mut scribe = Scribe::new(0, 1, "key");
        let request = a_use(&mut scribe);
        let faults = Faults::default();
        let granted =
            |granted| Outcome::Answered(json!({ "data": { "done": { "granted": granted } } }));
        assert!(!scribe.settle(&request, &Outcome::Retry, &faults));
        assert_eq!(scribe.entries[request.first].standing, Standing::Unanswered);
        assert!(scribe.settle(&request, &granted(true), &faults));
        assert!(scribe.settle(&request, &granted(true), &faults));
        assert_eq!(scribe.entries[request.first].standing, Standing::Counted);
        assert!(scribe.settle(&request, &granted(false), &faults));
        assert_eq!(faults.into_kinds().keys().collect::<Vec<_>>(), [&"answered differently"]);
    }
}
