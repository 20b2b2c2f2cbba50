//! Overrides as rows, the same in every engine.

use kana_core::Timestamp;
use kana_core::catalog::{Allowance, Stacking};
use kana_core::id::{FeatureId, OverrideId};
use kana_core::metadata::Label;
use kana_core::overrides::{Override, OverrideKind, OverrideTerms};
use kana_core::period::{Reset, ResetAnchor, ResetPeriod};
use kana_core::terms::{Terms, TermsHistory, TermsNumber};
use uuid::Uuid;

use crate::columns::{Named, anchor_to_name};
use crate::error::StoreError;

impl Named for OverrideKind {
    const COLUMN: &'static str = "override kind";
    const NAMES: &'static [(Self, &'static str)] =
        &[(Self::Limit, "LIMIT"), (Self::Unlimited, "UNLIMITED"), (Self::Deny, "DENY")];
}

/// The columns of an override, in the order of the table.
pub(crate) struct OverrideRow<'a> {
    pub(crate) feature: &'a str,
    pub(crate) id: Uuid,
    pub(crate) kind: &'a str,
    pub(crate) limit: Option<i64>,
    pub(crate) reset_period: Option<&'a str>,
    pub(crate) reset_anchor: Option<&'a str>,
    pub(crate) overage_enabled: Option<bool>,
    pub(crate) starts_at: i64,
    pub(crate) ends_at: Option<i64>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) history: Option<String>,
}

/// Terms in the column `history`: since when, their number, and what was given, if anything.
type StoredTerms = (i64, u32, Option<StoredAllowance>);
/// Limit, reset period, anchor, overage.
type StoredAllowance = (Option<i64>, Option<String>, Option<String>, bool);

impl<'a> OverrideRow<'a> {
    pub(crate) fn of(known: &'a Override) -> Result<Self, StoreError> {
        let (limit, reset, overage_enabled) = match known.terms {
            OverrideTerms::Deny => (None, None, None),
            OverrideTerms::Allow { limit, reset, overage_enabled } => {
                (limit, reset, overage_enabled)
            }
        };
        let history = known.history.terms();
        let has_changed = history.len() > 1;
        let stored: Vec<StoredTerms> = history.iter().map(stored_terms).collect();
        Ok(Self {
            feature: known.feature.as_str(),
            id: known.id.0,
            kind: known.terms.kind().to_name(),
            limit,
            reset_period: reset.map(|reset| reset.period.to_name()),
            reset_anchor: reset.and_then(|reset| anchor_to_name(reset.anchor)),
            overage_enabled,
            starts_at: known.starts_at.as_ms(),
            ends_at: known.ends_at.map(Timestamp::as_ms),
            reason: known.reason.as_ref().map(Label::as_str),
            history: has_changed.then(|| serde_json::to_string(&stored)).transpose()?,
        })
    }

    pub(crate) fn read(self) -> Result<Override, StoreError> {
        let terms = match OverrideKind::from_name(self.kind)? {
            OverrideKind::Deny => OverrideTerms::Deny,
            OverrideKind::Limit | OverrideKind::Unlimited => OverrideTerms::Allow {
                limit: self.limit,
                overage_enabled: self.overage_enabled,
                reset: reset(self.reset_period, self.reset_anchor)?,
            },
        };
        let history = match self.history {
            None => TermsHistory::beginning_with(terms.allowance()),
            Some(text) => read_history(&text)?,
        };
        Ok(Override {
            id: OverrideId(self.id),
            feature: FeatureId::new("stored feature id", self.feature)?,
            terms,
            starts_at: Timestamp::from_ms(self.starts_at),
            ends_at: self.ends_at.map(Timestamp::from_ms),
            reason: self.reason.map(|text| Label::new("stored reason", text)).transpose()?,
            history,
        })
    }
}

fn reset(period: Option<&str>, anchor: Option<&str>) -> Result<Option<Reset>, StoreError> {
    let Some(period) = period else { return Ok(None) };
    let anchor = anchor.map(ResetAnchor::from_name).transpose()?.unwrap_or_default();
    Ok(Some(Reset { period: ResetPeriod::from_name(period)?, anchor }))
}

