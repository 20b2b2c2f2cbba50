//! The overrides that the page of a user lists, and the form that sets one.

use kana_core::catalog::Catalog;
use kana_core::id::UserId;
use kana_core::metadata::Label;
use kana_core::overrides::{Override, OverrideTerms};

use super::feature::resets_in_words;
use crate::address::Address;
use crate::answer::Asked;
use crate::form::Form;
use crate::instant::Instant;
use crate::number::grouped;
use crate::problem::Problem;

/// An override as the page of its user lists it.
pub(super) struct OverrideRow {
    pub(super) feature: String,
    pub(super) address: Address,
    pub(super) says: String,
    pub(super) until: Option<Instant>,
    pub(super) reason: String,
    /// Where it is removed; `None` for who may not.
    pub(super) remove: Option<Address>,
}

/// Returns what stands in the form to begin with.
pub(super) fn first_override() -> Form {
    Form::with([("override-kind", "limit".to_owned())])
}

pub(super) fn row<E>(
    asked: &Asked<E>,
    catalog: &Catalog,
    user: &UserId,
    (known, may_edit): (&Override, bool),
) -> Result<OverrideRow, Problem> {
    let id = known.feature.as_str();
    let remove = asked.address("/user/remove-override")?;
    let remove = remove.with("id", user.as_str()).with("feature", id);
    let says = match known.terms {
        OverrideTerms::Deny => "Denied".to_owned(),
        OverrideTerms::Allow { limit, overage_enabled, reset } => {
            let mut says = limit.map_or("Unlimited".to_owned(), grouped);
            match overage_enabled {
                Some(true) => says.push_str(", overage allowed"),
                Some(false) => says.push_str(", no overage"),
                None => {}
            }
            if let Some(reset) = reset {
                let every = resets_in_words(Some(reset));
                says.push_str(&format!(", counts by itself: {}", every.to_lowercase()));
            }
            says
        }
    };
    let feature = catalog.feature(&known.feature);
    Ok(OverrideRow {
        feature: feature.map_or(id, |feature| feature.name.as_str()).to_owned(),
        address: asked.address("/feature")?.with("id", id),
        says,
        until: known.ends_at.map(Instant::from),
        reason: known.reason.as_ref().map(Label::as_str).unwrap_or_default().to_owned(),
        remove: may_edit.then_some(remove),
    })
}
