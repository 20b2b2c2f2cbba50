//! Inputs that suggest features and packages. One list serves all inputs of a page, and an id is enough.

use kana_core::catalog::{Catalog, PackageStatus};
use kana_core::id::{FeatureId, PackageId};
use kana_core::refusal::InvalidValue;

const OF_SEVERAL: &str = "is the name of several: write the identifier";

/// What an input suggests.
pub(super) struct Suggestion {
    pub(super) id: String,
    pub(super) name: String,
}

/// Suggests every feature.
pub(super) fn features(catalog: &Catalog) -> Vec<Suggestion> {
    let suggestion = |id: &FeatureId, name: &str| Suggestion {
        id: id.as_str().to_owned(),
        name: name.to_owned(),
    };
    catalog.features().map(|feature| suggestion(&feature.id, feature.name.as_str())).collect()
}

/// Suggests the packages that users can subscribe to.
pub(super) fn published_packages(catalog: &Catalog) -> Vec<Suggestion> {
    let published = catalog.packages().filter(|package| package.status == PackageStatus::Published);
    let suggestion = |id: &PackageId, name: &str| Suggestion {
        id: id.as_str().to_owned(),
        name: name.to_owned(),
    };
    published.map(|package| suggestion(&package.id, package.name.as_str())).collect()
}

/// Reads a feature: its id, or its name if no other feature has that. What names no feature is taken for
/// an id, and refused where it is looked up.
pub(super) fn feature(catalog: &Catalog, text: &str) -> Result<FeatureId, InvalidValue> {
    let text = text.trim();
    if catalog.features().any(|feature| feature.id.as_str() == text) {
        return FeatureId::new("feature", text);
    }
    let mut named = catalog.features().filter(|feature| feature.name.as_str() == text);
    match (named.next(), named.next()) {
        (Some(feature), None) => Ok(feature.id.clone()),
        (None, _) => FeatureId::new("feature", text),
        (Some(_), Some(_)) => Err(InvalidValue::new("feature", OF_SEVERAL)),
    }
}

/// Reads a published package, as [`feature`] does.
pub(super) fn published_package(catalog: &Catalog, text: &str) -> Result<PackageId, InvalidValue> {
    let text = text.trim();
    if catalog.packages().any(|package| package.id.as_str() == text) {
        return PackageId::new("package", text);
    }
    let published = catalog.packages().filter(|package| package.status == PackageStatus::Published);
    let mut named = published.filter(|package| package.name.as_str() == text);
    match (named.next(), named.next()) {
        (Some(package), None) => Ok(package.id.clone()),
        (None, _) => PackageId::new("package", text),
        (Some(_), Some(_)) => Err(InvalidValue::new("package", OF_SEVERAL)),
    }
}
