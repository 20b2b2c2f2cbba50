//! What is different, in words.

use indexmap::IndexMap;

use crate::catalog::{Allowance, Feature, FeatureKind, Package};
use crate::configuration::{name_of, quoted};
use crate::id::FeatureId;
use crate::metadata::Label;

/// The most differences of one thing that are told.
const DIFFERENCES_MAX: usize = 10;

fn joined(differences: &[String]) -> String {
    let mut text = differences[..differences.len().min(DIFFERENCES_MAX)].join(", ");
    if let Some(more) = differences.len().checked_sub(DIFFERENCES_MAX).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

pub(super) fn feature_differences(before: &Feature, name: &Label, kind: &FeatureKind) -> String {
    let mut differences = Vec::new();
    let mut compare = |what: &str, before: Option<&str>, after: Option<&str>| {
        if before != after {
            let shown = |label: Option<&str>| label.map_or_else(|| "none".to_owned(), quoted);
            differences.push(format!("{what} {} → {}", shown(before), shown(after)));
        }
    };
    compare("name", Some(before.name.as_str()), Some(name.as_str()));
    let (one, many) = before.unit_labels();
    if let FeatureKind::Consumable { unit_label, unit_label_plural } = kind {
        compare("unit label", one, unit_label.as_ref().map(Label::as_str));
        compare("unit label (plural)", many, unit_label_plural.as_ref().map(Label::as_str));
    }
    joined(&differences)
}

/// How much a package gives of each feature.
pub(super) fn gives(package: &Package) -> IndexMap<FeatureId, Allowance> {
    package.features.iter().map(|(id, inside)| (id.clone(), inside.allowance)).collect()
}

/// What a package gives differently, whatever the order, and the first feature of which it gives
/// anything new.
pub(super) fn gives_differences(
    before: &IndexMap<FeatureId, Allowance>,
    after: &IndexMap<FeatureId, Allowance>,
    is_consumable: &impl Fn(&FeatureId) -> bool,
) -> (String, Option<FeatureId>) {
    let mut differences = Vec::new();
    let mut first = None;
    for (id, allowance) in after {
        let difference = match before.get(id) {
            None if is_consumable(id) => format!("{id} is added ({})", amount(*allowance)),
            None => format!("{id} is added"),
            Some(known) if known != allowance => {
                let effect = effect_on_usage(*known, *allowance);
                format!("{id} ({}) → ({}{effect})", amount(*known), amount(*allowance))
            }
            Some(_) => continue,
        };
        first.get_or_insert_with(|| id.clone());
        differences.push(difference);
    }
    for id in before.keys().filter(|id| !after.contains_key(*id)) {
        differences.push(format!("{id} is removed"));
    }
    (joined(&differences), first)
}

/// Says what another reset period does to the usage of those who are subscribed
/// (contract: `entitlements.md`, "When a published file changes terms").
fn effect_on_usage(before: Allowance, after: Allowance) -> &'static str {
    if before.reset_period == after.reset_period {
        return "";
    }
    let is_longer = match (before.reset_period, after.reset_period) {
        (Some(before), Some(after)) => after > before,
        (_, after) => after.is_none(),
    };
    if is_longer { "; usage of the new period so far counts" } else { "; usage starts again at 0" }
}

fn amount(allowance: Allowance) -> String {
    let mut text = match allowance.limit {
        Some(limit) => format!("limit {limit}"),
        None => "unlimited".to_owned(),
    };
    if let Some(reset_period) = allowance.reset_period {
        text.push_str(" per ");
        text.push_str(name_of(reset_period));
    }
    if allowance.overage_enabled {
        text.push_str(", overage");
    }
    text
}
