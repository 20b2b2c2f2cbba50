//! An environment's features and packages: small, read always, changed rarely.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::id::{FeatureId, PackageId};
use crate::metadata::{Label, Metadata};
use crate::period::ResetPeriod;
use crate::terms::TermsHistory;
use crate::timestamp::Timestamp;

/// Anything that could be billed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Unique within the environment; never changes.
    pub id: FeatureId,
    /// The feature's own name; a package may give it another.
    pub name: Label,
    /// A switch or an amount; never changes.
    pub kind: FeatureKind,
    /// What the product attached to it.
    pub metadata: Option<Metadata>,
}

/// What a feature is, with what only that kind has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeatureKind {
    /// A switch: granted or not.
    Binary,
    /// An amount that is used up.
    Consumable {
        /// What one unit is called.
        unit_label: Option<Label>,
        /// What several units are called.
        unit_label_plural: Option<Label>,
    },
}

impl Feature {
    /// Whether the feature is a switch, which has no consumption.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        matches!(self.kind, FeatureKind::Binary)
    }

    /// What one unit and what several are called; a `BINARY` feature has no such names.
    #[must_use]
    pub fn unit_labels(&self) -> (Option<&str>, Option<&str>) {
        match &self.kind {
            FeatureKind::Binary => (None, None),
            FeatureKind::Consumable { unit_label, unit_label_plural } => (
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
    /// Where it stands in its life.
    pub status: PackageStatus,
    /// What the product attached to it.
    pub metadata: Option<Metadata>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its features, in the order in which they were given.
    pub features: IndexMap<FeatureId, PackageFeature>,
    /// The terms of each feature that have changed since the package was published. Includes
    /// features that were taken out of it, and omits those whose terms never changed.
    pub terms: BTreeMap<FeatureId, TermsHistory>,
}

impl Package {
    /// Whether the package goes on top of a base.
    #[must_use]
    pub fn is_addon(&self) -> bool {
        self.kind.is_addon()
    }

    /// For an add-on, the base packages it may be added to; empty means any. None for a base.
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
        /// The base packages it may be added to; empty means any.
        base_packages: Vec<PackageId>,
    },
}

impl PackageKind {
    /// Whether a package of this kind goes on top of a base.
    #[must_use]
    pub fn is_addon(&self) -> bool {
        matches!(self, Self::Addon { .. })
    }

    /// For an add-on, the base packages it may be added to; empty means any. None for a base.
    #[must_use]
    pub fn base_packages(&self) -> &[PackageId] {
        match self {
            Self::Base => &[],
            Self::Addon { base_packages } => base_packages,
        }
    }
}

/// A package's life: `DRAFT`, then `PUBLISHED`, then `ARCHIVED`, never back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PackageStatus {
    /// Being prepared; nobody can subscribe to it.
    Draft,
    /// On offer.
    Published,
    /// No longer on offer; changes nothing for those who are subscribed.
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

/// A feature as it sits in one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFeature {
    /// The feature's name in this package, where it differs from its own.
    pub name: Option<Label>,
    /// How much of it the package gives. For a `BINARY` feature it is
    /// [`UNLIMITED`](Allowance::UNLIMITED), and nothing reads it.
    pub allowance: Allowance,
}

/// How much of a feature a package gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The most that may be used in a period, 0 or more; `None` means unlimited.
    pub limit: Option<i64>,
    /// When usage starts again at 0; `None` means never.
    pub reset_period: Option<ResetPeriod>,
    /// Whether usage may go over the limit.
    pub overage_enabled: bool,
}

impl Allowance {
    /// No limit, never reset: what a package gives where nothing else is said.
    pub const UNLIMITED: Self = Self { limit: None, reset_period: None, overage_enabled: false };
}

/// How often an environment's catalog has changed. Whoever reads a user's facts reads this with
/// them, and so knows whether the catalog in memory is the current one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CatalogVersion(pub i64);

/// One change of the catalog, as stored: the thing as it is from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogChange {
    /// The feature is new or replaces the one with its id.
    PutFeature(Arc<Feature>),
    /// The package is new or replaces the one with its id, its features included.
    PutPackage(Arc<Package>),
    /// The feature, which no package has, is gone.
    DeleteFeature(FeatureId),
    /// The package, which nobody ever subscribed to, is gone.
    DeletePackage(PackageId),
}

/// An immutable snapshot of an environment's features and packages, each in order of creation.
/// Cloning it is cheap in memory: the things themselves are shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    features: IndexMap<FeatureId, Arc<Feature>>,
    packages: IndexMap<PackageId, Arc<Package>>,
}

impl Catalog {
    /// The feature with this id.
    #[must_use]
    pub fn feature(&self, id: &FeatureId) -> Option<&Arc<Feature>> {
        self.features.get(id)
    }

    /// The package with this id, whatever its status.
    #[must_use]
    pub fn package(&self, id: &PackageId) -> Option<&Arc<Package>> {
        self.packages.get(id)
    }

    /// Every feature, in order of creation.
    pub fn features(&self) -> impl Iterator<Item = &Arc<Feature>> {
        self.features.values()
    }

    /// Every package, whatever its status, in order of creation.
    pub fn packages(&self) -> impl Iterator<Item = &Arc<Package>> {
        self.packages.values()
    }

    /// Makes one change.
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
