use std::sync::Arc;

use async_graphql::{Context, InputObject, MaybeUndefined, Object};
use kana_core::catalog::{self, Catalog, FeatureKind};
use kana_core::catalog_command::{FeatureEdit, check_thresholds};
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
    /// At most 5 different ones; none for a BINARY feature
    thresholds: MaybeUndefined<Vec<ThresholdInput>>,
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
    /// At most 5 different ones; none for a BINARY feature
    thresholds: Option<Vec<ThresholdInput>>,
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
        let feature = catalog::Feature {
            name: name.unwrap_or_else(|| Label::from(&id)),
            id,
            kind: match self.kind {
                FeatureType::Binary => FeatureKind::Binary,
                FeatureType::Consumable => {
                    let thresholds = thresholds.clone();
                    FeatureKind::Consumable { unit_label, unit_label_plural, thresholds }
                }
            },
            metadata: read("metadata", self.metadata.map(|json| json.0), Metadata::new)?,
        };
        check_thresholds(&feature, &thresholds)?;
        Ok(feature)
    }
}
