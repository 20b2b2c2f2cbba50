//! An environment's features and packages: small, read by every request, changed rarely.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;

pub use crate::allowance::{Allowance, Stacking};
use crate::credits::Draw;
use crate::id::{FeatureId, PackageId};
use crate::metadata::{Label, Metadata};
use crate::terms::TermsHistory;
use crate::threshold::Thresholds;
use crate::timestamp::Timestamp;

/// Something that can be billed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Unique within the environment; never changes.
    pub id: FeatureId,
    /// The feature's own name; a package may give it another.
    pub name: Label,
    /// `BINARY` or `CONSUMABLE`; never changes.
    pub kind: FeatureKind,
    /// The product's own data.
    pub metadata: Option<Metadata>,
}

/// The type of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeatureKind {
    /// `BINARY`: granted or not.
    Binary,
    /// `CONSUMABLE`: an amount that is used up.
    Consumable {
        /// The name of one unit.
        unit_label: Option<Label>,
        /// The name of several units.
        unit_label_plural: Option<Label>,
        /// When a threshold event is stored. One that draws on another has none.
        thresholds: Thresholds,
        /// Whose balance the feature draws on; `None` if it has an amount of its own.
        draws: Option<Draw>,
    },
}

impl FeatureKind {
    /// `CONSUMABLE` with an amount of its own, without names of units and without thresholds.
    pub const CONSUMABLE: Self = Self::Consumable {
        unit_label: None,
        unit_label_plural: None,
        thresholds: Thresholds::NONE,
        draws: None,
    };

    /// Returns whose balance the feature draws on, if it does.
    #[must_use]
    pub fn draws(&self) -> Option<&Draw> {
        match self {
            Self::Binary => None,
            Self::Consumable { draws, .. } => draws.as_ref(),
        }
    }

    /// Returns the thresholds. A `BINARY` feature has none.
    #[must_use]
    pub fn thresholds(&self) -> &Thresholds {
        static NONE: Thresholds = Thresholds::NONE;
        match self {
            Self::Binary => &NONE,
            Self::Consumable { thresholds, .. } => thresholds,
        }
    }
}

impl Feature {
    /// Returns true if the feature is `BINARY`, and so has no consumption.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        matches!(self.kind, FeatureKind::Binary)
    }

    /// Returns whose balance the feature draws on, if it does.
    #[must_use]
    pub fn draws(&self) -> Option<&Draw> {
        self.kind.draws()
    }

    /// Returns true if the feature is counted by itself: it is `CONSUMABLE` and draws on nothing. Packages
    /// give an amount of it, where they only grant others.
    #[must_use]
    pub fn has_amount(&self) -> bool {
        !self.is_binary() && self.draws().is_none()
    }

    /// Returns why the feature [has no amount](Self::has_amount), as the rest of a sentence after "which";
    /// `None` if it has one.
    #[must_use]
    pub fn why_no_amount(&self) -> Option<String> {
        match &self.kind {
            FeatureKind::Binary => Some("is BINARY".to_owned()),
            FeatureKind::Consumable { draws: None, .. } => None,
            FeatureKind::Consumable { draws: Some(draw), .. } => {
                Some(format!("draws on {0}: set it on {0}", draw.balance))
            }
        }
    }

    /// Returns the feature whose usage counts: the balance that it draws on, or itself.
    #[must_use]
    pub fn balance(&self) -> &FeatureId {
        self.draws().map_or(&self.id, |draw| &draw.balance)
    }

    /// Returns what `delta` of the feature is in the unit of its [balance](Self::balance). It always fits.
    #[must_use]
    pub fn amount(&self, delta: i64) -> i128 {
        self.draws().map_or(delta.into(), |draw| draw.cost.of(delta))
    }

    /// Returns the thresholds. A `BINARY` feature has none.
    #[must_use]
    pub fn thresholds(&self) -> &Thresholds {
        self.kind.thresholds()
    }

    /// Returns the names of one unit and of several. A `BINARY` feature has none.
    #[must_use]
    pub fn unit_labels(&self) -> (Option<&str>, Option<&str>) {
        match &self.kind {
            FeatureKind::Binary => (None, None),
            FeatureKind::Consumable { unit_label, unit_label_plural, .. } => (
                unit_label.as_ref().map(Label::as_str),
                unit_label_plural.as_ref().map(Label::as_str),
            ),
        }
    }
}

/// A collection of features that a user subscribes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Unique within the environment; never changes.
    pub id: PackageId,
    /// The package's name.
    pub name: Label,
    /// Base or add-on.
    pub kind: PackageKind,
    /// Draft, published or archived.
    pub status: PackageStatus,
    /// The product's own data.
    pub metadata: Option<Metadata>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its features, in the product's order.
    pub features: IndexMap<FeatureId, PackageFeature>,
    /// The terms of each feature that have changed since the package was published. Includes
    /// features that were taken out of it, and omits those whose terms never changed.
    pub terms: BTreeMap<FeatureId, TermsHistory>,
}

