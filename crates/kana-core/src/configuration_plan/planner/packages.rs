//! Creates, changes, publishes, archives and deletes packages.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::Planner;
use crate::catalog::{Catalog, Package, PackageStatus};
use crate::catalog_command::{CatalogCommand, NewPackage, NewPackageFeature, PackageEdit};
use crate::configuration::{Configuration, ConfiguredPackage, Place, quoted};
use crate::configuration_plan::differences;
use crate::configuration_plan::entry::{Action, Difference, Entry, EntryKind, Field};
use crate::configuration_plan::finding::Severity;
use crate::configuration_plan::planned::Weight;
use crate::edit::Edit;
use crate::id::{FeatureId, PackageId};
use crate::metadata::Label;

impl Planner {
    pub(in super::super) fn package(
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

    /// Checks that the base packages of an add-on exist afterwards, whatever their status.
    /// `are_addons` has the kinds of the packages in the file.
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

    /// Checks that the package's status does not go back, and that a published one stays a base or
    /// an add-on.
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
        if !self.make(place, CatalogCommand::CreatePackage(new)) {
            return;
        }
        if *is_published {
            self.make(place, CatalogCommand::PublishPackage(id.clone()));
        }
        let kind = if package.is_addon() { "add-on" } else { "package" };
        let status =
            if *is_published { PackageStatus::Published } else { PackageStatus::Draft }.to_string();
        let sentence = format!("the {kind} {id} is new ({status})");
        self.find(Some(place), Weight::Always(Severity::Information), sentence);
        self.enter_new(package, &status);
    }

    fn enter_new(&mut self, package: &ConfiguredPackage, status: &str) {
        let mut differences = vec![
            Difference::new(Field::Status, None, Some(status)),
            Difference::new(Field::Name, None, Some(package.name.as_str())),
        ];
        if let Some(bases) = differences::bases_in_words(&package.kind) {
            differences.push(Difference::new(Field::BasePackages, None, Some(&bases)));
        }
        let nothing = IndexMap::new();
        let is_consumable = |feature: &FeatureId| self.is_consumable(feature);
        let (gives, _) = differences::of_gives(&nothing, &package.features, &is_consumable, false);
        differences.extend(gives);
        let kind = EntryKind::of_package(package.is_addon());
        self.enter(Entry::new(kind, package.id.as_str(), Action::Create), differences);
    }

    fn is_consumable(&self, feature: &FeatureId) -> bool {
        self.catalog.feature(feature).is_some_and(|feature| feature.has_amount())
    }

    fn change(&mut self, known: &Package, package: &ConfiguredPackage) {
        let ConfiguredPackage { id, name, kind, is_published, features, place } = package;
        let edit = PackageEdit {
            name: name.clone(),
            kind: kind.clone(),
            features: features.clone(),
            names: None,
            metadata: Edit::Keep,
        };
        let mut differences = Vec::new();
        if self.make(place, CatalogCommand::ChangePackage { id: id.clone(), edit }) {
            self.find_names(known, package, &mut differences);
            self.find_gives(known, package, &mut differences);
        }
        if *is_published
            && known.status == PackageStatus::Draft
            && self.make(place, CatalogCommand::PublishPackage(id.clone()))
        {
            let sentence = format!("the package {id} is published");
            self.find(Some(place), Weight::Always(Severity::Information), sentence);
            differences.insert(0, Difference::new(Field::Status, Some("DRAFT"), Some("PUBLISHED")));
        }
        if differences.is_empty() {
            return;
        }
        let entry_kind = EntryKind::of_package(package.is_addon());
        let mut entry = Entry::new(entry_kind, id.as_str(), Action::Change);
        entry.touches_subscribers = known.status == PackageStatus::Published
            && differences.iter().any(|it| it.field == Field::Feature);
        self.enter(entry, differences);
    }

    /// Finds another name and other base packages.
    fn find_names(
        &mut self,
        known: &Package,
        package: &ConfiguredPackage,
        differences: &mut Vec<Difference>,
    ) {
        let ConfiguredPackage { id, name, kind, place, .. } = package;
        let (what, severity) = weight_of_names(known.status);
        if known.name != *name {
            let (before, after) = (known.name.as_str(), name.as_str());
            let sentence = format!(
                "the name of the {what} {id} changes: {} → {}",
                quoted(before),
                quoted(after)
            );
            self.find(Some(&place.key("name")), Weight::Always(severity), sentence);
            let difference = Difference::new(Field::Name, Some(before), Some(after));
            differences.push(difference.with_severity(severity));
        }
        if known.kind != *kind {
            let (before, after) =
                (differences::bases_in_words(&known.kind), differences::bases_in_words(kind));
            let becomes = match &after {
                Some(bases) => format!("an add-on to {bases}"),
                None => "a base package".to_owned(),
            };
            let sentence = format!("the {what} {id} becomes {becomes}");
            self.find(Some(place), Weight::Always(severity), sentence);
            let difference =
                Difference::new(Field::BasePackages, before.as_deref(), after.as_deref());
            differences.push(difference.with_severity(severity));
        }
    }

