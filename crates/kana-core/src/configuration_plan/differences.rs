//! Compares features and packages, and puts the differences in words.

use indexmap::IndexMap;

use super::entry::{Difference, Field};
use crate::catalog::{Allowance, Feature, FeatureKind, Package, PackageKind, Stacking};
use crate::configuration::{name_of, name_of_anchor, quoted};
use crate::id::{FeatureId, PackageId};
use crate::metadata::Label;
use crate::period::ResetAnchor;
use crate::threshold::Threshold;

/// The maximum number of differences that one sentence has.
const DIFFERENCES_MAX: usize = 10;
/// What a package gives of a `BINARY` feature.
const INCLUDED: &str = "included";

/// Joins the words of all differences, and counts those that are too many.
pub(super) fn in_words(differences: &[Difference]) -> String {
    let shown = &differences[..differences.len().min(DIFFERENCES_MAX)];
    let mut text = shown.iter().map(Difference::in_words).collect::<Vec<_>>().join(", ");
    if let Some(more) = differences.len().checked_sub(DIFFERENCES_MAX).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

impl Difference {
    /// Writes, for example, `name "Calls" → "API calls"` or `sso is added`.
    fn in_words(&self) -> String {
        let Self { field, feature: Some(id), before, after, note, .. } = self else {
            let shown = |text: &Option<String>| text.as_deref().map_or("none".to_owned(), quoted);
            return format!(
                "{} {} → {}",
                self.field.name(),
                shown(&self.before),
                shown(&self.after)
            );
        };
        debug_assert_eq!(*field, Field::Feature);
        match (before, after) {
            (Some(before), Some(after)) => {
                let note = note.map(|note| format!("; {note}")).unwrap_or_default();
                format!("{id} ({before}) → ({after}{note})")
            }
            (None, Some(after)) if after != INCLUDED => format!("{id} is added ({after})"),
            (None, _) => format!("{id} is added"),
            (Some(_), None) => format!("{id} is removed"),
        }
    }
}

impl Field {
    /// The name of the value in sentences.
    fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Name => "name",
            Self::UnitLabel => "unit label",
            Self::UnitLabelPlural => "unit label (plural)",
            Self::Thresholds => "thresholds",
            Self::DrawsOn => "draws on",
            Self::Cost => "cost",
            Self::Status => "status",
            Self::BasePackages => "base packages",
            Self::Feature => "feature",
            Self::Order => "order",
        }
    }
}

/// Compares a feature's names, thresholds and cost.
pub(super) fn of_feature(before: &Feature, name: &Label, kind: &FeatureKind) -> Vec<Difference> {
    let (one, many) = before.unit_labels();
    let (cost, cost_after) = (cost_in_words(&before.kind), cost_in_words(kind));
    let thresholds = thresholds_in_words(&before.kind);
    let thresholds_after = thresholds_in_words(kind);
    let mut all = vec![(Field::Name, Some(before.name.as_str()), Some(name.as_str()))];
    if let FeatureKind::Consumable { unit_label, unit_label_plural, .. } = kind {
        let (after, after_many) =
            (unit_label.as_ref().map(Label::as_str), unit_label_plural.as_ref().map(Label::as_str));
        all.push((Field::UnitLabel, one, after));
        all.push((Field::UnitLabelPlural, many, after_many));
        all.push((Field::Thresholds, thresholds.as_deref(), thresholds_after.as_deref()));
        all.push((Field::Cost, cost.as_deref(), cost_after.as_deref()));
    }
    let different = all.into_iter().filter(|(_, before, after)| before != after);
    different.map(|(field, before, after)| Difference::new(field, before, after)).collect()
}

/// Lists what a new feature has.
pub(super) fn of_new_feature(
    feature_type: &str,
    name: &Label,
    kind: &FeatureKind,
) -> Vec<Difference> {
    let thresholds = thresholds_in_words(kind);
    let cost = cost_in_words(kind);
    let mut all = vec![(Field::Type, Some(feature_type)), (Field::Name, Some(name.as_str()))];
    if let FeatureKind::Consumable { unit_label, unit_label_plural, .. } = kind {
        all.push((Field::UnitLabel, unit_label.as_ref().map(Label::as_str)));
        all.push((Field::UnitLabelPlural, unit_label_plural.as_ref().map(Label::as_str)));
        all.push((Field::Thresholds, thresholds.as_deref()));
        all.push((Field::DrawsOn, kind.draws().map(|draw| draw.balance.as_str())));
        all.push((Field::Cost, cost.as_deref()));
    }
    let given = all.into_iter().filter(|(_, after)| after.is_some());
    given.map(|(field, after)| Difference::new(field, None, after)).collect()
}