impl Package {
    /// Returns true for an add-on.
    #[must_use]
    pub fn is_addon(&self) -> bool {
        self.kind.is_addon()
    }

    /// Returns the base packages that an add-on goes with; empty means any. Also empty for a base
    /// package.
    #[must_use]
    pub fn base_packages(&self) -> &[PackageId] {
        self.kind.base_packages()
    }
}

/// Base or add-on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageKind {
    /// At most one per user at a time.
    Base,
    /// Any number per user, on top of a base.
    Addon {
        /// The base packages that it goes with; empty means any.
        base_packages: Vec<PackageId>,
    },
}

impl PackageKind {
    /// Returns true for an add-on.
    #[must_use]
    pub fn is_addon(&self) -> bool {
        matches!(self, Self::Addon { .. })
    }

    /// Returns the base packages that an add-on goes with; empty means any. Also empty for a base
    /// package.
    #[must_use]
    pub fn base_packages(&self) -> &[PackageId] {
        match self {
            Self::Base => &[],
            Self::Addon { base_packages } => base_packages,
        }
    }
}

/// The status of a package. It goes from draft to published to archived, and never back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PackageStatus {
    /// `DRAFT`: nobody can subscribe to it yet.
    Draft,
    /// `PUBLISHED`: users can subscribe to it.
    Published,
    /// `ARCHIVED`: nobody can subscribe to it any more; subscribers keep it.
    Archived,
}

impl fmt::Display for PackageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draft => "DRAFT",
            Self::Published => "PUBLISHED",
            Self::Archived => "ARCHIVED",
        })
    }
}

/// A feature in a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFeature {
    /// The feature's name in this package, if it differs from the feature's own name.
    pub name: Option<Label>,
    /// How much of it the package gives. For a feature [without an amount](Feature::has_amount) it is
    /// [`UNLIMITED`](Allowance::UNLIMITED), and nothing reads it.
    pub allowance: Allowance,
}

/// Counts the changes of an environment's catalog. It is read together with a user's facts, to
/// tell whether the catalog in memory is current.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CatalogVersion(pub i64);

/// One change of the catalog: what to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogChange {
    /// Adds a feature, or replaces the one with its id.
    PutFeature(Arc<Feature>),
    /// Adds a package with its features, or replaces the one with its id.
    PutPackage(Arc<Package>),
    /// Deletes a feature that no package has.
    DeleteFeature(FeatureId),
    /// Deletes a package that nobody ever subscribed to.
    DeletePackage(PackageId),
}

/// An immutable snapshot of an environment's features and packages, each in order of creation.
/// A clone shares them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    features: IndexMap<FeatureId, Arc<Feature>>,
    packages: IndexMap<PackageId, Arc<Package>>,
}

impl Catalog {
    /// Returns the feature with this id.
    #[must_use]
    pub fn feature(&self, id: &FeatureId) -> Option<&Arc<Feature>> {
        self.features.get(id)
    }

    /// Returns the package with this id, whatever its status.
    #[must_use]
    pub fn package(&self, id: &PackageId) -> Option<&Arc<Package>> {
        self.packages.get(id)
    }

    /// Iterates over all features, in order of creation.
    pub fn features(&self) -> impl Iterator<Item = &Arc<Feature>> {
        self.features.values()
    }

    /// Iterates over the features that draw on the balance of one of `balances`, in order of creation.
    pub fn drawing_on(
        &self,
        balances: impl Fn(&FeatureId) -> bool,
    ) -> impl Iterator<Item = &Arc<Feature>> {
        self.features()
            .filter(move |feature| feature.draws().is_some_and(|draw| balances(&draw.balance)))
    }

    /// Iterates over all packages, whatever their status, in order of creation.
    pub fn packages(&self) -> impl Iterator<Item = &Arc<Package>> {
        self.packages.values()
    }

    /// Applies one change.
    pub fn apply(&mut self, change: &CatalogChange) {
        match change {
            CatalogChange::PutFeature(feature) => {
                self.features.insert(feature.id.clone(), Arc::clone(feature));
            }
            CatalogChange::PutPackage(package) => {
                self.packages.insert(package.id.clone(), Arc::clone(package));
            }
            CatalogChange::DeleteFeature(id) => {
                self.features.shift_remove(id);
            }
            CatalogChange::DeletePackage(id) => {
                self.packages.shift_remove(id);
            }
        }
    }
}

impl<'a> FromIterator<&'a CatalogChange> for Catalog {
    fn from_iter<I: IntoIterator<Item = &'a CatalogChange>>(changes: I) -> Self {
        let mut catalog = Self::default();
        for change in changes {
            catalog.apply(change);
        }
        catalog
    }
}
