//! Which usage events are still kept. Old ones may have been deleted (`--events-days`), and nothing says
//! when; what they have counted stays.

use std::collections::HashMap;

use kana_core::Timestamp;
use uuid::Uuid;

use super::snapshot::{Dialect, Row, Snapshot};
use crate::error::StoreError;

/// How long usage by day is kept at least: three years, less a few days.
const DAYS_KEPT_MS: i64 = 1_090 * 24 * 60 * 60 * 1000;

/// By how much clocks may have been apart.
const SLACK_MS: i64 = 60 * 60 * 1000;

/// For each environment.
pub(super) struct KeptEvents(HashMap<i64, Kept>);

#[derive(Debug, Clone, Default)]
struct Kept {
    /// `test` or `live`.
    name: String,
    /// Without those that take others back, which usage by day does not count either.
    events: i64,
    /// When the oldest one was recorded.
    oldest: i64,
    /// How many there ever were, if usage by day is known since the beginning.
    ever: Option<i64>,
}

impl KeptEvents {
    pub(super) async fn read(
        snapshot: &mut dyn Snapshot,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut kept: HashMap<i64, Kept> = HashMap::new();
        let environments = "SELECT id, kind FROM environments";
        snapshot
            .each(environments, &mut |row: &Row| {
                let name = row.text(1)?.to_owned();
                kept.insert(row.integer(0)?, Kept { name, ..Kept::default() });
                Ok(())
            })
            .await?;
        let events = match snapshot.dialect() {
            Dialect::Sqlite => {
                "SELECT b.environment_id, sum(b.events) - coalesce(v.events, 0), min(b.recorded_from)
                 FROM event_blocks b
                 LEFT JOIN (
                     SELECT environment_id, count(*) AS events FROM events WHERE action = 'VOID'
                     GROUP BY environment_id) v ON v.environment_id = b.environment_id
                 GROUP BY b.environment_id"
            }
            Dialect::Postgres => {
                "SELECT environment_id, count(*) FILTER (WHERE action <> 'VOID'), min(recorded_at)
                 FROM events GROUP BY environment_id"
            }
        };
        snapshot
            .each(events, &mut |row: &Row| {
                let of = kept.entry(row.integer(0)?).or_default();
                (of.events, of.oldest) = (row.integer(1)?, row.integer(2)?);
                Ok(())
            })
            .await?;
        let ever = "SELECT environment_id, CAST(sum(events) AS bigint) FROM current_usage_by_day
            GROUP BY environment_id";
        snapshot
            .each(ever, &mut |row: &Row| {
                kept.entry(row.integer(0)?).or_default().ever = Some(row.integer(1)?);
                Ok(())
            })
            .await?;
        // Days of before an upgrade, and of years ago, are not known.
        let unknown = format!(
            "SELECT id FROM environments WHERE id IN (SELECT environment_id FROM usage_since)
                 OR (SELECT created_at FROM app) < {}",
            now.as_ms().saturating_sub(DAYS_KEPT_MS)
        );
        snapshot
            .each(&unknown, &mut |row: &Row| {
                kept.entry(row.integer(0)?).or_default().ever = None;
                Ok(())
            })
            .await?;
        Ok(Self(kept))
    }

    /// Returns the name of an environment.
    pub(super) fn environment(&self, id: i64) -> &str {
        self.0.get(&id).map_or("no environment", |kept| &kept.name)
    }

    /// Returns true if no event of the environment was ever deleted. If that is not known, returns false.
    fn are_all(&self, environment: i64) -> bool {
        let kept = self.0.get(&environment);
        kept.is_some_and(|kept| kept.ever.is_some_and(|ever| kept.events >= ever))
    }

    /// Returns true if all events that were recorded at this instant, or later, are kept.
    pub(super) fn since(&self, environment: i64, at: i64) -> bool {
        let is_later = |kept: &Kept| kept.events > 0 && at > kept.oldest.saturating_add(SLACK_MS);
        self.are_all(environment) || self.0.get(&environment).is_some_and(is_later)
    }

    /// Returns true if all events of a user's grants are kept. The id that stands for them says when the user
    /// was created.
    pub(super) fn all_of_grants(&self, environment: i64, grants: Uuid) -> bool {
        self.since(environment, first_ms(grants))
    }

    /// Returns true if all events of a subscription are kept. Its id says when it was created.
    pub(super) fn all_of(&self, environment: i64, subscription: Uuid) -> bool {
        let created_at = match subscription.get_version_num() {
            7 => first_ms(subscription),
            _ => i64::MIN,
        };
        self.since(environment, created_at)
    }
}

/// Returns the milliseconds since 1970 with which a time-ordered id begins.
fn first_ms(id: Uuid) -> i64 {
    i64::try_from(id.as_u128() >> 80).unwrap_or(i64::MIN)
}