/// Lists the thresholds of a feature, like `80 %, 10 left`. Returns `None` if it has none.
fn thresholds_in_words(kind: &FeatureKind) -> Option<String> {
    let thresholds = kind.thresholds().as_slice();
    let words: Vec<String> = thresholds.iter().map(Threshold::to_string).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Returns what one unit costs of what a feature draws on.
fn cost_in_words(kind: &FeatureKind) -> Option<String> {
    kind.draws().map(|draw| draw.cost.get().to_string())
}

/// Names the base packages of an add-on. Returns `None` for a base package.
pub(super) fn bases_in_words(kind: &PackageKind) -> Option<String> {
    match kind {
        PackageKind::Base => None,
        PackageKind::Addon { base_packages } if base_packages.is_empty() => {
            Some("any base package".to_owned())
        }
        PackageKind::Addon { base_packages } => {
            let bases: Vec<&str> = base_packages.iter().map(PackageId::as_str).collect();
            Some(bases.join(", "))
        }
    }
}

/// How much a package gives of each feature.
pub(super) fn gives(package: &Package) -> IndexMap<FeatureId, Allowance> {
    package.features.iter().map(|(id, inside)| (id.clone(), inside.allowance)).collect()
}

/// Compares what a package gives, whatever the order. Also returns the first feature of which it
/// gives anything new.
///
/// Only a package that `has_subscribers` says what another reset period does to usage: nobody has
/// usage under a draft.
pub(super) fn of_gives(
    before: &IndexMap<FeatureId, Allowance>,
    after: &IndexMap<FeatureId, Allowance>,
    is_consumable: &impl Fn(&FeatureId) -> bool,
    has_subscribers: bool,
) -> (Vec<Difference>, Option<FeatureId>) {
    let amount = |id: &FeatureId, allowance: Allowance| {
        let is_included = allowance == Allowance::UNLIMITED && !is_consumable(id);
        if is_included { INCLUDED.to_owned() } else { amount(allowance) }
    };
    let mut differences = Vec::new();
    for (id, allowance) in after {
        let known = before.get(id).copied();
        if known == Some(*allowance) {
            continue;
        }
        let known_amount = known.map(|known| amount(id, known));
        let difference = Difference::of_feature(id, known_amount, Some(amount(id, *allowance)));
        let note = known.filter(|_| has_subscribers);
        let note = note.and_then(|known| effect_on_usage(known, *allowance));
        differences.push(Difference { note, ..difference });
    }
    let first = differences.first().and_then(|difference| difference.feature.clone());
    for (id, known) in before.iter().filter(|(id, _)| !after.contains_key(*id)) {
        differences.push(Difference::of_feature(id, Some(amount(id, *known)), None));
    }
    (differences, first)
}

/// Returns what another reset period does to the usage of those who are subscribed
/// (contract: `entitlements.md`, "When a published file changes terms").
fn effect_on_usage(before: Allowance, after: Allowance) -> Option<&'static str> {
    if before.reset() == after.reset() {
        return None;
    }
    let is_longer = match (before.reset_period, after.reset_period) {
        (Some(before), Some(after)) => after > before,
        (_, after) => after.is_none(),
    };
    let counts = "usage of the new period so far counts";
    Some(if is_longer { counts } else { "usage starts again at 0" })
}

fn amount(allowance: Allowance) -> String {
    let mut text = match allowance.limit {
        Some(limit) => format!("limit {limit}"),
        None => "unlimited".to_owned(),
    };
    if let Some(reset_period) = allowance.reset_period {
        text.push_str(" per ");
        text.push_str(name_of(reset_period));
        if allowance.reset_anchor != ResetAnchor::Subscription {
            text.push_str(&format!(" ({})", name_of_anchor(allowance.reset_anchor)));
        }
    }
    if allowance.overage_enabled {
        text.push_str(", overage");
    }
    if allowance.stacking == Stacking::Add {
        text.push_str(", added");
    }
    if let Some(rollover) = allowance.rollover {
        let most = rollover.max().map(|max| format!(" up to {max}")).unwrap_or_default();
        let (periods, s) = (rollover.periods(), if rollover.periods() == 1 { "" } else { "s" });
        text.push_str(&format!(", carries{most} for {periods} period{s}"));
    }
    text
}
