//! The holds that the page of a user lists.

use kana_core::catalog::Catalog;
use kana_core::hold::Hold;
use kana_core::id::UserId;

use crate::address::Address;
use crate::answer::Asked;
use crate::instant::Instant;
use crate::number::grouped;
use crate::problem::Problem;

/// How many holds the page lists.
pub(super) const LISTED: usize = 100;

/// A hold as the page of its user lists it.
pub(super) struct HoldRow {
    pub(super) id: String,
    pub(super) feature: String,
    pub(super) address: Address,
    pub(super) amount: String,
    pub(super) until: Instant,
    /// Where it is released; `None` for who may not.
    pub(super) release: Option<Address>,
}

pub(super) fn row<E>(
    asked: &Asked<E>,
    catalog: &Catalog,
    user: &UserId,
    (hold, may_edit): (&Hold, bool),
) -> Result<HoldRow, Problem> {
    let feature = hold.feature.as_str();
    let release = asked.address("/user/release-hold")?.with("id", user.as_str());
    let release = release.with("feature", feature).with("hold", hold.id.as_str());
    let known = catalog.feature(&hold.feature);
    Ok(HoldRow {
        id: hold.id.as_str().to_owned(),
        feature: known.map_or(feature, |feature| feature.name.as_str()).to_owned(),
        address: asked.address("/feature")?.with("id", feature),
        amount: grouped(hold.amount),
        until: hold.expires_at.into(),
        release: may_edit.then_some(release),
    })
}
