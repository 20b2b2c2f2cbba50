//! Changes of the catalog, one at a time: each is checked against the catalog as it is and becomes
//! a list of [`CatalogChange`]s (contract: `admin-api.md`, "Values"). The Admin API makes one; a
//! configuration that is published is [planned](crate::configuration_plan) as many of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::catalog::{
    Allowance, Catalog, CatalogChange, Feature, FeatureKind, Package, PackageFeature, PackageKind,
    PackageStatus,
};
use crate::credits::Cost;
use crate::edit::Edit;
use crate::id::{FeatureId, PackageId};
use crate::metadata::{Label, Metadata};
use crate::refusal::{InvalidValue, Refusal};
use crate::terms::TermsHistory;
use crate::threshold::Thresholds;
use crate::timestamp::Timestamp;

/// A change of the catalog that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogCommand {
    /// Adds a feature; its id must be free.
    CreateFeature(Feature),
    /// Adds a package as a draft; its id must be free and its features must exist.
    CreatePackage(NewPackage),
    /// Changes a feature's names, thresholds, cost and metadata; its id, its type and what it draws on never
    /// change.
    UpdateFeature {
        /// Which one.
        id: FeatureId,
        /// What is to change.
        edit: FeatureEdit,
    },
    /// Changes a package's metadata.
    UpdatePackage {
        /// Which one.
        id: PackageId,
        /// What the product attaches to it.
        metadata: Edit<Metadata>,
    },
    /// Puts a draft on offer. A published package stays as it is.
    PublishPackage(PackageId),
    /// Takes a published package off offer. An archived package stays as it is.
    ArchivePackage(PackageId),
    /// Changes what a package is and gives, for everyone subscribed. Whoever asks has
    /// [planned](crate::configuration_plan) it.
    ChangePackage {
        /// Which one; it is not archived.
        id: PackageId,
        /// What it is from now on.
        edit: PackageEdit,
    },
    /// Removes a draft.
    DeletePackage(PackageId),
    /// Removes a feature that no package has and no other draws on. Whoever asks has seen that it has no usage,
    /// and that no user was given an override or a grant of it.
    DeleteFeature(FeatureId),
}

/// A package to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPackage {
    /// Its id.
    pub id: PackageId,
    /// Its name; the id where absent.
    pub name: Option<Label>,
    /// Base or add-on.
    pub is_addon: bool,
    /// Its features, in order.
    pub features: Vec<NewPackageFeature>,
    /// For an add-on, the base packages it may be added to; empty means any.
    pub base_packages: Vec<PackageId>,
    /// What the product attaches to it.
    pub metadata: Option<Metadata>,
}

/// A feature as it is to sit in a new package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPackageFeature {
    /// The feature's id.
    pub feature: FeatureId,
    /// The feature's name within the package.
    pub name: Option<Label>,
    /// How much of it; absent means unlimited. Only for a consumable feature.
    pub allowance: Option<Allowance>,
}

/// What is to change about a feature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeatureEdit {
    /// A new name.
    pub name: Option<Label>,
    /// What one unit is called; not kept for a `BINARY` feature.
    pub unit_label: Edit<Label>,
    /// What several units are called; not kept for a `BINARY` feature.
    pub unit_label_plural: Edit<Label>,
    /// When a threshold event is stored; `None` keeps that.
    pub thresholds: Option<Thresholds>,
    /// What one unit costs of what the feature draws on, from now on; `None` keeps that.
    pub cost: Option<Cost>,
    /// What the product attaches to it.
    pub metadata: Edit<Metadata>,
}

/// What a package is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageEdit {
    /// Its name.
    pub name: Label,
    /// Base or add-on; a published package stays what it is, but may go on other base packages.
    pub kind: PackageKind,
    /// How much it gives of each feature, in order.
    pub features: IndexMap<FeatureId, Allowance>,
    /// The names of its features within it; `None` keeps them.
    pub names: Option<BTreeMap<FeatureId, Label>>,
    /// What the product attaches to it.
    pub metadata: Edit<Metadata>,
}

/// What a command refers to, once it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogAnswer {
    /// The feature that was made, changed or removed.
    Feature(FeatureId),
    /// The package that was made, changed or removed.
    Package(PackageId),
}

