//! Each step of a plan, on the catalog as the steps before it have left it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::differences::{feature_differences, gives, gives_differences};
use super::{Plan, Severity, Thing, Told, Weight, absent_features, packages_that_keep_features};
use crate::catalog::{Catalog, FeatureKind, Package, PackageKind, PackageStatus};
use crate::catalog_command::{
    self, CatalogCommand, FeatureEdit, NewPackage, NewPackageFeature, PackageEdit,
};
use crate::configuration::{
    Configuration, ConfiguredFeature, ConfiguredPackage, Place, Problem, quoted,
};
use crate::edit::Edit;
use crate::id::{FeatureId, PackageId};
use crate::timestamp::Timestamp;

/// Plans on the catalog as the commands so far have left it.
pub(super) struct Planner {
    catalog: Catalog,
    now: Timestamp,
    plan: Plan,
}

impl Planner {
    pub(super) fn new(catalog: Catalog, now: Timestamp) -> Self {
        Self { catalog, now, plan: Plan::default() }
    }

    pub(super) fn finish(self) -> Plan {
        self.plan
    }

    fn refuse(&mut self, place: Place, message: impl Into<String>) {
        self.plan.problems.push(Problem::new(place, message));
    }

    fn tell(&mut self, place: Option<&Place>, weight: Weight, sentence: String) {
        self.plan.told.push(Told { place: place.cloned(), sentence, weight });
    }

    /// Makes one command; says whether anything changed.
    fn make(&mut self, place: &Place, command: CatalogCommand) -> bool {
        match catalog_command::plan(&self.catalog, command, self.now) {
            Ok((changes, _)) => {
                let any = !changes.is_empty();
                for change in changes {
                    self.catalog.apply(&change);
                    self.plan.changes.insert(Thing::of(&change), change);
                }
                any
            }
            Err(refusal) => {
                self.refuse(place.clone(), refusal.to_string());
                false
            }
        }
    }

    pub(super) fn features(&mut self, configuration: &Configuration) {
        for feature in &configuration.features {
            let ConfiguredFeature { id, name, kind, place } = feature;
            let Some(before) = self.catalog.feature(id).map(Arc::clone) else {
                let command = CatalogCommand::CreateFeature(feature.into());
                if self.make(place, command) {
                    let kind = if is_binary(kind) { "BINARY" } else { "CONSUMABLE" };
                    let sentence = format!("the feature {id} is new ({kind})");
                    self.tell(Some(place), Weight::Always(Severity::Information), sentence);
                }
                continue;
            };
            if before.is_binary() != is_binary(kind) {
                let (was, here) = if before.is_binary() {
                    ("BINARY", "CONSUMABLE")
                } else {
                    ("CONSUMABLE", "BINARY")
                };
                let message =
                    format!("is {here}, but the feature {id} is {was}: its type never changes");
                self.refuse(place.key("type"), message);
                continue;
            }
            let differences = feature_differences(&before, name, kind);
            let (unit_label, unit_label_plural) = match kind {
                FeatureKind::Binary => (Edit::Keep, Edit::Keep),
                FeatureKind::Consumable { unit_label, unit_label_plural } => {
                    (Edit::to(unit_label.clone()), Edit::to(unit_label_plural.clone()))
                }
            };
            let edit = FeatureEdit {
                name: Some(name.clone()),
                unit_label,
                unit_label_plural,
                metadata: Edit::Keep,
            };
            if self.make(place, CatalogCommand::UpdateFeature { id: id.clone(), edit }) {
                let sentence = format!("the feature {id} changes: {differences}");
                self.tell(Some(place), Weight::Always(Severity::Warning), sentence);
            }
        }
    }

    pub(super) fn package(
        &mut self,
        before: &Catalog,
        are_addons: &HashMap<&PackageId, bool>,
        package: &ConfiguredPackage,
    ) {
        let refused = self.plan.problems.len();
        self.check_bases(before, are_addons, package);
        let known = before.package(&package.id);
        if let Some(known) = known {
            self.check_life(known, package);
        }
        if self.plan.problems.len() > refused {
            return;
        }
        match known {
            None => self.create(package),
            Some(known) => self.change(known, package),
        }
    }

