use async_graphql::Enum;
use kana_core::catalog::FeatureKind;

/// Whether a feature is a switch or an amount. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "FeatureType")]
pub(super) enum FeatureType {
    /// A switch: granted or not
    Binary,
    /// An amount that is used up
    Consumable,
}

impl From<&FeatureKind> for FeatureType {
    fn from(kind: &FeatureKind) -> Self {
        match kind {
            FeatureKind::Binary => Self::Binary,
            FeatureKind::Consumable { .. } => Self::Consumable,
        }
    }
}
