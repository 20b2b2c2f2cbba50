//! Reads the log of usage events, in windows of the time when they were recorded.
//!
//! The rows have no order of their own, and no key. An index of the times of blocks (BRIN) finds those
//! of a window. How many events a window has is counted before they are read, and no further than the
//! number that may be looked at at once.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::id::{FeatureId, SubscriptionId, UserKey};
use kana_core::usage::{LoggedAction, UsageEvent};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::parameters::count;
use super::transaction::{PostgresTransaction, Question};
use super::{rows, statements as sql};
use crate::app::EnvironmentId;
use crate::columns::Named;
use crate::error::StoreError;
use crate::usage_events::{EventCursor, EventsOfUser, UsageEvents};

/// How many events are looked at in one window, unless they were recorded in the same millisecond.
const LOOKED_AT_ONCE: i64 = 20_000;
/// The length of the first window, in milliseconds. It grows while windows have few events.
const FIRST_WINDOW_MS: i64 = 1_000;
/// How many events are looked at before a walk ends for want of time, so that it gets through times without
/// events.
const LOOKED_AT_LEAST: i64 = 2_000;
/// How many windows are tried at most. Twenty that grow span a thousand years.
const WINDOWS_MAX: usize = 32;

/// The place after the newest event.
const END: EventCursor = EventCursor { at: i64::MAX, among: i64::MAX };

/// Events from one instant to a place, that place excluded.
#[derive(Clone, Copy)]
struct Window {
    from: i64,
    to: EventCursor,
}

/// What a window has.
struct Counted {
    /// Events of all users; counting ends at one more than may be looked at at once.
    looked_at: i64,
    /// Events of the user among them, those at the very end of the window included.
    of_user: i64,
    /// Whether there are events before the window.
    has_earlier: bool,
}

#[async_trait]
impl UsageEvents for PostgresTransaction {
    async fn events_of(
        &mut self,
        environment: EnvironmentId,
        user: UserKey,
        after: Option<EventCursor>,
        limit: usize,
        patience: Duration,
    ) -> Result<EventsOfUser, StoreError> {
        let begun = Instant::now();
        let mut to = after.unwrap_or(END);
        let mut events = Vec::new();
        let answered = self.ask_one(sql::NOW, &[]).await?;
        let now: i64 = answered.first().map_or(Ok(i64::MAX), |row| row.try_get(0))?;
        let (mut length, mut looked_at) = (FIRST_WINDOW_MS, 0);
        for _ in 0..WINDOWS_MAX {
            let window = Window { from: to.at.min(now).saturating_sub(length), to };
            let counted = self.count_events(environment, user, window).await?;
            if counted.looked_at > LOOKED_AT_ONCE && length > 1 {
                length = (length / 8).max(1);
                continue;
            }
            // Of a millisecond with very many events, not all were counted.
            if counted.of_user > 0 || counted.looked_at > LOOKED_AT_ONCE {
                let wanted = limit - events.len();
                let found = self.events_in(environment, user, window, wanted).await?;
                let last = found.last().map(|(_, place)| *place);
                events.extend(found.into_iter().map(|(event, _)| event));
                if let Some(last) = last.filter(|_| events.len() == limit) {
                    let looked_back_to = Some(Timestamp::from_ms(last.at));
                    return Ok(EventsOfUser { events, looked_back_to, next: Some(last) });
                }
            }
            to = EventCursor { at: window.from, among: 0 };
            if !counted.has_earlier {
                return Ok(EventsOfUser { events, looked_back_to: None, next: None });
            }
            if counted.looked_at < LOOKED_AT_ONCE / 8 {
                length = length.saturating_mul(4);
            }
            looked_at += counted.looked_at;
            if looked_at >= LOOKED_AT_LEAST && begun.elapsed() >= patience {
                break;
            }
        }
        let looked_back_to = Some(Timestamp::from_ms(to.at));
        Ok(EventsOfUser { events, looked_back_to, next: Some(to) })
    }
}