    /// `are_addons` has the kinds of the packages in the file. An add-on goes on top of base packages that are there afterwards, whatever their status.
    fn check_bases(
        &mut self,
        before: &Catalog,
        are_addons: &HashMap<&PackageId, bool>,
        package: &ConfiguredPackage,
    ) {
        for (index, id) in package.base_packages().iter().enumerate() {
            let place = || package.place.key("base_packages").item(index);
            let is_addon = match (are_addons.get(id), before.package(id)) {
                (Some(is_addon), _) => *is_addon,
                (None, Some(known)) if known.status != PackageStatus::Draft => known.is_addon(),
                (None, known) => {
                    let id = quoted(id.as_str());
                    let problem = if known.is_some() {
                        "is a draft that the file does not have, and is deleted with it"
                    } else {
                        "is neither in the file nor in the environment"
                    };
                    let message = format!("names the base package {id}, which {problem}");
                    self.refuse(place(), message);
                    continue;
                }
            };
            if is_addon {
                let id = quoted(id.as_str());
                let message =
                    format!("names the package {id}, which is an add-on and no base package");
                self.refuse(place(), message);
            }
        }
    }

    /// A package's life has one direction.
    fn check_life(&mut self, known: &Package, package: &ConfiguredPackage) {
        let id = &package.id;
        match known.status {
            PackageStatus::Archived => {
                let message =
                    format!("the package {id} is ARCHIVED and never comes back: use another id");
                self.refuse(package.place.key("id"), message);
            }
            PackageStatus::Published if !package.is_published => {
                let message = format!(
                    "the package {id} is PUBLISHED and is never a draft again: move it back, or \
                     leave it out to archive it"
                );
                self.refuse(package.place.clone(), message);
            }
            PackageStatus::Published if known.is_addon() != package.is_addon() => {
                let (was, list) =
                    if known.is_addon() { ("an add-on", "addons") } else { ("a base", "packages") };
                let message = format!("the package {id} is PUBLISHED as {was}: move it to {list}");
                self.refuse(package.place.clone(), message);
            }
            PackageStatus::Published | PackageStatus::Draft => {}
        }
    }

    fn create(&mut self, package: &ConfiguredPackage) {
        let ConfiguredPackage { id, name, is_published, features, place, .. } = package;
        let features = features.iter().map(|(feature, allowance)| NewPackageFeature {
            feature: feature.clone(),
            name: None,
            allowance: self.is_consumable(feature).then_some(*allowance),
        });
        let new = NewPackage {
            id: id.clone(),
            name: Some(name.clone()),
            is_addon: package.is_addon(),
            features: features.collect(),
            base_packages: package.base_packages().to_vec(),
            metadata: None,
        };
        let is_made = self.make(place, CatalogCommand::CreatePackage(new));
        if is_made && *is_published {
            self.make(place, CatalogCommand::PublishPackage(id.clone()));
        }
        if is_made {
            let kind = if package.is_addon() { "add-on" } else { "package" };
            let status = if *is_published { "PUBLISHED" } else { "DRAFT" };
            let sentence = format!("the {kind} {id} is new ({status})");
            self.tell(Some(place), Weight::Always(Severity::Information), sentence);
        }
    }

    fn is_consumable(&self, feature: &FeatureId) -> bool {
        self.catalog.feature(feature).is_some_and(|feature| !feature.is_binary())
    }

    fn change(&mut self, known: &Package, package: &ConfiguredPackage) {
        let ConfiguredPackage { id, name, kind, is_published, features, place } = package;
        let edit =
            PackageEdit { name: name.clone(), kind: kind.clone(), features: features.clone() };
        let is_changed = self.make(place, CatalogCommand::ChangePackage { id: id.clone(), edit });
        if is_changed {
            self.tell_changes(known, package);
        }
        if *is_published
            && known.status == PackageStatus::Draft
            && self.make(place, CatalogCommand::PublishPackage(id.clone()))
        {
            let sentence = format!("the package {id} is published");
            self.tell(Some(place), Weight::Always(Severity::Information), sentence);
        }
    }