/// The changes that `command` asks for, none where everything is so already, and what they are
/// about.
pub fn plan(
    catalog: &Catalog,
    command: CatalogCommand,
    now: Timestamp,
) -> Result<(Vec<CatalogChange>, CatalogAnswer), Refusal> {
    match command {
        CatalogCommand::CreateFeature(feature) => {
            check_thresholds(&feature, feature.thresholds())?;
            if catalog.feature(&feature.id).is_some() {
                return Err(Refusal::FeatureIdTaken(feature.id));
            }
            check_draw(catalog, &feature)?;
            let id = feature.id.clone();
            let change = CatalogChange::PutFeature(Arc::new(feature));
            Ok((vec![change], CatalogAnswer::Feature(id)))
        }
        CatalogCommand::CreatePackage(package) => {
            let package = create_package(catalog, package, now)?;
            let id = package.id.clone();
            let change = CatalogChange::PutPackage(Arc::new(package));
            Ok((vec![change], CatalogAnswer::Package(id)))
        }
        CatalogCommand::UpdateFeature { id, edit } => {
            let changes = update_feature(catalog, &id, edit)?;
            Ok((changes, CatalogAnswer::Feature(id)))
        }
        CatalogCommand::UpdatePackage { id, metadata } => {
            let changes = change_package(catalog, &id, now, |package| {
                metadata.apply_to(&mut package.metadata);
                Ok(())
            })?;
            Ok((changes, CatalogAnswer::Package(id)))
        }
        CatalogCommand::PublishPackage(id) => {
            let changes = change_package(catalog, &id, now, publish)?;
            Ok((changes, CatalogAnswer::Package(id)))
        }
        CatalogCommand::ArchivePackage(id) => {
            let changes = change_package(catalog, &id, now, archive)?;
            Ok((changes, CatalogAnswer::Package(id)))
        }
        CatalogCommand::ChangePackage { id, edit } => {
            let changes = change_package(catalog, &id, now, |package| edit.apply_to(package, now))?;
            Ok((changes, CatalogAnswer::Package(id)))
        }
        CatalogCommand::DeletePackage(id) => {
            delete_package(catalog, &id)?;
            Ok((vec![CatalogChange::DeletePackage(id.clone())], CatalogAnswer::Package(id)))
        }
        CatalogCommand::DeleteFeature(id) => {
            let mut changes = delete_feature(catalog, &id)?;
            changes.push(CatalogChange::DeleteFeature(id.clone()));
            Ok((changes, CatalogAnswer::Feature(id)))
        }
    }
}

fn create_package(catalog: &Catalog, new: NewPackage, now: Timestamp) -> Result<Package, Refusal> {
    // What is wrong with the input by itself comes before what is wrong with it here.
    if !new.is_addon && !new.base_packages.is_empty() {
        let problem = "is only for add-ons: set isAddon, or leave it out";
        return Err(InvalidValue::new("basePackageIds", problem).into());
    }
    let mut features = IndexMap::with_capacity(new.features.len());
    for new_feature in new.features {
        if let Some(allowance) = new_feature.allowance {
            allowance.check()?;
        }
        let package_feature = PackageFeature {
            name: new_feature.name,
            allowance: new_feature.allowance.unwrap_or(Allowance::UNLIMITED),
        };
        let given = (package_feature, new_feature.allowance.is_some());
        if features.insert(new_feature.feature.clone(), given).is_some() {
            let problem = format!("names the feature {} twice", new_feature.feature);
            return Err(InvalidValue::new("features", problem).into());
        }
    }
    if catalog.package(&new.id).is_some() {
        return Err(Refusal::PackageIdTaken(new.id));
    }
    for (id, (_, has_entitlement)) in &features {
        let feature = catalog.feature(id).ok_or_else(|| Refusal::FeatureNotFound(id.clone()))?;
        if *has_entitlement {
            check_entitlement(feature)?;
        }
    }
    let mut base_packages = Vec::with_capacity(new.base_packages.len());
    for id in new.base_packages {
        let base = catalog.package(&id).ok_or_else(|| Refusal::PackageNotFound(id.clone()))?;
        if base.is_addon() {
            let problem = format!("names {id}, which is an add-on itself");
            return Err(InvalidValue::new("basePackageIds", problem).into());
        }
        if !base_packages.contains(&id) {
            base_packages.push(id);
        }
    }
    Ok(Package {
        name: new.name.unwrap_or_else(|| Label::from(&new.id)),
        id: new.id,
        kind: if new.is_addon { PackageKind::Addon { base_packages } } else { PackageKind::Base },
        status: PackageStatus::Draft,
        metadata: new.metadata,
        updated_at: now,
        features: features.into_iter().map(|(id, (feature, _))| (id, feature)).collect(),
        terms: BTreeMap::new(),
    })
}

/// Checks that a feature can have thresholds.
pub fn check_thresholds(feature: &Feature, thresholds: &Thresholds) -> Result<(), InvalidValue> {
    if thresholds.is_empty() { Ok(()) } else { check_left_out(feature, "thresholds") }
}