impl PostgresTransaction {
    async fn count_events(
        &mut self,
        environment: EnvironmentId,
        user: UserKey,
        Window { from, to }: Window,
    ) -> Result<Counted, StoreError> {
        let at_most = LOOKED_AT_ONCE + 1;
        let of_window: &[&(dyn ToSql + Sync)] = &[&environment.0, &user.0, &from, &to.at, &at_most];
        let questions = [
            (sql::COUNT_EVENTS, of_window),
            (sql::HAVE_EARLIER_EVENTS, &[&from as &(dyn ToSql + Sync)]),
        ];
        let answers = self.ask_by_time(&questions).await?;
        let (Some(counted), Some(earlier)) = (answers.first(), answers.get(1)) else {
            return Err(StoreError::Engine("one of two questions has no answer".into()));
        };
        Ok(Counted {
            looked_at: counted.try_get(0)?,
            of_user: counted.try_get(1)?,
            has_earlier: earlier.try_get(0)?,
        })
    }

    /// Asks questions that read the index of events by time, in one round trip. Returns the rows of all.
    async fn ask_by_time(&mut self, questions: &[Question<'_>]) -> Result<Vec<Row>, StoreError> {
        let answers = self.ask(&by_time(questions)).await?.into_iter();
        Ok(answers.skip(1).take(questions.len()).flatten().collect())
    }

    /// Makes a change that finds its rows by the index of events by time, in one round trip.
    pub(super) async fn change_by_time(&mut self, change: Question<'_>) -> Result<(), StoreError> {
        self.change(&by_time(&[change])).await?;
        Ok(())
    }

    /// Returns the newest events of a user in the window with their places, newest first.
    async fn events_in(
        &mut self,
        environment: EnvironmentId,
        user: UserKey,
        Window { from, to }: Window,
        at_most: usize,
    ) -> Result<Vec<(UsageEvent, EventCursor)>, StoreError> {
        let place = format!("({},{})", (to.among >> 16) & 0xFFFF_FFFF, to.among & 0xFFFF);
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&environment.0, &user.0, &from, &to.at, &place, &count(at_most)];
        let rows = self.ask_by_time(&[(sql::EVENTS_OF_USER, &parameters)]).await?;
        rows.iter().map(event).collect()
    }
}

/// Reads `feature_id, action, delta, occurred_at, recorded_at, subscription_id, idempotency_key,
/// metadata, ctid`.
fn event(row: &Row) -> Result<(UsageEvent, EventCursor), StoreError> {
    let key = row.try_get::<_, Option<&str>>(6)?.map(|_| rows::idempotency_key(row, 6));
    let event = UsageEvent {
        feature: FeatureId::new("stored feature id", rows::text(row, 0)?)?,
        action: LoggedAction::from_name(rows::text(row, 1)?)?,
        delta: row.try_get(2)?,
        occurred_at: rows::instant(row, 3)?,
        recorded_at: rows::instant(row, 4)?,
        // The log does not have it.
        amount: 0,
        drawn: None,
        subscription: row.try_get::<_, Option<_>>(5)?.map(SubscriptionId),
        idempotency_key: key.transpose()?,
        metadata: rows::optional(row, 7, rows::metadata)?,
    };
    let place = EventCursor { at: event.recorded_at.as_ms(), among: place(rows::text(row, 8)?)? };
    Ok((event, place))
}

/// Reads where a row is: `(block,number)`.
fn place(text: &str) -> Result<i64, StoreError> {
    let parts = text.trim_matches(['(', ')']).split_once(',');
    let parsed = parts.and_then(|(block, number)| {
        Some((block.parse::<u32>().ok()?, number.parse::<u16>().ok()?))
    });
    let (block, number) =
        parsed.ok_or_else(|| StoreError::Unreadable(format!("the place {text} of an event")))?;
    Ok(i64::from(block) << 16 | i64::from(number))
}

/// The statements with bitmaps switched on before them, and off after them.
fn by_time<'a>(statements: &[Question<'a>]) -> Vec<Question<'a>> {
    const ON: &[&(dyn ToSql + Sync)] = &[&"on"];
    const OFF: &[&(dyn ToSql + Sync)] = &[&"off"];
    let mut all = Vec::with_capacity(statements.len() + 2);
    all.push((sql::READ_BITMAPS, ON));
    all.extend_from_slice(statements);
    all.push((sql::READ_BITMAPS, OFF));
    all
}
