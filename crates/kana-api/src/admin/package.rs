use std::sync::Arc;

use async_graphql::resolver_utils::EnumType;
use async_graphql::{Enum, InputObject, MaybeUndefined, Object, SimpleObject};
use kana_core::Refusal;
use kana_core::catalog::{self, Allowance, Catalog};
use kana_core::catalog_command::{NewPackage, NewPackageFeature};
use kana_core::edit::Edit;
use kana_core::id::{FeatureId, PackageId};
use kana_core::metadata::{Label, Metadata};
use kana_core::period;
use kana_core::refusal::InvalidValue;
use kana_core::rollover;
use kana_graphql::{Json, List};

use super::feature_type::FeatureType;
use super::input::{metadata, read, read_edit};
use crate::counter::int;
use crate::error::ApiError;
use crate::scalars::DateTime;

/// Where a package stands in its life: DRAFT, then PUBLISHED, then ARCHIVED, never back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "PackageStatus")]
pub(super) enum PackageStatus {
    /// Being prepared; nobody can subscribe to it
    Draft,
    /// On offer
    Published,
    /// No longer on offer; changes nothing for those who are subscribed
    Archived,
    /// Only an argument value for listing; no package ever has it
    All,
}

impl PackageStatus {
    /// The status to list packages by; `None` for all of them. The argument is a String, so that
    /// a name that is none is for us to refuse.
    pub(super) fn filter(name: &str) -> Result<Option<catalog::PackageStatus>, InvalidValue> {
        let status = Self::items().iter().find(|item| item.name == name).map(|item| item.value);
        match status {
            Some(Self::Draft) => Ok(Some(catalog::PackageStatus::Draft)),
            Some(Self::Published) => Ok(Some(catalog::PackageStatus::Published)),
            Some(Self::Archived) => Ok(Some(catalog::PackageStatus::Archived)),
            Some(Self::All) => Ok(None),
            None => Err(InvalidValue::new(
                "status",
                "must be one of DRAFT, PUBLISHED, ARCHIVED and ALL",
            )),
        }
    }
}

impl From<catalog::PackageStatus> for PackageStatus {
    fn from(status: catalog::PackageStatus) -> Self {
        match status {
            catalog::PackageStatus::Draft => Self::Draft,
            catalog::PackageStatus::Published => Self::Published,
            catalog::PackageStatus::Archived => Self::Archived,
        }
    }
}

/// How often usage starts again at 0, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ResetPeriod", remote = "period::ResetPeriod")]
pub(super) enum ResetPeriod {
    /// Every 60 seconds
    Minute,
    /// Every 60 minutes
    Hour,
    /// Every 24 hours
    Day,
    /// Every 7 times 24 hours
    Week,
    /// Every calendar month; a day that the month lacks becomes its last
    Month,
    /// Every calendar year; 29 February becomes 28 in a common year
    Year,
}

/// What reset periods are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ResetAnchor", remote = "period::ResetAnchor")]
pub(super) enum ResetAnchor {
    /// The start of the subscription
    Subscription,
    /// The calendar in UTC: hours, days, weeks from Monday, months and years begin as a calendar has
    /// them. The first period is a part of one and has the whole limit
    Calendar,
}

/// How the limit of a package goes with those of the user's other subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "Stacking", remote = "catalog::Stacking")]
pub(super) enum Stacking {
    /// The highest limit counts, alone
    Highest,
    /// The limit is added to the one that counts
    Add,
}

pub(super) struct Rollover(rollover::Rollover);

/// On which terms what is left of a period stays usable.
#[Object(name = "Rollover")]
impl Rollover {
    /// The most that is carried into a period; null = no cap. Errors: VALUE_TOO_LARGE past 2^31-1.
    async fn max(&self) -> Option<Result<i32, ApiError>> {
        self.0.max().map(|max| int(max, "the pricing file's rollover"))
    }

    /// For how many more periods it stays usable, 1 to 12
    async fn periods(&self) -> u32 {
        self.0.periods()
    }
}

/// A package in the catalog that was current when it was asked for.
pub(super) struct Package {
    catalog: Arc<Catalog>,
    package: Arc<catalog::Package>,
}

impl Package {
    pub(super) fn new(catalog: Arc<Catalog>, package: Arc<catalog::Package>) -> Self {
        Self { catalog, package }
    }

    /// Every package that has the status, in order of creation.
    pub(super) fn all(catalog: &Arc<Catalog>, status: Option<catalog::PackageStatus>) -> Vec<Self> {
        catalog
            .packages()
            .filter(|package| status.is_none_or(|status| package.status == status))
            .map(|package| Self::new(Arc::clone(catalog), Arc::clone(package)))
            .collect()
    }

