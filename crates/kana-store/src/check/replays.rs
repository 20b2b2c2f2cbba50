//! Idempotency keys agree with the usage events that were recorded with them.

use kana_core::idempotency::{KeptAnswer, WrittenAnswer};
use uuid::Uuid;

use super::finding::Finding;
use super::kept_events::KeptEvents;
use super::snapshot::{Row, Snapshot};
use crate::error::StoreError;

/// Each event with an idempotency key, and behind it the key with what was asked under it. The event and the key
/// are written at the same time; the key may have been used for others before. What takes another event back
/// is left out.
const ROWS: &str = "
    SELECT environment_id, idempotency_key, recorded_at, 0, user_key, feature_id, action, delta,
        occurred_at, ''
    FROM events WHERE idempotency_key IS NOT NULL AND action <> 'VOID'
    UNION ALL
    SELECT environment_id, idempotency_key, kept_at, 1, user_key, feature_id, action, delta,
        occurred_at, answer
    FROM replays
    ORDER BY 1, 2, 3, 4";

/// What an event and a key say of the same request.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    environment: i64,
    key: String,
    at: i64,
    user: Uuid,
    feature: String,
    action: String,
    delta: i64,
    occurred_at: Option<i64>,
}

impl Request {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            environment: row.integer(0)?,
            key: row.text(1)?.to_owned(),
            at: row.integer(2)?,
            user: row.id(4)?,
            feature: row.text(5)?.to_owned(),
            action: row.text(6)?.to_owned(),
            delta: row.integer(7)?,
            occurred_at: row.integer_or_null(8)?,
        })
    }

    fn is_at_the_time_of(&self, other: &Self) -> bool {
        (self.environment, &self.key, self.at) == (other.environment, &other.key, other.at)
    }

    /// Returns true if the event is what the key asked for. Without a time, it happened when it was
    /// recorded.
    fn agrees_with(&self, event: &Self) -> bool {
        (self.user, &self.feature, &self.action, self.delta)
            == (event.user, &event.feature, &event.action, event.delta)
            && event.occurred_at == Some(self.occurred_at.unwrap_or(self.at))
    }
}

/// Compares all keys with their events.
pub(super) async fn check(
    snapshot: &mut dyn Snapshot,
    kept: &KeptEvents,
    found: &mut (dyn FnMut(Finding) + Send),
) -> Result<(), StoreError> {
    let mut event: Option<Request> = None;
    let mut take = |row: &Row| {
        let request = Request::read(row)?;
        if row.integer(3)? == 0 {
            event = Some(request);
            return Ok(());
        }
        let WrittenAnswer { answer, .. } = WrittenAnswer::read(row.text(9)?)?;
        let was_recorded = match answer {
            KeptAnswer::Recorded(_) => true,
            KeptAnswer::Used(used) => used.granted,
        };
        let event = event.as_ref().filter(|event| event.is_at_the_time_of(&request));
        let problem = match event {
            Some(_) if !was_recorded => "was refused, and there is an event of it",
            Some(event) if !request.agrees_with(event) => "is about another usage than its event",
            None if was_recorded && kept.since(request.environment, request.at) => {
                "was recorded, and there is no event of it"
            }
            _ => return Ok(()),
        };
        let environment = kept.environment(request.environment);
        let subject = format!("idempotency key {} in {environment}", request.key);
        found(Finding { check: "replays", subject, found: problem.to_owned() });
        Ok(())
    };
    snapshot.each(ROWS, &mut take).await
}
