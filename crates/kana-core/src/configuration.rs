//! Pricing as code: the features and packages of an environment as a file (contract: `cli.md`).
//!
//! [`Configuration::read`] reads and checks a file, [`Configuration::of`] converts a catalog, and
//! [`Configuration::to_json`] writes JSON. [`configuration_plan`](crate::configuration_plan) plans how
//! an environment becomes what a file says.

mod place;
mod reading;
mod shown;
mod writing;

use std::collections::BTreeMap;

use indexmap::IndexMap;

pub use self::place::{Place, Problem, Step};
pub use self::shown::quoted;
pub(crate) use self::shown::shown;
use crate::catalog::{
    Allowance, Catalog, Feature, FeatureKind, Package, PackageKind, PackageStatus, Stacking,
};
use crate::id::{FeatureId, PackageId};
use crate::metadata::Label;
use crate::period::{ResetAnchor, ResetPeriod};

/// The format version that this release writes. It reads every version 1.
pub const FORM_VERSION: &str = "1.0.0";

/// Returns the name of a reset period.
pub(crate) fn name_of(reset_period: ResetPeriod) -> &'static str {
    match reset_period {
        ResetPeriod::Minute => "MINUTE",
        ResetPeriod::Hour => "HOUR",
        ResetPeriod::Day => "DAY",
        ResetPeriod::Week => "WEEK",
        ResetPeriod::Month => "MONTH",
        ResetPeriod::Year => "YEAR",
    }
}

/// Returns the name of what periods are counted from.
pub(crate) fn name_of_anchor(anchor: ResetAnchor) -> &'static str {
    match anchor {
        ResetAnchor::Subscription => "SUBSCRIPTION",
        ResetAnchor::Calendar => "CALENDAR",
    }
}

/// Returns the name of how a limit goes with others.
pub(crate) fn name_of_stacking(stacking: Stacking) -> &'static str {
    match stacking {
        Stacking::Highest => "HIGHEST",
        Stacking::Add => "ADD",
    }
}

/// The features and packages of a file. Each id is there once; every feature that a package names is
/// in the file, and a base package may also be in the environment only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// The features, in the file's order.
    pub features: Vec<ConfiguredFeature>,
    /// The base packages and add-ons, in the file's order.
    pub packages: Vec<ConfiguredPackage>,
}

/// A feature of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredFeature {
    /// Its id.
    pub id: FeatureId,
    /// Its own name.
    pub name: Label,
    /// `BINARY` or `CONSUMABLE`.
    pub kind: FeatureKind,
    /// Its place in the file.
    pub place: Place,
}

/// A package of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredPackage {
    /// Its id.
    pub id: PackageId,
    /// Its name.
    pub name: Label,
    /// Base or add-on.
    pub kind: PackageKind,
    /// Whether it is in the list `published`, or else in `draft`.
    pub is_published: bool,
    /// How much it gives of each feature, in the file's order. What it gives of a `BINARY` feature
    /// is [`UNLIMITED`](Allowance::UNLIMITED).
    pub features: IndexMap<FeatureId, Allowance>,
    /// Its place in the file.
    pub place: Place,
}

impl Configuration {
    /// Converts a catalog, in order of creation. Leaves out archived packages, since a file has no
    /// place for them.
    #[must_use]
    pub fn of(catalog: &Catalog) -> Self {
        let features = catalog.features().enumerate().map(|(index, feature)| {
            let place = Place::root().key("features").item(index);
            ConfiguredFeature::of(feature, place)
        });
        let mut counts: IndexMap<(bool, bool), usize> = IndexMap::new();
        let packages = catalog
            .packages()
            .filter(|package| package.status != PackageStatus::Archived)
            .map(|package| {
                let is_published = package.status == PackageStatus::Published;
                let index = counts.entry((package.is_addon(), is_published)).or_default();
                let place = Place::list(package.is_addon(), is_published).item(*index);
                *index += 1;
                ConfiguredPackage::of(package, is_published, place)
            });
        Self { features: features.collect(), packages: packages.collect() }
    }

    /// Returns true if both have the same features and packages, in any order. The order of the
    /// features within a package counts.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.by_id() == other.by_id()
    }

    fn by_id(
        &self,
    ) -> (BTreeMap<&FeatureId, SaidOfFeature<'_>>, BTreeMap<&PackageId, SaidOfPackage<'_>>) {
        let features = self.features.iter().map(|it| (&it.id, (&it.name, &it.kind)));
        let packages = self.packages.iter().map(|it| {
            (&it.id, (&it.name, &it.kind, it.is_published, it.features.iter().collect()))
        });
        (features.collect(), packages.collect())
    }
}

type SaidOfFeature<'a> = (&'a Label, &'a FeatureKind);
type SaidOfPackage<'a> = (&'a Label, &'a PackageKind, bool, Vec<(&'a FeatureId, &'a Allowance)>);

impl ConfiguredFeature {
    fn of(feature: &Feature, place: Place) -> Self {
        let Feature { id, name, kind, .. } = feature.clone();
        Self { id, name, kind, place }
    }
}

impl ConfiguredPackage {
    fn of(package: &Package, is_published: bool, place: Place) -> Self {
        let features = package.features.iter();
        Self {
            id: package.id.clone(),
            name: package.name.clone(),
            kind: package.kind.clone(),
            is_published,
            features: features.map(|(id, inside)| (id.clone(), inside.allowance)).collect(),
            place,
        }
    }

    /// Returns true for an add-on.
    #[must_use]
    pub fn is_addon(&self) -> bool {
        self.kind.is_addon()
    }

    /// Returns the base packages that an add-on goes with.
    #[must_use]
    pub fn base_packages(&self) -> &[PackageId] {
        self.kind.base_packages()
    }

    /// Returns the place that says how much it gives of `feature`.
    #[must_use]
    pub fn place_of_feature(&self, feature: &FeatureId) -> Place {
        match self.features.get_index_of(feature) {
            Some(index) => self.place.key("features").item(index),
            None => self.place.key("features"),
        }
    }
}

impl From<&ConfiguredFeature> for Feature {
    fn from(feature: &ConfiguredFeature) -> Self {
        let ConfiguredFeature { id, name, kind, .. } = feature.clone();
        Self { id, name, kind, metadata: None }
    }
}
