//! A threshold event as a row, the same in every engine.

use kana_core::Timestamp;
use kana_core::entitlement::{Consumption, Extras};
use kana_core::id::FeatureId;
use kana_core::period::Period;
use kana_core::threshold::{Threshold, ThresholdEvent, Thresholds};
use uuid::Uuid;

use crate::error::StoreError;

/// The columns of a threshold event, without its environment and user.
pub(crate) struct ThresholdEventRow<'a> {
    pub(crate) id: Uuid,
    pub(crate) feature: &'a str,
    /// JSON: `{"percent":80}` or `{"left":10}`.
    pub(crate) threshold: String,
    pub(crate) period_start: i64,
    pub(crate) period_end: Option<i64>,
    pub(crate) used: i64,
    pub(crate) budget: i64,
    pub(crate) overage_enabled: bool,
    pub(crate) at: i64,
    pub(crate) extras: Extras,
}

impl<'a> ThresholdEventRow<'a> {
    pub(crate) fn of(event: &'a ThresholdEvent) -> Self {
        let ThresholdEvent { id, feature, threshold, period, consumption, at } = event;
        Self {
            id: *id,
            feature: feature.as_str(),
            threshold: to_json(*threshold),
            period_start: period.start.as_ms(),
            period_end: period.end.map(Timestamp::as_ms),
            used: consumption.used,
            // Without a budget, nothing is reached.
            budget: consumption.budget.unwrap_or(i64::MAX),
            overage_enabled: consumption.overage_enabled,
            at: at.as_ms(),
            extras: consumption.extras,
        }
    }

    pub(crate) fn read(self) -> Result<ThresholdEvent, StoreError> {
        Ok(ThresholdEvent {
            id: self.id,
            feature: FeatureId::new("stored feature id", self.feature)?,
            threshold: read_threshold(&self.threshold)?,
            period: Period {
                start: Timestamp::from_ms(self.period_start),
                end: self.period_end.map(Timestamp::from_ms),
            },
            consumption: Consumption {
                used: self.used,
                budget: Some(self.budget),
                overage_enabled: self.overage_enabled,
                extras: self.extras,
            },
            at: Timestamp::from_ms(self.at),
        })
    }
}

fn to_json(threshold: Threshold) -> String {
    match threshold {
        Threshold::Percent(percent) => format!("{{\"percent\":{percent}}}"),
        Threshold::Left(left) => format!("{{\"left\":{left}}}"),
    }
}

/// Reads a threshold. Fails if it is out of range.
pub(crate) fn read_threshold(json: &str) -> Result<Threshold, StoreError> {
    let thresholds = Thresholds::new(vec![serde_json::from_str(json)?])?;
    let read = thresholds.as_slice().first().copied();
    read.ok_or_else(|| StoreError::Unreadable(format!("threshold {json}")))
}