    fn tell_changes(&mut self, known: &Package, package: &ConfiguredPackage) {
        let ConfiguredPackage { id, name, kind, features, place, .. } = package;
        let is_draft = known.status == PackageStatus::Draft;
        let to_look_at = if is_draft { Severity::Information } else { Severity::Warning };
        let what = if is_draft { "draft" } else { "package" };
        if known.name != *name {
            let (before, after) = (quoted(known.name.as_str()), quoted(name.as_str()));
            let sentence = format!("the name of the {what} {id} changes: {before} → {after}");
            self.tell(Some(&place.key("name")), Weight::Always(to_look_at), sentence);
        }
        if known.kind != *kind {
            let sentence = format!("the {what} {id} {}", becomes(kind));
            self.tell(Some(place), Weight::Always(to_look_at), sentence);
        }
        let given = gives(known);
        if given.iter().eq(features) {
            return;
        }
        let is_consumable = |feature: &FeatureId| self.is_consumable(feature);
        let (differences, first) = gives_differences(&given, features, &is_consumable);
        let place =
            first.map_or_else(|| place.key("features"), |first| package.place_of_feature(&first));
        if differences.is_empty() {
            let sentence = format!("the order of the features of the {what} {id} changes");
            self.tell(Some(&place), Weight::Always(to_look_at), sentence);
        } else if is_draft {
            let sentence = format!("the draft {id} changes: {differences}");
            self.tell(Some(&place), Weight::Always(Severity::Information), sentence);
        } else {
            let sentence =
                format!("the package {id} changes for everyone subscribed: {differences}");
            let weight = Weight::UnlessSubscribed(id.clone(), Severity::Error);
            self.tell(Some(&place), weight, sentence);
        }
    }

    pub(super) fn absent_packages(&mut self, before: &Catalog, configuration: &Configuration) {
        let there: HashSet<&PackageId> =
            configuration.packages.iter().map(|package| &package.id).collect();
        for package in before.packages().filter(|package| !there.contains(&package.id)) {
            let id = &package.id;
            match package.status {
                PackageStatus::Archived => {}
                PackageStatus::Published => {
                    self.make(&Place::root(), CatalogCommand::ArchivePackage(id.clone()));
                    let sentence = format!("the package {id} is not in the file and is archived");
                    let weight = Weight::UnlessSubscribed(id.clone(), Severity::Warning);
                    self.tell(None, weight, sentence);
                }
                PackageStatus::Draft => {
                    self.make(&Place::root(), CatalogCommand::DeletePackage(id.clone()));
                    let sentence = format!("the draft {id} is not in the file and is deleted");
                    self.tell(None, Weight::Always(Severity::Warning), sentence);
                }
            }
        }
    }

    pub(super) fn absent_features(
        &mut self,
        before: &Catalog,
        configuration: &Configuration,
        used: &HashSet<FeatureId>,
    ) {
        let keeps = packages_that_keep_features(before, configuration);
        for id in absent_features(before, configuration) {
            let sentence = if let Some(package) = keeps.get(id) {
                format!(
                    "the feature {id} is not in the file and is kept: the archived package {package} has it"
                )
            } else if used.contains(id) {
                format!("the feature {id} is not in the file and is kept: it has usage")
            } else {
                self.make(&Place::root(), CatalogCommand::DeleteFeature(id.clone()));
                format!("the feature {id} is not in the file and is deleted")
            };
            self.tell(None, Weight::Always(Severity::Warning), sentence);
        }
    }
}

/// Whether the feature is a switch.
fn is_binary(kind: &FeatureKind) -> bool {
    matches!(kind, FeatureKind::Binary)
}

fn becomes(kind: &PackageKind) -> String {
    match kind {
        PackageKind::Base => "becomes a base package".to_owned(),
        PackageKind::Addon { base_packages } if base_packages.is_empty() => {
            "becomes an add-on to any base package".to_owned()
        }
        PackageKind::Addon { base_packages } => {
            let bases: Vec<&str> = base_packages.iter().map(PackageId::as_str).collect();
            format!("becomes an add-on to {}", bases.join(", "))
        }
    }
}