    /// The package with this id, which the catalog may not have.
    pub(super) fn find(catalog: Arc<Catalog>, id: &PackageId) -> Result<Self, ApiError> {
        let package = catalog.package(id).ok_or_else(|| Refusal::PackageNotFound(id.clone()))?;
        Ok(Self { package: Arc::clone(package), catalog })
    }
}

/// A collection of features that a user subscribes to.
#[Object(name = "Package")]
impl Package {
    /// The product's own id, unique within the environment
    async fn id(&self) -> &str {
        self.package.id.as_str()
    }

    /// The package's name
    async fn name(&self) -> &str {
        self.package.name.as_str()
    }

    /// Whether the package goes on top of a base package
    async fn is_addon(&self) -> bool {
        self.package.is_addon()
    }

    /// Where the package stands in its life
    async fn status(&self) -> PackageStatus {
        self.package.status.into()
    }

    /// What the product attached to the package
    async fn metadata(&self) -> Option<Json> {
        self.package.metadata.as_ref().map(|metadata| Json(metadata.to_value()))
    }

    /// When the package last changed
    async fn updated_at(&self) -> DateTime {
        DateTime(self.package.updated_at)
    }

    /// What the package contains, in the order in which it was given
    async fn features(&self) -> List<PackageFeature> {
        let inside = |(id, inside): (&FeatureId, &catalog::PackageFeature)| {
            let feature = Arc::clone(self.catalog.feature(id)?);
            Some(PackageFeature { feature, inside: inside.clone() })
        };
        self.package.features.iter().filter_map(inside).collect()
    }

    /// What the package costs at the billing provider; empty until one is linked
    async fn prices(&self) -> Vec<PackagePrice> {
        Vec::new()
    }

    /// For an add-on, the base packages it may be added to; empty means any
    async fn base_packages(&self) -> List<Package> {
        let known = |id| Self::find(Arc::clone(&self.catalog), id).ok();
        self.package.base_packages().iter().filter_map(known).collect()
    }
}

/// A feature in one package, with the feature itself.
pub(super) struct PackageFeature {
    feature: Arc<catalog::Feature>,
    inside: catalog::PackageFeature,
}

/// A feature as it sits inside one package.
#[Object(name = "PackageFeature")]
impl PackageFeature {
    /// The id of the Feature
    async fn id(&self) -> &str {
        self.feature.id.as_str()
    }

    /// The feature's name in this package; may differ from its own
    async fn name(&self) -> &str {
        self.inside.name.as_ref().unwrap_or(&self.feature.name).as_str()
    }

    /// A switch or an amount
    #[graphql(name = "type")]
    async fn kind(&self) -> FeatureType {
        FeatureType::from(&self.feature.kind)
    }

    /// The most that may be used in a period, in the feature's unit; null = unlimited
    /// (CONSUMABLE) or not applicable (BINARY, or the feature draws on another)
    async fn limit(&self) -> Option<Result<i32, ApiError>> {
        self.inside.allowance.limit.map(|limit| int(limit, "budgetExact"))
    }

    /// What one unit is called; null unless CONSUMABLE
    async fn unit_label(&self) -> Option<&str> {
        self.feature.unit_labels().0
    }

    /// What several units are called; null unless CONSUMABLE
    async fn unit_label_plural(&self) -> Option<&str> {
        self.feature.unit_labels().1
    }

    /// What the product attached to the feature
    async fn metadata(&self) -> Option<Json> {
        self.feature.metadata.as_ref().map(|metadata| Json(metadata.to_value()))
    }

    /// When usage starts again at 0; null = never
    async fn reset_period(&self) -> Option<ResetPeriod> {
        self.inside.allowance.reset_period.map(Into::into)
    }

    /// What the reset periods are counted from
    async fn reset_anchor(&self) -> ResetAnchor {
        self.inside.allowance.reset_anchor.into()
    }

    /// Whether usage may go over the limit
    async fn overage_enabled(&self) -> bool {
        self.inside.allowance.overage_enabled
    }

    /// How the limit goes with those of the user's other subscriptions
    async fn stacking(&self) -> Stacking {
        self.inside.allowance.stacking.into()
    }

    /// On which terms what is left of a period stays usable; null = it is lost
    async fn rollover(&self) -> Option<Rollover> {
        self.inside.allowance.rollover.map(Rollover)
    }
}

/// What a package costs at the billing provider.
#[derive(SimpleObject)]
pub(super) struct PackagePrice {
    /// The billing provider's id of the price, e.g. price_1L7N...
    id: String,
    /// STRIPE
    provider: String,
    /// In the currency's minor unit
    amount: i32,
    /// Amount in the major unit, e.g. 50.00
    display_amount: String,
    /// Lower-case ISO 4217
    currency: String,
    /// month, year, ... ; null for a one-off price
    interval: Option<String>,
}