/// Checks that a package can say how much it gives of the feature.
fn check_entitlement(feature: &Feature) -> Result<(), InvalidValue> {
    check_left_out(feature, "entitlement")
}

/// Refuses a field about an amount for a feature that has none of its own.
fn check_left_out(feature: &Feature, field: &'static str) -> Result<(), InvalidValue> {
    match feature.why_no_amount() {
        None => Ok(()),
        Some(why) => {
            let problem = format!("must be left out for {}, which {why}", feature.id);
            Err(InvalidValue::new(field, problem))
        }
    }
}

/// Checks what a new feature draws on: another one that is `CONSUMABLE` and draws on nothing itself.
fn check_draw(catalog: &Catalog, feature: &Feature) -> Result<(), Refusal> {
    let Some(draw) = feature.draws() else { return Ok(()) };
    let balance = &draw.balance;
    let known =
        catalog.feature(balance).ok_or_else(|| Refusal::FeatureNotFound(balance.clone()))?;
    let problem = match known.draws() {
        None if known.is_binary() => format!("names {balance}, which is BINARY"),
        None => return Ok(()),
        Some(other) => format!("names {balance}, which draws on {} itself", other.balance),
    };
    Err(InvalidValue::new("drawsOn", problem).into())
}

fn update_feature(
    catalog: &Catalog,
    id: &FeatureId,
    edit: FeatureEdit,
) -> Result<Vec<CatalogChange>, Refusal> {
    let before = catalog.feature(id).ok_or_else(|| Refusal::FeatureNotFound(id.clone()))?;
    let mut feature = Feature::clone(before);
    if let Some(name) = edit.name {
        feature.name = name;
    }
    if let Some(thresholds) = &edit.thresholds {
        check_thresholds(before, thresholds)?;
    }
    if edit.cost.is_some() && before.draws().is_none() {
        let problem = format!("must be left out for {id}, which draws on nothing");
        return Err(InvalidValue::new("cost", problem).into());
    }
    if let FeatureKind::Consumable { unit_label, unit_label_plural, thresholds, draws } =
        &mut feature.kind
    {
        edit.unit_label.apply_to(unit_label);
        edit.unit_label_plural.apply_to(unit_label_plural);
        if let Some(new) = edit.thresholds {
            *thresholds = new;
        }
        if let (Some(draw), Some(cost)) = (draws, edit.cost) {
            draw.cost = cost;
        }
    }
    edit.metadata.apply_to(&mut feature.metadata);
    if feature == **before {
        return Ok(Vec::new());
    }
    Ok(vec![CatalogChange::PutFeature(Arc::new(feature))])
}

/// Changes a package that exists; no change where `change` makes none.
fn change_package(
    catalog: &Catalog,
    id: &PackageId,
    now: Timestamp,
    change: impl FnOnce(&mut Package) -> Result<(), Refusal>,
) -> Result<Vec<CatalogChange>, Refusal> {
    let before = catalog.package(id).ok_or_else(|| Refusal::PackageNotFound(id.clone()))?;
    let mut package = Package::clone(before);
    change(&mut package)?;
    // Maps are equal in whatever order.
    if package == **before && package.features.keys().eq(before.features.keys()) {
        return Ok(Vec::new());
    }
    package.updated_at = now;
    Ok(vec![CatalogChange::PutPackage(Arc::new(package))])
}

fn publish(package: &mut Package) -> Result<(), Refusal> {
    let id = &package.id;
    match package.status {
        PackageStatus::Published => {}
        PackageStatus::Archived => {
            let problem = format!("names {id}, which is ARCHIVED and cannot be published again");
            return Err(InvalidValue::new("id", problem).into());
        }
        PackageStatus::Draft if package.features.is_empty() => {
            let problem = format!("names {id}, which has no features: a package needs one");
            return Err(InvalidValue::new("id", problem).into());
        }
        PackageStatus::Draft => package.status = PackageStatus::Published,
    }
    Ok(())
}

fn archive(package: &mut Package) -> Result<(), Refusal> {
    match package.status {
        PackageStatus::Archived => {}
        PackageStatus::Draft => {
            let problem = format!(
                "names {}, which is a DRAFT: only a published package is archived",
                package.id
            );
            return Err(InvalidValue::new("id", problem).into());
        }
        PackageStatus::Published => package.status = PackageStatus::Archived,
    }
    Ok(())
}