    /// Finds other features, other amounts of them, and another order.
    fn find_gives(
        &mut self,
        known: &Package,
        package: &ConfiguredPackage,
        differences: &mut Vec<Difference>,
    ) {
        let ConfiguredPackage { id, features, place, .. } = package;
        let given = differences::gives(known);
        if given.iter().eq(features) {
            return;
        }
        let is_draft = known.status == PackageStatus::Draft;
        let is_consumable = |feature: &FeatureId| self.is_consumable(feature);
        let (gives, first) = differences::of_gives(&given, features, &is_consumable, !is_draft);
        let place =
            first.map_or_else(|| place.key("features"), |first| package.place_of_feature(&first));
        let in_words = differences::in_words(&gives);
        if gives.is_empty() {
            let (what, severity) = weight_of_names(known.status);
            let sentence = format!("the order of the features of the {what} {id} changes");
            self.find(Some(&place), Weight::Always(severity), sentence);
            let difference = Difference::new(Field::Order, None, None);
            differences.push(difference.with_severity(severity));
        } else if is_draft {
            let sentence = format!("the draft {id} changes: {in_words}");
            self.find(Some(&place), Weight::Always(Severity::Information), sentence);
            differences.extend(gives);
        } else {
            let sentence = format!("the package {id} changes for everyone subscribed: {in_words}");
            let weight = Weight::UnlessSubscribed(id.clone(), Severity::Error);
            self.find(Some(&place), weight, sentence);
            let breaking = |it: Difference| it.with_severity(Severity::Error);
            differences.extend(gives.into_iter().map(breaking));
        }
    }

    /// Changes what a file does not have of a package: its metadata, and the names of its features within
    /// it. The rest of `edit` was changed before. A file has no entries of this.
    pub(in super::super) fn details(&mut self, known: &Package, edit: &PackageEdit, place: &Place) {
        let id = &known.id;
        let command = CatalogCommand::ChangePackage { id: id.clone(), edit: edit.clone() };
        if !self.make(place, command) {
            return;
        }
        let (what, _) = weight_of_names(known.status);
        let mut metadata = known.metadata.clone();
        edit.metadata.clone().apply_to(&mut metadata);
        if metadata != known.metadata {
            let sentence = format!("the metadata of the {what} {id} changes");
            self.find(Some(place), Weight::Always(Severity::Information), sentence);
        }
        let shown = |name: Option<&Label>| {
            name.map_or_else(|| "the feature's own".to_owned(), |name| quoted(name.as_str()))
        };
        for (feature, inside) in &known.features {
            let Some(names) = edit.names.as_ref().filter(|_| edit.features.contains_key(feature))
            else {
                continue;
            };
            let after = names.get(feature);
            if after != inside.name.as_ref() {
                let (before, after) = (shown(inside.name.as_ref()), shown(after));
                let sentence =
                    format!("the name of {feature} in the {what} {id} changes: {before} → {after}");
                self.find(Some(place), Weight::Always(Severity::Information), sentence);
            }
        }
    }

    pub(in super::super) fn absent_packages(
        &mut self,
        before: &Catalog,
        configuration: &Configuration,
    ) {
        let there: HashSet<&PackageId> =
            configuration.packages.iter().map(|package| &package.id).collect();
        for package in before.packages().filter(|package| !there.contains(&package.id)) {
            let id = &package.id;
            let (action, command, sentence, weight) = match package.status {
                PackageStatus::Archived => continue,
                PackageStatus::Published => (
                    Action::Archive,
                    CatalogCommand::ArchivePackage(id.clone()),
                    format!("the package {id} is not in the file and is archived"),
                    Weight::UnlessSubscribed(id.clone(), Severity::Warning),
                ),
                PackageStatus::Draft => (
                    Action::Delete,
                    CatalogCommand::DeletePackage(id.clone()),
                    format!("the draft {id} is not in the file and is deleted"),
                    Weight::Always(Severity::Warning),
                ),
            };
            self.make(&Place::root(), command);
            self.find(None, weight, sentence);
            let kind = EntryKind::of_package(package.is_addon());
            let mut entry = Entry::new(kind, id.as_str(), action);
            entry.severity = Severity::Warning;
            entry.touches_subscribers = action == Action::Archive;
            self.enter(entry, Vec::new());
        }
    }
}

/// What a sentence calls a package, and how much another name of it matters.
fn weight_of_names(status: PackageStatus) -> (&'static str, Severity) {
    if status == PackageStatus::Draft {
        ("draft", Severity::Information)
    } else {
        ("package", Severity::Warning)
    }
}
