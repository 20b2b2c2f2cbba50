use std::sync::Arc;

use async_graphql::{Context, InputObject, MaybeUndefined, Object};
use kana_core::catalog::{self, Catalog, FeatureKind};
use kana_core::catalog_command::{FeatureEdit, check_thresholds};
use kana_core::credits::{Cost, Draw};
use kana_core::id::{FeatureId, UserId};
use kana_core::metadata::{Label, Metadata};
use kana_core::refusal::InvalidValue;
use kana_core::threshold::Thresholds;
use kana_graphql::{Json, List};

use super::environment::environment;
use super::feature_type::FeatureType;
use super::input::{label, metadata, read, read_change, read_edit};
use super::package::Package;
use super::thresholds::{Threshold, ThresholdInput, read_thresholds};
use super::usage::Entitlement;
use crate::counter::int;
use crate::error::ApiError;

/// A feature in the catalog that was current when it was asked for.
pub(super) struct Feature {
    catalog: Arc<Catalog>,
    feature: Arc<catalog::Feature>,
}

impl Feature {
    async fn entitled(
        &self,
        context: &Context<'_>,
        user_id: &str,
    ) -> Result<Entitlement, ApiError> {
        let user = UserId::new("userId", user_id)?;
        let entitlement = environment(context)?.can_use_feature(&user, &self.feature.id, 1).await;
        Ok(entitlement.map_err(ApiError::Nested)?.into())
    }

    /// Every feature, in order of creation.
    pub(super) fn all(catalog: &Arc<Catalog>) -> Vec<Self> {
        catalog
            .features()
            .map(|feature| Self { catalog: Arc::clone(catalog), feature: Arc::clone(feature) })
            .collect()
    }

    /// The feature with this id, which the catalog may not have.
    pub(super) fn find(catalog: Arc<Catalog>, id: &FeatureId) -> Result<Self, ApiError> {
        let feature =
            catalog.feature(id).ok_or_else(|| kana_core::Refusal::FeatureNotFound(id.clone()))?;
        Ok(Self { feature: Arc::clone(feature), catalog })
    }
}

/// Anything that could be billed.
#[Object(name = "Feature")]
impl Feature {
    /// The product's own id, unique within the environment
    async fn id(&self) -> &str {
        self.feature.id.as_str()
    }

    /// The feature's own name; a package may give it another
    async fn name(&self) -> &str {
        self.feature.name.as_str()
    }

    /// A switch or an amount
    #[graphql(name = "type")]
    async fn kind(&self) -> FeatureType {
        FeatureType::from(&self.feature.kind)
    }

    /// What one unit is called; null unless CONSUMABLE
    async fn unit_label(&self) -> Option<&str> {
        self.feature.unit_labels().0
    }

    /// What several units are called; null unless CONSUMABLE
    async fn unit_label_plural(&self) -> Option<&str> {
        self.feature.unit_labels().1
    }

    /// The feature whose balance this one draws on; null if it draws on nothing
    async fn draws_on(&self) -> Option<&str> {
        self.feature.draws().map(|draw| draw.balance.as_str())
    }

    /// How many units of what it draws on one unit of this feature costs; null if it draws on nothing
    async fn cost(&self) -> Option<Result<i32, ApiError>> {
        self.feature.draws().map(|draw| int(draw.cost.get(), "cost"))
    }

    /// When a threshold event is stored; empty unless CONSUMABLE
    async fn thresholds(&self) -> List<Threshold> {
        Threshold::all(self.feature.thresholds())
    }

    /// What the product attached to the feature
    async fn metadata(&self) -> Option<Json> {
        self.feature.metadata.as_ref().map(|metadata| Json(metadata.to_value()))
    }

    /// Every package that contains this feature, whatever its status, in order of creation
    async fn packages(&self) -> List<Package> {
        self.catalog
            .packages()
            .filter(|package| package.features.contains_key(&self.feature.id))
            .map(|package| Package::new(Arc::clone(&self.catalog), Arc::clone(package)))
            .collect()
    }

    /// Whether the user may use one more of this feature. Always answers for a user that exists:
    /// access is false when nothing grants it. Errors: UserNotFoundError.
    async fn entitlement(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
    ) -> Option<Result<Entitlement, ApiError>> {
        Some(self.entitled(context, &user_id).await)
    }
}