/// Refuses to delete a draft that an add-on names, since the add-on would go on nothing that exists. A
/// configuration says by itself what becomes of the add-on.
pub fn check_unnamed(catalog: &Catalog, id: &PackageId) -> Result<(), Refusal> {
    let mut others = catalog.packages().filter(|it| it.status != PackageStatus::Archived);
    if let Some(addon) = others.find(|addon| addon.base_packages().contains(id)) {
        let problem = format!("names {id}, to which the add-on {} may be added", addon.id);
        return Err(InvalidValue::new("id", problem).into());
    }
    Ok(())
}

impl PackageEdit {
    /// Returns true if subscribers of `before` get less: a feature is gone, or
    /// [less](Allowance::gives_less_than) is given of one.
    #[must_use]
    pub fn takes_from(&self, before: &Package) -> bool {
        before.features.iter().any(|(id, inside)| {
            self.features.get(id).is_none_or(|gives| gives.gives_less_than(inside.allowance))
        })
    }

    /// Checks what the file's reader checks of a file: that the features exist, that no limit is
    /// negative, and that a feature without an amount has none.
    pub(crate) fn check_features(&self, catalog: &Catalog) -> Result<(), Refusal> {
        for (id, allowance) in &self.features {
            let feature =
                catalog.feature(id).ok_or_else(|| Refusal::FeatureNotFound(id.clone()))?;
            allowance.check()?;
            if *allowance != Allowance::UNLIMITED {
                check_entitlement(feature)?;
            }
        }
        Ok(())
    }

    fn apply_to(self, package: &mut Package, now: Timestamp) -> Result<(), Refusal> {
        let is_addon = self.kind.is_addon();
        if package.status == PackageStatus::Archived {
            let problem = format!("names {}, which is ARCHIVED and never changes", package.id);
            return Err(InvalidValue::new("id", problem).into());
        }
        if package.status == PackageStatus::Published && package.is_addon() != is_addon {
            let problem = format!("names {}, which stays what it was PUBLISHED as", package.id);
            return Err(InvalidValue::new("id", problem).into());
        }
        if package.status == PackageStatus::Published && self.features.is_empty() {
            let problem = format!("of {} is empty: a published package needs one", package.id);
            return Err(InvalidValue::new("features", problem).into());
        }
        if package.status == PackageStatus::Published {
            note_terms(package, &self.features, now);
        }
        let (mut known, mut names) = (std::mem::take(&mut package.features), self.names);
        let features = self.features.into_iter().map(|(id, allowance)| {
            let name = match &mut names {
                Some(names) => names.remove(&id),
                None => known.get_mut(&id).and_then(|inside| inside.name.take()),
            };
            (id, PackageFeature { name, allowance })
        });
        package.features = features.collect();
        self.metadata.apply_to(&mut package.metadata);
        package.name = self.name;
        package.kind = self.kind;
        Ok(())
    }
}

/// Records new terms of a published package. A draft keeps none, since it has no subscribers.
fn note_terms(package: &mut Package, after: &IndexMap<FeatureId, Allowance>, now: Timestamp) {
    let Package { features: before, terms, .. } = package;
    for feature in before.keys().chain(after.keys()) {
        let given = before.get(feature).map(|inside| inside.allowance);
        let gives = after.get(feature).copied();
        if given != gives {
            let history =
                terms.entry(feature.clone()).or_insert_with(|| TermsHistory::beginning_with(given));
            history.change(gives, now);
        }
    }
}

fn delete_package(catalog: &Catalog, id: &PackageId) -> Result<(), Refusal> {
    let package = catalog.package(id).ok_or_else(|| Refusal::PackageNotFound(id.clone()))?;
    if package.status != PackageStatus::Draft {
        let problem = format!("names {id}, which is {}: only a draft is deleted", package.status);
        return Err(InvalidValue::new("id", problem).into());
    }
    Ok(())
}

/// Deletes a feature and its terms in all packages, so that a later feature with the same id starts
/// without a history.
fn delete_feature(catalog: &Catalog, id: &FeatureId) -> Result<Vec<CatalogChange>, Refusal> {
    if catalog.feature(id).is_none() {
        return Err(Refusal::FeatureNotFound(id.clone()));
    }
    if let Some(package) = catalog.packages().find(|package| package.features.contains_key(id)) {
        let problem = format!("names {id}, which the package {} has", package.id);
        return Err(InvalidValue::new("id", problem).into());
    }
    if let Some(other) = catalog.drawing_on(|balance| balance == id).next() {
        let problem = format!("names {id}, which {} draws on", other.id);
        return Err(InvalidValue::new("id", problem).into());
    }
    let remember = catalog.packages().filter(|package| package.terms.contains_key(id));
    let forget = |package: &Arc<Package>| {
        let mut package = Package::clone(package);
        package.terms.remove(id);
        CatalogChange::PutPackage(Arc::new(package))
    };
    Ok(remember.map(forget).collect())
}