/// What is to change about a package: absent = leave as it is, null = clear.
#[derive(InputObject)]
pub(super) struct UpdatePackageInput {
    /// A JSON object of up to 16 KiB
    metadata: MaybeUndefined<Json>,
}

impl UpdatePackageInput {
    pub(super) fn read(self) -> Result<Edit<Metadata>, InvalidValue> {
        read_edit("metadata", self.metadata, metadata)
    }
}

/// A package to be made. It starts as a DRAFT.
#[derive(InputObject)]
pub(super) struct CreatePackageInput {
    /// The product's own id: 1 to 255 characters, free within the environment
    id: String,
    /// Up to 255 characters; defaults to id
    name: Option<String>,
    /// Whether the package goes on top of a base package
    #[graphql(default_with = "Some(false)")]
    is_addon: Option<bool>,
    /// What the package contains; each feature once
    features: Vec<CreatePackageFeatureInput>,
    /// A JSON object of up to 16 KiB
    metadata: Option<Json>,
    /// For an add-on, the base packages it may be added to; empty or absent means any
    base_package_ids: Option<Vec<String>>,
}

/// A feature as it is to sit in a package.
#[derive(InputObject)]
pub(super) struct CreatePackageFeatureInput {
    /// The id of an existing feature
    id: String,
    /// CONSUMABLE only; absent = unlimited, never resets
    entitlement: Option<EntitlementInput>,
    /// The feature's name within this package, up to 255 characters
    name: Option<String>,
}

/// How much of a consumable feature a package gives.
#[derive(InputObject)]
pub(super) struct EntitlementInput {
    /// The most that may be used in a period, 0 or more; absent or null = unlimited
    limit: Option<i32>,
    /// When usage starts again at 0
    reset_period: ResetPeriod,
    /// What the reset periods are counted from
    #[graphql(default_with = "Some(ResetAnchor::Subscription)")]
    reset_anchor: Option<ResetAnchor>,
    /// Whether usage may go over the limit
    #[graphql(default_with = "Some(false)")]
    overage_enabled: Option<bool>,
    /// How the limit goes with those of the user's other subscriptions
    #[graphql(default_with = "Some(Stacking::Highest)")]
    stacking: Option<Stacking>,
    /// On which terms what is left of a period stays usable; needs a limit. Absent or null: it is lost
    rollover: Option<RolloverInput>,
}

/// On which terms what is left of a period stays usable: after the period's own allowance, the newest part
/// first.
#[derive(InputObject)]
pub(super) struct RolloverInput {
    /// The most that is carried into a period, 1 or more; absent or null = no cap
    max: Option<i32>,
    /// For how many more periods it stays usable, 1 to 12
    #[graphql(default_with = "Some(1)")]
    periods: Option<i32>,
}

impl RolloverInput {
    fn read(self) -> Result<rollover::Rollover, InvalidValue> {
        let read = rollover::Rollover::new(self.max.map(Into::into), self.periods.map(Into::into));
        read.map_err(|invalid| {
            let field = if invalid.field == "max" { "rollover.max" } else { "rollover.periods" };
            InvalidValue::new(field, invalid.problem)
        })
    }
}

impl CreatePackageInput {
    pub(super) fn read(self) -> Result<NewPackage, InvalidValue> {
        let base_packages = self.base_package_ids.unwrap_or_default();
        Ok(NewPackage {
            id: PackageId::new("id", &self.id)?,
            name: read("name", self.name.as_deref(), Label::new)?,
            is_addon: self.is_addon.unwrap_or_default(),
            features: self
                .features
                .into_iter()
                .map(CreatePackageFeatureInput::read)
                .collect::<Result<_, _>>()?,
            base_packages: base_packages
                .iter()
                .map(|id| PackageId::new("basePackageIds", id))
                .collect::<Result<_, _>>()?,
            metadata: read("metadata", self.metadata.map(|json| json.0), Metadata::new)?,
        })
    }
}

impl CreatePackageFeatureInput {
    fn read(self) -> Result<NewPackageFeature, InvalidValue> {
        Ok(NewPackageFeature {
            feature: FeatureId::new("features.id", &self.id)?,
            name: read("features.name", self.name.as_deref(), Label::new)?,
            allowance: self.entitlement.map(EntitlementInput::read).transpose()?,
        })
    }
}

impl EntitlementInput {
    fn read(self) -> Result<Allowance, InvalidValue> {
        Ok(Allowance {
            limit: self.limit.map(i64::from),
            reset_period: Some(self.reset_period.into()),
            reset_anchor: self.reset_anchor.map(Into::into).unwrap_or_default(),
            overage_enabled: self.overage_enabled.unwrap_or_default(),
            stacking: self.stacking.map(Into::into).unwrap_or_default(),
            rollover: self.rollover.map(RolloverInput::read).transpose()?,
        })
    }
}
