//! Grants as rows, the same in every engine.

use kana_core::Timestamp;
use kana_core::grant::{Grant, GrantKey};
use kana_core::id::{FeatureId, GrantId};
use kana_core::metadata::Label;
use uuid::Uuid;

use crate::error::StoreError;

/// The columns of a grant, in the order of the table.
pub(crate) struct GrantRow<'a> {
    pub(crate) key: Uuid,
    pub(crate) id: &'a str,
    pub(crate) feature: &'a str,
    pub(crate) amount: i64,
    pub(crate) drawn: i64,
    pub(crate) priority: i64,
    pub(crate) starts_at: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) voided_at: Option<i64>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) created_at: i64,
}

impl<'a> GrantRow<'a> {
    pub(crate) fn of(grant: &'a Grant) -> Self {
        Self {
            key: grant.key.0,
            id: grant.id.as_str(),
            feature: grant.feature.as_str(),
            amount: grant.amount,
            drawn: grant.drawn,
            priority: grant.priority,
            starts_at: grant.starts_at.as_ms(),
            expires_at: grant.expires_at.map(Timestamp::as_ms),
            voided_at: grant.voided_at.map(Timestamp::as_ms),
            reason: grant.reason.as_ref().map(Label::as_str),
            created_at: grant.created_at.as_ms(),
        }
    }

    pub(crate) fn read(self) -> Result<Grant, StoreError> {
        Ok(Grant {
            key: GrantKey(self.key),
            id: GrantId::new("stored grant id", self.id)?,
            feature: FeatureId::new("stored feature id", self.feature)?,
            amount: self.amount,
            drawn: self.drawn,
            priority: self.priority,
            starts_at: Timestamp::from_ms(self.starts_at),
            expires_at: self.expires_at.map(Timestamp::from_ms),
            voided_at: self.voided_at.map(Timestamp::from_ms),
            reason: self.reason.map(|text| Label::new("stored reason", text)).transpose()?,
            created_at: Timestamp::from_ms(self.created_at),
        })
    }
}
