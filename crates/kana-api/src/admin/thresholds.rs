//! Thresholds of features, and the events of those that were reached.

use async_graphql::{InputObject, Object, SimpleObject};
use kana_core::id::UserId;
use kana_core::refusal::InvalidValue;
use kana_core::threshold::{self, Thresholds};
use kana_graphql::{List, Turn};
use kana_service::ThresholdEventPage;
use uuid::Uuid;

use super::connection::PageInfo;
use super::usage::Consumption;
use crate::counter::int;
use crate::error::ApiError;
use crate::scalars::DateTime;

pub(super) struct Threshold(threshold::Threshold);

impl Threshold {
    /// The thresholds of a feature, in the product's order.
    pub(super) fn all(thresholds: &Thresholds) -> List<Self> {
        thresholds.as_slice().iter().copied().map(Self).collect()
    }
}

/// How much of a budget must be used or left.
#[Object(name = "Threshold")]
impl Threshold {
    /// This share of the budget is used, in percent; null when left says how much
    async fn percent(&self) -> Option<Result<i32, ApiError>> {
        self.0.percent().map(|percent| int(percent, "percent"))
    }

    /// This much of the budget is left, or less; null when percent says how much
    async fn left(&self) -> Option<Result<i32, ApiError>> {
        self.0.left().map(|left| int(left, "left"))
    }
}

/// How much of a budget must be used or left: exactly one of the two.
#[derive(InputObject)]
pub(super) struct ThresholdInput {
    /// This share of the budget is used, in percent: 1 to 1000
    percent: Option<i32>,
    /// This much of the budget is left, or less: 0 or more
    left: Option<i32>,
}

/// Reads the thresholds of a feature.
pub(super) fn read_thresholds(inputs: Vec<ThresholdInput>) -> Result<Thresholds, InvalidValue> {
    let read = |input: ThresholdInput| {
        threshold::Threshold::new(input.percent.map(i64::from), input.left.map(i64::from))
    };
    Thresholds::new(inputs.into_iter().map(read).collect::<Result<_, _>>()?)
}

pub(super) struct ThresholdEvent {
    user: UserId,
    event: threshold::ThresholdEvent,
}

/// Usage has reached a threshold of its feature.
#[Object(name = "ThresholdEvent")]
impl ThresholdEvent {
    /// Chosen by Kana
    async fn id(&self) -> String {
        self.event.id.to_string()
    }

    /// The product's own id that the user has now
    async fn user_id(&self) -> &str {
        self.user.as_str()
    }

    /// The id of the feature
    async fn feature_id(&self) -> &str {
        self.event.feature.as_str()
    }

    /// What was reached
    async fn threshold(&self) -> Threshold {
        Threshold(self.event.threshold)
    }

    /// The first instant of the period
    async fn period_start(&self) -> Option<DateTime> {
        Some(DateTime(self.event.period.start))
    }

    /// The first instant after the period; null when usage never resets
    async fn period_end(&self) -> Option<DateTime> {
        self.event.period.end.map(DateTime)
    }

    /// What was used then, with what reached it
    async fn consumption(&self) -> Consumption {
        Consumption(self.event.consumption)
    }

    /// When it was recorded
    async fn at(&self) -> DateTime {
        DateTime(self.event.at)
    }
}

/// Threshold events, oldest first.
#[derive(SimpleObject)]
pub(super) struct ThresholdEventConnection {
    /// The events of this page
    edges: List<ThresholdEventEdge>,
    /// Where the page lies
    page_info: PageInfo,
}

/// A threshold event in a page.
#[derive(SimpleObject)]
pub(super) struct ThresholdEventEdge {
    /// Where a page after this event starts
    cursor: String,
    /// The event
    node: ThresholdEvent,
}

impl ThresholdEventConnection {
    pub(super) fn new(page: ThresholdEventPage, turn: Option<Turn>, after_something: bool) -> Self {
        let edge = |(user, event): (UserId, threshold::ThresholdEvent)| ThresholdEventEdge {
            cursor: event.id.simple().to_string(),
            node: ThresholdEvent { user, event },
        };
        let edges: Vec<_> = page.events.into_iter().map(edge).collect();
        let cursors = edges.iter().map(|edge| &edge.cursor);
        let page_info = PageInfo::new(cursors, page.has_more, after_something);
        Self { page_info, edges: List::loaded(edges, turn) }
    }
}

/// Where a page of threshold events starts.
pub(super) fn after_event(cursor: Option<&str>) -> Result<Option<Uuid>, InvalidValue> {
    let read = |cursor: &str| {
        let problem = "must be a cursor that a page has answered";
        Uuid::try_parse(cursor).map_err(|_| InvalidValue::new("after", problem))
    };
    cursor.map(read).transpose()
}
