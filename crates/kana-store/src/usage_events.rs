//! Reading the usage events of one user.
//!
//! There is no index of events by user, since every recording would write it. Whoever looks walks the
//! log backwards for a limited time, and goes on where that ended.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use kana_core::Timestamp;
use kana_core::id::UserKey;
use kana_core::usage::UsageEvent;

use crate::app::EnvironmentId;
use crate::error::StoreError;

/// A place in the log of usage events. Everything before it is older. It means something only in the
/// database that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventCursor {
    /// Where: what the engine orders events by.
    pub(crate) at: i64,
    /// The order of events at the same place, 0 or more.
    pub(crate) among: i64,
}

impl EventCursor {
    /// Parses what [`Display`](fmt::Display) writes. Returns `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (at, among) = text.split_once('.')?;
        let cursor = Self { at: at.parse().ok()?, among: among.parse().ok()? };
        (cursor.among >= 0 && cursor.to_string() == text).then_some(cursor)
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at, self.among)
    }
}

/// Usage events of a user.
#[derive(Debug, PartialEq)]
pub struct EventsOfUser {
    /// The events, newest first by when they were recorded.
    pub events: Vec<UsageEvent>,
    /// Everything that was recorded after this instant was looked at; `None` if there is nothing older.
    pub looked_back_to: Option<Timestamp>,
    /// Where to go on; `None` if everything was looked at.
    pub next: Option<EventCursor>,
}

/// Reads usage events.
#[async_trait]
pub trait UsageEvents: Send {
    /// Walks the events of all users backwards from `after`, or from the newest one, and returns the
    /// first `limit` of the user. Stops soon after `patience`, having looked at some thousand events at
    /// least.
    async fn events_of(
        &mut self,
        environment: EnvironmentId,
        user: UserKey,
        after: Option<EventCursor>,
        limit: usize,
        patience: Duration,
    ) -> Result<EventsOfUser, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_parsed_as_it_is_written_and_nothing_else_is() {
        for (at, among) in [(0, 0), (i64::MIN, 7), (i64::MAX, i64::MAX)] {
            let cursor = EventCursor { at, among };
            assert_eq!(EventCursor::parse(&cursor.to_string()), Some(cursor));
        }
        for text in ["", ".", "1", "1.-1", "01.0", "+1.0", "1.0 ", "9223372036854775808.0", "a.0"] {
            assert_eq!(EventCursor::parse(text), None, "{text:?}");
        }
    }
}
