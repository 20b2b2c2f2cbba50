//! Creates, changes and deletes features.

use std::collections::HashSet;
use std::sync::Arc;

use super::Planner;
use crate::catalog::{Catalog, Feature, FeatureKind};
use crate::catalog_command::{CatalogCommand, FeatureEdit};
use crate::configuration::{Configuration, ConfiguredFeature, Place};
use crate::configuration_plan::absent::{absent_features, packages_that_keep_features};
use crate::configuration_plan::differences;
use crate::configuration_plan::entry::{Action, Difference, Entry, EntryKind};
use crate::configuration_plan::finding::Severity;
use crate::configuration_plan::planned::Weight;
use crate::edit::Edit;
use crate::id::FeatureId;

impl Planner {
    pub(in super::super) fn features(&mut self, configuration: &Configuration) {
        // What others draw on comes first, since they name it.
        let (drawing, others): (Vec<_>, Vec<_>) =
            configuration.features.iter().partition(|feature| feature.kind.draws().is_some());
        for feature in others.into_iter().chain(drawing) {
            let known = self.catalog.feature(&feature.id).map(Arc::clone);
            match known {
                None => self.create_feature(feature),
                Some(known) if type_of(&known.kind) != type_of(&feature.kind) => {
                    let (was, here) = (type_of(&known.kind), type_of(&feature.kind));
                    let id = &feature.id;
                    let message =
                        format!("is {here}, but the feature {id} is {was}: its type never changes");
                    self.refuse(feature.place.key("type"), message);
                }
                Some(known) if balance_of(&known.kind) != balance_of(&feature.kind) => {
                    self.refuse_other_balance(&known, feature);
                }
                Some(known) => self.change_feature(&known, feature),
            }
        }
    }

    fn refuse_other_balance(&mut self, known: &Feature, feature: &ConfiguredFeature) {
        let id = &feature.id;
        let draws = |kind| {
            balance_of(kind).map_or("draws on nothing".to_owned(), |id| format!("draws on {id}"))
        };
        let (was, here) = (draws(&known.kind), draws(&feature.kind));
        let message =
            format!("{here} here, but the feature {id} {was}: what it draws on never changes");
        self.refuse(feature.place.key("draws_on"), message);
    }

    fn create_feature(&mut self, feature: &ConfiguredFeature) {
        let ConfiguredFeature { id, name, kind, place } = feature;
        if !self.make(place, CatalogCommand::CreateFeature(feature.into())) {
            return;
        }
        let kind_name = type_of(kind);
        let sentence = format!("the feature {id} is new ({kind_name})");
        self.find(Some(place), Weight::Always(Severity::Information), sentence);
        let entry = Entry::new(EntryKind::Feature, id.as_str(), Action::Create);
        self.enter(entry, differences::of_new_feature(kind_name, name, kind));
    }

    fn change_feature(&mut self, known: &Feature, feature: &ConfiguredFeature) {
        let ConfiguredFeature { id, name, kind, place } = feature;
        let mut edit = FeatureEdit { name: Some(name.clone()), ..FeatureEdit::default() };
        if let FeatureKind::Consumable { unit_label, unit_label_plural, thresholds, draws } = kind {
            edit.cost = draws.as_ref().map(|draw| draw.cost);
            edit.unit_label = Edit::to(unit_label.clone());
            edit.unit_label_plural = Edit::to(unit_label_plural.clone());
            edit.thresholds = Some(thresholds.clone());
        }
        if !self.make(place, CatalogCommand::UpdateFeature { id: id.clone(), edit }) {
            return;
        }
        let differences = differences::of_feature(known, name, kind);
        let in_words = differences::in_words(&differences);
        let sentence = format!("the feature {id} changes: {in_words}");
        self.find(Some(place), Weight::Always(Severity::Warning), sentence);
        let warned = |it: Difference| it.with_severity(Severity::Warning);
        let entry = Entry::new(EntryKind::Feature, id.as_str(), Action::Change);
        self.enter(entry, differences.into_iter().map(warned).collect());
    }

    pub(in super::super) fn absent_features(
        &mut self,
        before: &Catalog,
        configuration: &Configuration,
        used: &HashSet<FeatureId>,
    ) {
        let keeps = packages_that_keep_features(before, configuration);
        // What others draw on comes last, since it is kept if one of them is.
        let draws = before.features().filter_map(|feature| feature.draws());
        let drawn_on: HashSet<&FeatureId> = draws.map(|draw| &draw.balance).collect();
        let (balances, others): (Vec<_>, Vec<_>) =
            absent_features(before, configuration).partition(|id| drawn_on.contains(id));
        let count = others.len();
        for (index, id) in others.into_iter().chain(balances).enumerate() {
            let drawing = (index >= count)
                .then(|| self.catalog.drawing_on(|balance| balance == id).next())
                .flatten();
            let reason = if let Some(package) = keeps.get(id) {
                Some(format!("the archived package {package} has it"))
            } else if used.contains(id) {
                Some("it has usage, or was given to users".to_owned())
            } else if let Some(drawing) = drawing {
                Some(format!("the feature {} draws on it", drawing.id))
            } else {
                self.make(&Place::root(), CatalogCommand::DeleteFeature(id.clone()));
                None
            };
            let (action, what) = match &reason {
                Some(reason) => (Action::Keep, format!("kept: {reason}")),
                None => (Action::Delete, "deleted".to_owned()),
            };
            let sentence = format!("the feature {id} is not in the file and is {what}");
            self.find(None, Weight::Always(Severity::Warning), sentence);
            let entry = Entry::new(EntryKind::Feature, id.as_str(), action);
            self.enter(Entry { severity: Severity::Warning, reason, ..entry }, Vec::new());
        }
    }
}

fn balance_of(kind: &FeatureKind) -> Option<&FeatureId> {
    kind.draws().map(|draw| &draw.balance)
}

fn type_of(kind: &FeatureKind) -> &'static str {
    match kind {
        FeatureKind::Binary => "BINARY",
        FeatureKind::Consumable { .. } => "CONSUMABLE",
    }
}
