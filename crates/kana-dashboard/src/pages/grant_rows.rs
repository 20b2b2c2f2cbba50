//! The grants that the page of a user lists.

use kana_core::Timestamp;
use kana_core::catalog::Catalog;
use kana_core::grant::Grant;
use kana_core::id::UserId;
use kana_core::metadata::Label;

use crate::address::Address;
use crate::answer::Asked;
use crate::instant::Instant;
use crate::meter::Meter;
use crate::number::grouped;
use crate::problem::Problem;

/// A grant as the page of its user lists it.
pub(super) struct GrantRow {
    pub(super) feature: String,
    pub(super) address: Address,
    pub(super) drawn: String,
    pub(super) meter: Meter,
    pub(super) amount: String,
    /// When it is used, if not after the limit with the others.
    pub(super) order: String,
    /// Where it begins, if that lies ahead.
    pub(super) from: Option<Instant>,
    pub(super) until: Option<Instant>,
    pub(super) reason: String,
    /// Where it is voided; `None` for who may not.
    pub(super) void: Option<Address>,
}

pub(super) fn row<E>(
    asked: &Asked<E>,
    catalog: &Catalog,
    user: &UserId,
    (grant, now, may_edit): (&Grant, Timestamp, bool),
) -> Result<GrantRow, Problem> {
    let feature = grant.feature.as_str();
    let void = asked.address("/user/void-grant")?;
    let void = void.with("id", user.as_str()).with("feature", feature);
    let void = void.with("grant", grant.id.as_str());
    let known = catalog.feature(&grant.feature);
    Ok(GrantRow {
        feature: known.map_or(feature, |feature| feature.name.as_str()).to_owned(),
        address: asked.address("/feature")?.with("id", feature),
        drawn: grouped(grant.drawn),
        meter: Meter { used: grant.drawn, budget: grant.amount },
        amount: grouped(grant.amount),
        order: match grant.priority {
            0 => String::new(),
            priority if grant.is_before_allowance() => {
                format!("before the limit, priority {priority}")
            }
            priority => format!("priority {priority}"),
        },
        from: (grant.starts_at > now).then(|| grant.starts_at.into()),
        until: grant.expires_at.map(Instant::from),
        reason: grant.reason.as_ref().map(Label::as_str).unwrap_or_default().to_owned(),
        void: may_edit.then_some(void),
    })
}