fn stored_terms(terms: &Terms) -> StoredTerms {
    let allowance = terms.allowance.map(|given| {
        let period = given.reset_period.map(|period| period.to_name().to_owned());
        let anchor = anchor_to_name(given.reset_anchor).map(str::to_owned);
        (given.limit, period, anchor, given.overage_enabled)
    });
    (terms.since.as_ms(), terms.number.0, allowance)
}

/// Returns the terms that the counters of an override were counted under, oldest first, from the columns
/// `reset_period` and `reset_anchor`, and `history`.
pub(crate) fn terms(
    (period, anchor): (Option<&str>, Option<&str>),
    history: Option<&str>,
) -> Result<Vec<Terms>, StoreError> {
    let history = match history {
        Some(text) => read_history(text)?,
        None => {
            let reset = reset(period, anchor)?;
            TermsHistory::beginning_with(Some(Allowance {
                reset_period: reset.map(|reset| reset.period),
                reset_anchor: reset.map_or(ResetAnchor::default(), |reset| reset.anchor),
                ..Allowance::UNLIMITED
            }))
        }
    };
    Ok(history.terms().to_vec())
}

/// Reads the column `history`.
pub(crate) fn read_history(text: &str) -> Result<TermsHistory, StoreError> {
    let stored: Vec<StoredTerms> = serde_json::from_str(text)?;
    let mut all = Vec::with_capacity(stored.len());
    for (since, number, given) in stored {
        let allowance = given.map(|given| allowance(&given)).transpose()?;
        let (since, number) = (Timestamp::from_ms(since), TermsNumber(number));
        all.push(Terms { since, number, allowance });
    }
    let problem = || StoreError::Unreadable("the terms of an override are out of order".to_owned());
    TermsHistory::from_stored(all).ok_or_else(problem)
}

fn allowance((limit, period, anchor, overage): &StoredAllowance) -> Result<Allowance, StoreError> {
    let reset = reset(period.as_deref(), anchor.as_deref())?;
    Ok(Allowance {
        limit: *limit,
        reset_period: reset.map(|reset| reset.period),
        reset_anchor: reset.map_or(ResetAnchor::default(), |reset| reset.anchor),
        overage_enabled: *overage,
        stacking: Stacking::default(),
        rollover: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_override_is_read_as_it_was_written() {
        let deny = OverrideTerms::Deny;
        let mut all = vec![deny];
        for limit in [None, Some(0), Some(i64::MAX)] {
            for overage_enabled in [None, Some(false), Some(true)] {
                all.push(OverrideTerms::Allow { limit, overage_enabled, reset: None });
                for period in ResetPeriod::ALL {
                    for anchor in [ResetAnchor::Subscription, ResetAnchor::Calendar] {
                        let reset = Some(Reset { period, anchor });
                        all.push(OverrideTerms::Allow { limit, overage_enabled, reset });
                    }
                }
            }
        }
        let at = Timestamp::from_ms;
        let mut history = TermsHistory::beginning_with(deny.allowance());
        for (n, terms) in (1..).zip(all) {
            let fresh = TermsHistory::beginning_with(terms.allowance());
            history.change(terms.allowance(), at(n * 10));
            for history in [fresh, history.clone()] {
                let known = Override {
                    id: OverrideId::of(Uuid::from_u128(7)),
                    feature: FeatureId::new("id", "calls").unwrap(),
                    terms,
                    starts_at: at(n),
                    ends_at: (n % 2 == 0).then(|| at(1_000_000)),
                    reason: (n % 3 == 0).then(|| Label::new("reason", "a favour").unwrap()),
                    history,
                };
                let row = OverrideRow::of(&known).unwrap();
                assert_eq!(row.read().unwrap(), known);
            }
        }
    }

    #[test]
    fn a_history_that_kana_has_not_written_is_an_error() {
        for bad in ["", "[]", "{}", "[[5,0,null],[5,0,null]]", r#"[[5,0,[1,"EON",null,false]]]"#] {
            assert!(read_history(bad).is_err(), "{bad}");
        }
    }
}
