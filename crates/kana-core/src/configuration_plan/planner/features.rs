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
        for feature in &configuration.features {
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
                Some(known) => self.change_feature(&known, feature),
            }
        }
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
        if let FeatureKind::Consumable { unit_label, unit_label_plural, thresholds } = kind {
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
        for id in absent_features(before, configuration) {
            let reason = if let Some(package) = keeps.get(id) {
                Some(format!("the archived package {package} has it"))
            } else if used.contains(id) {
                Some("it has usage".to_owned())
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

fn type_of(kind: &FeatureKind) -> &'static str {
    match kind {
        FeatureKind::Binary => "BINARY",
        FeatureKind::Consumable { .. } => "CONSUMABLE",
    }
}