/// What is to change about a feature: absent = leave as it is, null = clear. The type never
/// changes.
#[derive(InputObject)]
pub(super) struct UpdateFeatureInput {
    /// Up to 255 characters; cannot be cleared
    name: MaybeUndefined<String>,
    /// Up to 255 characters; accepted and not kept for a BINARY feature
    unit_label: MaybeUndefined<String>,
    /// Up to 255 characters; accepted and not kept for a BINARY feature
    unit_label_plural: MaybeUndefined<String>,
    /// At most 5 different ones; none for a BINARY feature, nor for one that draws on another
    thresholds: MaybeUndefined<Vec<ThresholdInput>>,
    /// 1 to 1,000,000; only for a feature that draws on another, and cannot be cleared. What was counted
    /// stays
    cost: MaybeUndefined<i32>,
    /// A JSON object of up to 16 KiB
    metadata: MaybeUndefined<Json>,
}

impl UpdateFeatureInput {
    pub(super) fn read(self) -> Result<FeatureEdit, InvalidValue> {
        Ok(FeatureEdit {
            name: read_change("name", self.name, label)?,
            unit_label: read_edit("unitLabel", self.unit_label, label)?,
            unit_label_plural: read_edit("unitLabelPlural", self.unit_label_plural, label)?,
            thresholds: match self.thresholds {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(Thresholds::NONE),
                MaybeUndefined::Value(inputs) => Some(read_thresholds(inputs)?),
            },
            cost: read_change("cost", self.cost, |_, cost: i32| Cost::new(cost.into()))?,
            metadata: read_edit("metadata", self.metadata, metadata)?,
        })
    }
}

/// A feature to be made.
#[derive(InputObject)]
pub(super) struct CreateFeatureInput {
    /// The product's own id: 1 to 255 characters, free within the environment
    id: String,
    /// Up to 255 characters; defaults to id
    name: Option<String>,
    /// A switch or an amount; it never changes
    #[graphql(name = "type")]
    kind: FeatureType,
    /// Up to 255 characters; accepted and not kept for a BINARY feature
    unit_label: Option<String>,
    /// Up to 255 characters; accepted and not kept for a BINARY feature
    unit_label_plural: Option<String>,
    /// At most 5 different ones; none for a BINARY feature, nor for one that draws on another
    thresholds: Option<Vec<ThresholdInput>>,
    /// The id of another CONSUMABLE feature, which draws on nothing: using this feature uses its balance. It
    /// never changes
    draws_on: Option<String>,
    /// How many units of that one unit costs: 1 to 1,000,000, by default 1
    cost: Option<i32>,
    /// A JSON object of up to 16 KiB
    metadata: Option<Json>,
}

impl CreateFeatureInput {
    pub(super) fn read(self) -> Result<catalog::Feature, InvalidValue> {
        let id = FeatureId::new("id", &self.id)?;
        let name = read("name", self.name.as_deref(), Label::new)?;
        let unit_label = read("unitLabel", self.unit_label.as_deref(), Label::new)?;
        let unit_label_plural =
            read("unitLabelPlural", self.unit_label_plural.as_deref(), Label::new)?;
        let thresholds = read_thresholds(self.thresholds.unwrap_or_default())?;
        let balance = read("drawsOn", self.draws_on.as_deref(), FeatureId::new)?;
        let draws = Draw::new(balance, self.cost.map(i64::from))?;
        if self.kind == FeatureType::Binary && draws.is_some() {
            return Err(InvalidValue::new("drawsOn", "must be left out for a BINARY feature"));
        }
        let feature = catalog::Feature {
            name: name.unwrap_or_else(|| Label::from(&id)),
            id,
            kind: match self.kind {
                FeatureType::Binary => FeatureKind::Binary,
                FeatureType::Consumable => {
                    let thresholds = thresholds.clone();
                    FeatureKind::Consumable { unit_label, unit_label_plural, thresholds, draws }
                }
            },
            metadata: read("metadata", self.metadata.map(|json| json.0), Metadata::new)?,
        };
        check_thresholds(&feature, &thresholds)?;
        Ok(feature)
    }
}
