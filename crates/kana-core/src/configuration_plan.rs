//! What publishing a configuration does to an environment (contract: `cli.md`, "What publishing
//! does"). What `validate` tells and what `publish` does is one plan.
//!
//! A plan is a list of the same commands by which the Admin API changes a catalog, each made on
//! what the ones before it left. It is told which features have usage
//! ([`features_to_look_up`]); how many are subscribed matters only for what is told of it
//! ([`Plan::findings`]), and so only to who asks.

mod differences;
mod finding;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;

use self::differences::{feature_differences, gives, gives_differences, quoted};
pub use self::finding::{Finding, Severity};
use crate::catalog::{Catalog, CatalogChange, FeatureKind, Package, PackageKind, PackageStatus};
use crate::catalog_command::{
    self, CatalogCommand, FeatureEdit, NewPackage, NewPackageFeature, PackageEdit,
};
use crate::configuration::{Configuration, ConfiguredFeature, ConfiguredPackage, Place, Problem};
use crate::edit::Edit;
use crate::id::{FeatureId, PackageId};
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;

/// What becomes of an environment when a configuration is published.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    problems: Vec<Problem>,
    told: Vec<Told>,
    changes: IndexMap<Thing, CatalogChange>,
}

/// Something that is told of a plan.
#[derive(Debug, Clone)]
struct Told {
    place: Option<Place>,
    sentence: String,
    weight: Weight,
}

/// How much what is told weighs.
#[derive(Debug, Clone)]
enum Weight {
    Always(Severity),
    /// An error if anybody is subscribed to the package, and this otherwise.
    UnlessSubscribed(PackageId, Severity),
}

/// What a catalog change is about: of two about one thing, the last holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Thing {
    Feature(FeatureId),
    Package(PackageId),
}

/// The features that publishing would delete if they have no usage, which somebody has to look up.
#[must_use]
pub fn features_to_look_up(catalog: &Catalog, configuration: &Configuration) -> Vec<FeatureId> {
    let keeps = packages_that_keep_features(catalog, configuration);
    absent_features(catalog, configuration).filter(|id| !keeps.contains_key(id)).cloned().collect()
}

/// Plans to make of `catalog` what `configuration` says. Of
/// [`features_to_look_up`], those in `used` have usage.
#[must_use]
pub fn plan(
    catalog: &Catalog,
    configuration: &Configuration,
    used: &HashSet<FeatureId>,
    now: Timestamp,
) -> Plan {
    let mut planner = Planner { catalog: catalog.clone(), now, plan: Plan::default() };
    planner.features(configuration);
    let are_addons: HashMap<&PackageId, bool> =
        configuration.packages.iter().map(|package| (&package.id, package.is_addon())).collect();
    let (addons, bases): (Vec<_>, Vec<_>) =
        configuration.packages.iter().partition(|package| package.is_addon());
    // An add-on names its base packages, which must be there.
    for package in bases.into_iter().chain(addons) {
        planner.package(catalog, &are_addons, package);
    }
    planner.absent_packages(catalog, configuration);
    planner.absent_features(catalog, configuration, used);
    planner.plan
}

impl Plan {
    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many features and packages would change.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// What is to be stored, in this order; refused when anything in the configuration is.
    pub fn into_changes(self) -> Result<Vec<CatalogChange>, Refusal> {
        if self.problems.is_empty() {
            Ok(self.changes.into_values().collect())
        } else {
            Err(Refusal::Configuration(self.problems))
        }
    }

    /// The packages whose active subscribers are to be counted for [`findings`](Self::findings).
    #[must_use]
    pub fn packages_to_count(&self) -> Vec<PackageId> {
        self.told
            .iter()
            .filter_map(|told| match &told.weight {
                Weight::Always(_) => None,
                Weight::UnlessSubscribed(package, _) => Some(package.clone()),
            })
            .collect()
    }

    /// What whoever is about to publish should know: what is refused first, then what changes.
    #[must_use]
    pub fn findings(&self, active_subscribers: &HashMap<PackageId, u64>) -> Vec<Finding> {
        let refused = self.problems.iter().map(|problem| Finding::refused(problem.clone()));
        let told = self.told.iter().map(|told| {
            let (severity, suffix) = match &told.weight {
                Weight::Always(severity) => (*severity, String::new()),
                Weight::UnlessSubscribed(package, otherwise) => {
                    let count = active_subscribers.get(package).copied().unwrap_or(0);
                    let severity = if count > 0 { Severity::Error } else { *otherwise };
                    (severity, touches(count))
                }
            };
            let sentence = format!("{}{suffix}", told.sentence);
            Finding { severity, place: told.place.clone(), sentence, is_refused: false }
        });
        refused.chain(told).collect()
    }
}

fn touches(active_subscribers: u64) -> String {
    match active_subscribers {
        0 => "; it has no active subscribers".to_owned(),
        1 => "; it has 1 active subscriber".to_owned(),
        count => format!("; it has {count} active subscribers"),
    }
}

/// Plans on the catalog as the commands so far have left it.
struct Planner {
    catalog: Catalog,
    now: Timestamp,
    plan: Plan,
}

impl Planner {
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

    fn features(&mut self, configuration: &Configuration) {
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
                let was = if before.is_binary() { "BINARY" } else { "CONSUMABLE" };
                let message = format!("the feature {id} is {was}: its type never changes");
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

    fn package(
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
                (None, _) => {
                    self.refuse(place(), format!("names {id}, which is no base package"));
                    continue;
                }
            };
            if is_addon {
                self.refuse(place(), format!("names {id}, which is an add-on itself"));
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

    fn absent_packages(&mut self, before: &Catalog, configuration: &Configuration) {
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

    fn absent_features(
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

fn absent_features<'a>(
    catalog: &'a Catalog,
    configuration: &Configuration,
) -> impl Iterator<Item = &'a FeatureId> {
    let there: HashSet<FeatureId> =
        configuration.features.iter().map(|feature| feature.id.clone()).collect();
    catalog.features().map(|feature| &feature.id).filter(move |id| !there.contains(*id))
}

/// By the ids of their features, the packages that will be there though no file has them.
fn packages_that_keep_features<'a>(
    catalog: &'a Catalog,
    configuration: &Configuration,
) -> HashMap<&'a FeatureId, &'a PackageId> {
    let there: HashSet<&PackageId> =
        configuration.packages.iter().map(|package| &package.id).collect();
    catalog
        .packages()
        .filter(|package| package.status != PackageStatus::Draft && !there.contains(&package.id))
        .flat_map(|package| package.features.keys().map(|feature| (feature, &package.id)))
        .collect()
}

impl Thing {
    fn of(change: &CatalogChange) -> Self {
        match change {
            CatalogChange::PutFeature(feature) => Self::Feature(feature.id.clone()),
            CatalogChange::PutPackage(package) => Self::Package(package.id.clone()),
            CatalogChange::DeleteFeature(id) => Self::Feature(id.clone()),
            CatalogChange::DeletePackage(id) => Self::Package(id.clone()),
        }
    }
}
