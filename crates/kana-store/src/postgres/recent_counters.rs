//! The counters in their user's row.
//!
//! A writer locks the user's row, and nearly always reads and writes a few counters of the user. The
//! counters that were written last are in that row, so one look-up brings them and one change of one
//! row writes them all. The table of counters has those that gave way to newer ones; its value of a
//! counter that is in the row is out of date.

use std::borrow::Cow;
use std::collections::VecDeque;

use kana_core::Timestamp;
use kana_core::counter::CounterValue;
use kana_core::facts::CounterKey;
use kana_core::id::{FeatureId, SubscriptionId};
use kana_core::terms::TermsNumber;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::columns::counter_value;
use crate::error::StoreError;

/// The maximum number of counters in a user's row. Small, since every change writes the whole row.
pub(super) const RECENT_MAX: usize = 16;

/// A counter as it is written: subscription, feature, terms number, start of the period, usage and, if
/// there are any, marks.
#[derive(Serialize, Deserialize)]
struct Written<'a>(
    Uuid,
    Cow<'a, str>,
    u32,
    i64,
    i64,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<String>,
);

fn written((counter, value): &(CounterKey, CounterValue)) -> Written<'_> {
    let CounterKey { subscription, feature, terms, period_start } = counter;
    let feature = Cow::Borrowed(feature.as_str());
    let CounterValue { used, marks } = value;
    Written(subscription.0, feature, terms.0, period_start.as_ms(), *used, marks.to_text())
}

/// Counters of one user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RecentCounters {
    /// At most [`RECENT_MAX`]; the one that was written last is at the end.
    counters: VecDeque<(CounterKey, CounterValue)>,
    /// Whether the table may have counters of the user.
    pub(super) has_older: bool,
}

impl RecentCounters {
    /// Reads the columns `recent_counters, has_older_counters` of a user.
    pub(super) fn read(text: Option<&str>, has_older: bool) -> Result<Self, StoreError> {
        let written: Vec<Written<'_>> =
            text.map(serde_json::from_str).transpose()?.unwrap_or_default();
        let counter = |Written(subscription, feature, terms, period_start, used, marks)| {
            let counter = CounterKey {
                subscription: SubscriptionId(subscription),
                feature: FeatureId::new("stored feature id", &feature)?,
                terms: TermsNumber(terms),
                period_start: Timestamp::from_ms(period_start),
            };
            Ok((counter, counter_value(used, marks.as_deref())?))
        };
        let counters = written.into_iter().map(counter).collect::<Result<_, StoreError>>()?;
        Ok(Self { counters, has_older })
    }

    /// Writes the text of the column.
    pub(super) fn to_json(&self) -> Result<String, StoreError> {
        let written: Vec<Written<'_>> = self.counters.iter().map(written).collect();
        Ok(serde_json::to_string(&written)?)
    }

    /// Returns the counter's value: `Some(None)` if it was never written, `None` if only the table
    /// knows.
    pub(super) fn value(&self, counter: &CounterKey) -> Option<Option<CounterValue>> {
        let recent = self.counters.iter().rev().find(|(recent, _)| recent == counter);
        recent.map(|(_, value)| Some(value.clone())).or((!self.has_older).then_some(None))
    }

    /// Removes a counter. The caller also deletes it from the table.
    pub(super) fn remove(&mut self, counter: &CounterKey) {
        self.counters.retain(|(recent, _)| recent != counter);
    }

    /// Sets a counter. Returns the one that gives way to it; the caller writes that to the table.
    pub(super) fn set(
        &mut self,
        counter: &CounterKey,
        value: &CounterValue,
    ) -> Option<(CounterKey, CounterValue)> {
        self.counters.retain(|(recent, _)| recent != counter);
        self.counters.push_back((counter.clone(), value.clone()));
        let gives_way = (self.counters.len() > RECENT_MAX).then(|| self.counters.pop_front())?;
        self.has_older |= gives_way.is_some();
        gives_way
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use kana_core::counter::Marks;
    use proptest::prelude::*;

    use super::*;

    fn counter(number: u8) -> CounterKey {
        CounterKey {
            subscription: SubscriptionId(Uuid::from_u128(u128::from(number % 3))),
            feature: FeatureId::new("feature", &format!("feature-\"{}\"", number % 5)).unwrap(),
            terms: TermsNumber(u32::from(number % 2)),
            period_start: Timestamp::from_ms(i64::from(number)),
        }
    }

    proptest! {
        #[test]
        fn beside_the_user_and_in_the_table_every_counter_holds_what_was_set_last(
            sets in prop::collection::vec((0..40_u8, 0..i64::MAX, 0..3_u32), 0..120)
        ) {
            let (mut recent, mut table, mut model) =
                (RecentCounters::default(), HashMap::new(), HashMap::new());
            for (number, used, sets) in sets {
                let value = CounterValue { used, marks: Marks::default().after_sets(sets) };
                table.extend(recent.set(&counter(number), &value));
                model.insert(counter(number), value);
                prop_assert!(recent.counters.len() <= RECENT_MAX);
            }
            let stored = recent.to_json().unwrap();
            let read = RecentCounters::read(Some(&stored), recent.has_older).unwrap();
            prop_assert_eq!(&read, &recent);
            for number in 0..40 {
                let counter = counter(number);
                let value = read.value(&counter).unwrap_or_else(|| table.get(&counter).cloned());
                prop_assert_eq!(value, model.get(&counter).cloned());
            }
        }
    }
}
