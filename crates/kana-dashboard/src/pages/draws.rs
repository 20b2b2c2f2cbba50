//! What a feature draws on, as forms and pages have it.

use kana_core::Refusal;
use kana_core::catalog::{Catalog, Feature};
use kana_core::credits::{Cost, Draw};

use super::suggestions;
use crate::form::{FieldProblem, Form};
use crate::number;

/// Reads what a new feature draws on: the fields `draws` and `cost`, which are both empty if it draws on
/// nothing.
pub(super) fn read(form: &Form, catalog: &Catalog) -> Result<Option<Draw>, FieldProblem> {
    if form.text("draws").trim().is_empty() {
        if form.text("cost").trim().is_empty() {
            return Ok(None);
        }
        return Err(FieldProblem::of(
            "cost",
            "Needs a feature to draw on. Name one, or leave it empty.",
        ));
    }
    let names = |_: &str| Some("draws");
    let balance = suggestions::feature(catalog, form.text("draws"))
        .map_err(|invalid| FieldProblem::of_value(&invalid, names))?;
    if catalog.feature(&balance).is_none() {
        let sentence = format!("{}.", Refusal::FeatureNotFound(balance));
        return Err(FieldProblem::of("draws", sentence));
    }
    let cost = match form.text("cost").trim() {
        "" => Cost::ONE,
        text => cost(text)?,
    };
    Ok(Some(Draw { balance, cost }))
}

/// Reads a cost.
pub(super) fn cost(text: &str) -> Result<Cost, FieldProblem> {
    let number = number::read(text).map_err(|problem| FieldProblem::of("cost", problem))?;
    Cost::new(number).map_err(|invalid| FieldProblem::of_value(&invalid, |_| Some("cost")))
}

/// Returns the name of what the feature draws on; empty if it draws on nothing.
pub(super) fn balance_name(catalog: &Catalog, feature: &Feature) -> String {
    let balance = feature.draws().map(|draw| &draw.balance);
    let name = balance.map(|id| match catalog.feature(id) {
        Some(balance) => balance.name.as_str(),
        None => id.as_str(),
    });
    name.unwrap_or_default().to_owned()
}
