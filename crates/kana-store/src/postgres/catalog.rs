use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use kana_core::catalog::{
    Allowance, Catalog, CatalogChange, CatalogVersion, Feature, FeatureKind, Package,
    PackageFeature, PackageKind, PackageStatus, Stacking,
};
use kana_core::id::{FeatureId, PackageId};
use kana_core::metadata::{Label, Metadata};
use kana_core::period::{ResetAnchor, ResetPeriod};
use kana_core::terms::Terms;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::rows::{instant, label, metadata, optional, terms_number, text, thresholds};
use super::statements as sql;
use super::transaction::{PostgresTransaction, Question};
use crate::app::EnvironmentId;
use crate::columns::{
    HistoriesOfPackages, Named, TermsOfPackages, anchor_to_name, stacking_to_name,
};
use crate::draw_columns::{draw_columns, read_draw};
use crate::error::StoreError;
use crate::rollover_columns::{read_rollover, rollover_columns};

const BINARY: &str = "BINARY";
const CONSUMABLE: &str = "CONSUMABLE";

pub(super) async fn load(
    transaction: &mut PostgresTransaction,
    environment: EnvironmentId,
) -> Result<Catalog, StoreError> {
    let of: &[&(dyn ToSql + Sync)] = &[&environment.0];
    let shared = transaction.shares_catalog(environment);
    let [class, object] = shared.unwrap_or_default();
    let lock: &[&(dyn ToSql + Sync)] = &[&class, &object];
    let mut questions: Vec<Question<'_>> = Vec::with_capacity(6);
    if shared.is_some() {
        questions.push((sql::SHARE_CATALOG, lock));
    }
    questions.extend([
        (sql::FEATURES, of),
        (sql::PACKAGE_FEATURES, of),
        (sql::PACKAGE_FEATURE_TERMS, of),
        (sql::PACKAGE_BASES, of),
        (sql::PACKAGES, of),
    ]);
    let answers = transaction.ask(&questions).await?;
    let [.., features, package_features, terms, bases, packages] = answers.as_slice() else {
        return Err(StoreError::Engine("a question was not answered".into()));
    };
    let mut features_of = features_of_packages(package_features)?;
    let mut terms_of = terms_of_packages(terms)?;
    let mut bases_of = bases_of_packages(bases)?;
    let mut changes = Vec::with_capacity(features.len() + packages.len());
    for row in features {
        changes.push(CatalogChange::PutFeature(Arc::new(feature(row)?)));
    }
    for row in packages {
        let id = PackageId::new("stored package id", text(row, 0)?)?;
        let kind = if row.try_get(2)? {
            PackageKind::Addon { base_packages: bases_of.remove(&id).unwrap_or_default() }
        } else {
            PackageKind::Base
        };
        changes.push(CatalogChange::PutPackage(Arc::new(Package {
            name: label(text(row, 1)?)?,
            kind,
            status: PackageStatus::from_name(text(row, 3)?)?,
            metadata: optional(row, 4, metadata)?,
            updated_at: instant(row, 5)?,
            features: features_of.remove(&id).unwrap_or_default(),
            terms: terms_of.remove(&id).unwrap_or_default(),
            id,
        })));
    }
    Ok(changes.iter().collect())
}

fn feature(row: &Row) -> Result<Feature, StoreError> {
    let kind = match text(row, 2)? {
        BINARY => FeatureKind::Binary,
        CONSUMABLE => FeatureKind::Consumable {
            unit_label: optional(row, 3, label)?,
            unit_label_plural: optional(row, 4, label)?,
            thresholds: optional(row, 6, thresholds)?.unwrap_or_default(),
            draws: read_draw(row.try_get(7)?, row.try_get(8)?)?,
        },
        other => return Err(StoreError::Unreadable(format!("feature type {other:?}"))),
    };
    Ok(Feature {
        id: FeatureId::new("stored feature id", text(row, 0)?)?,
        name: label(text(row, 1)?)?,
        kind,
        metadata: optional(row, 5, metadata)?,
    })
}

fn features_of_packages(
    rows: &[Row],
) -> Result<HashMap<PackageId, IndexMap<FeatureId, PackageFeature>>, StoreError> {
    let mut features: HashMap<PackageId, IndexMap<FeatureId, PackageFeature>> = HashMap::new();
    for row in rows {
        let package = PackageId::new("stored package id", text(row, 0)?)?;
        let feature = FeatureId::new("stored feature id", text(row, 1)?)?;
        let inside = PackageFeature {
            name: optional(row, 2, label)?,
            allowance: Allowance {
                limit: row.try_get(3)?,
                reset_period: optional(row, 4, ResetPeriod::from_name)?,
                reset_anchor: optional(row, 5, ResetAnchor::from_name)?.unwrap_or_default(),
                overage_enabled: row.try_get(6)?,
                stacking: optional(row, 7, Stacking::from_name)?.unwrap_or_default(),
                rollover: read_rollover(row.try_get(8)?, row.try_get(9)?)?,
            },
        };
        features.entry(package).or_default().insert(feature, inside);
    }
    Ok(features)
}

fn terms_of_packages(rows: &[Row]) -> Result<HistoriesOfPackages, StoreError> {
    let mut terms = TermsOfPackages::default();
    for row in rows {
        let package = PackageId::new("stored package id", text(row, 0)?)?;
        let feature = FeatureId::new("stored feature id", text(row, 1)?)?;
        let allowance = Allowance {
            limit: row.try_get(5)?,
            reset_period: optional(row, 6, ResetPeriod::from_name)?,
            reset_anchor: optional(row, 7, ResetAnchor::from_name)?.unwrap_or_default(),
            overage_enabled: row.try_get(8)?,
            stacking: optional(row, 9, Stacking::from_name)?.unwrap_or_default(),
            rollover: read_rollover(row.try_get(10)?, row.try_get(11)?)?,
        };
        let is_given: bool = row.try_get(4)?;
        let (since, number) = (instant(row, 2)?, terms_number(row, 3)?);
        terms.add(
            package,
            feature,
            Terms { since, number, allowance: is_given.then_some(allowance) },
        );
    }
    terms.into_histories()
}

fn bases_of_packages(rows: &[Row]) -> Result<HashMap<PackageId, Vec<PackageId>>, StoreError> {
    let mut bases: HashMap<PackageId, Vec<PackageId>> = HashMap::new();
    for row in rows {
        let package = PackageId::new("stored package id", text(row, 0)?)?;
        let base = PackageId::new("stored package id", text(row, 1)?)?;
        bases.entry(package).or_default().push(base);
    }
    Ok(bases)
}

/// Moves the catalog from `planned_on` to its next version and writes the changes. Fails if it is at
/// another version.
pub(super) async fn change(
    transaction: &mut PostgresTransaction,
    environment: EnvironmentId,
    planned_on: CatalogVersion,
    changes: &[CatalogChange],
) -> Result<CatalogVersion, StoreError> {
    let parameters: &[&(dyn ToSql + Sync)] = &[&environment.0, &planned_on.0];
    let advanced = transaction.change(&[(sql::ADVANCE_CATALOG, parameters)]).await?;
    let row = advanced.first().and_then(|rows| rows.first()).ok_or(StoreError::StaleCatalog)?;
    let version = CatalogVersion(row.try_get(0)?);
    // Of two changes of one thing, the last one holds, in the position of the first.
    let mut features: IndexMap<&FeatureId, &Feature> = IndexMap::new();
    let mut packages: IndexMap<&PackageId, &Package> = IndexMap::new();
    // Something that is deleted and created again is new.
    let (mut no_features, mut no_packages) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            CatalogChange::PutFeature(feature) => {
                features.insert(&feature.id, feature.as_ref());
            }
            CatalogChange::PutPackage(package) => {
                packages.insert(&package.id, package.as_ref());
            }
            CatalogChange::DeleteFeature(id) => {
                features.shift_remove(id);
                no_features.push(id.as_str());
            }
            CatalogChange::DeletePackage(id) => {
                packages.shift_remove(id);
                no_packages.push(id.as_str());
            }
        }
    }
    delete(transaction, environment, &no_features, &no_packages).await?;
    let features: Vec<&Feature> = features.into_values().collect();
    if !features.is_empty() {
        put_features(transaction, environment, &features).await?;
    }
    let packages: Vec<&Package> = packages.into_values().collect();
    if !packages.is_empty() {
        put_packages(transaction, environment, &packages).await?;
    }
    Ok(version)
}

/// Deletes features and packages by their ids.
async fn delete(
    transaction: &mut PostgresTransaction,
    environment: EnvironmentId,
    features: &[&str],
    packages: &[&str],
) -> Result<(), StoreError> {
    if features.is_empty() && packages.is_empty() {
        return Ok(());
    }
    let features: &[&(dyn ToSql + Sync)] = &[&environment.0, &features];
    let packages: &[&(dyn ToSql + Sync)] = &[&environment.0, &packages];
    transaction
        .change(&[
            (sql::DELETE_FEATURES, features),
            (sql::CLEAR_PACKAGE_FEATURES, packages),
            (sql::CLEAR_PACKAGE_FEATURE_TERMS, packages),
            (sql::CLEAR_PACKAGE_BASES, packages),
            (sql::DELETE_PACKAGES, packages),
        ])
        .await?;
    Ok(())
}

async fn put_features(
    transaction: &mut PostgresTransaction,
    environment: EnvironmentId,
    features: &[&Feature],
) -> Result<(), StoreError> {
    let ids: Vec<&str> = features.iter().map(|feature| feature.id.as_str()).collect();
    let names: Vec<&str> = features.iter().map(|feature| feature.name.as_str()).collect();
    let kinds: Vec<&str> = features
        .iter()
        .map(|feature| if feature.is_binary() { BINARY } else { CONSUMABLE })
        .collect();
    let (units, plurals): (Vec<Option<&str>>, Vec<Option<&str>>) =
        features.iter().map(|feature| feature.unit_labels()).unzip();
    let metadata: Vec<Option<String>> =
        features.iter().map(|feature| feature.metadata.as_ref().map(Metadata::to_json)).collect();
    let thresholds: Vec<Option<String>> =
        features.iter().map(|feature| feature.thresholds().to_json()).collect();
    let (draws_on, costs): (Vec<Option<&str>>, Vec<Option<i64>>) =
        features.iter().map(|feature| draw_columns(feature.draws())).unzip();
    let rows: &[&(dyn ToSql + Sync)] = &[
        &environment.0,
        &ids,
        &names,
        &kinds,
        &units,
        &plurals,
        &metadata,
        &thresholds,
        &draws_on,
        &costs,
    ];
    transaction.change(&[(sql::PUT_FEATURES, rows)]).await?;
    Ok(())
}

async fn put_packages(
    transaction: &mut PostgresTransaction,
    environment: EnvironmentId,
    packages: &[&Package],
) -> Result<(), StoreError> {
    let ids: Vec<&str> = packages.iter().map(|package| package.id.as_str()).collect();
    let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let addons: Vec<bool> = packages.iter().map(|package| package.is_addon()).collect();
    let statuses: Vec<&str> = packages.iter().map(|package| package.status.to_name()).collect();
    let metadata: Vec<Option<String>> =
        packages.iter().map(|package| package.metadata.as_ref().map(Metadata::to_json)).collect();
    let updated: Vec<i64> = packages.iter().map(|package| package.updated_at.as_ms()).collect();
    let rows: &[&(dyn ToSql + Sync)] =
        &[&environment.0, &ids, &names, &addons, &statuses, &metadata, &updated];
    let cleared: &[&(dyn ToSql + Sync)] = &[&environment.0, &ids];
    let features = Features::of(packages);
    let features: &[&(dyn ToSql + Sync)] = &[
        &environment.0,
        &features.packages,
        &features.positions,
        &features.ids,
        &features.names,
        &features.limits,
        &features.periods,
        &features.anchors,
        &features.overage,
        &features.stacking,
        &features.rollover_periods,
        &features.rollover_max,
    ];
    let terms = TermsColumns::of(packages);
    let terms: &[&(dyn ToSql + Sync)] = &[
        &environment.0,
        &terms.packages,
        &terms.features,
        &terms.positions,
        &terms.since,
        &terms.numbers,
        &terms.given,
        &terms.limits,
        &terms.periods,
        &terms.anchors,
        &terms.overage,
        &terms.stacking,
        &terms.rollover_periods,
        &terms.rollover_max,
    ];
    let bases: Vec<(&str, i64, &str)> = packages
        .iter()
        .flat_map(|package| {
            let bases = (0_i64..).zip(package.base_packages());
            bases.map(|(position, base)| (package.id.as_str(), position, base.as_str()))
        })
        .collect();
    let of: Vec<&str> = bases.iter().map(|(package, _, _)| *package).collect();
    let positions: Vec<i64> = bases.iter().map(|(_, position, _)| *position).collect();
    let bases: Vec<&str> = bases.iter().map(|(_, _, base)| *base).collect();
    let bases: &[&(dyn ToSql + Sync)] = &[&environment.0, &of, &positions, &bases];
    transaction
        .change(&[
            (sql::PUT_PACKAGES, rows),
            (sql::CLEAR_PACKAGE_FEATURES, cleared),
            (sql::ADD_PACKAGE_FEATURES, features),
            (sql::CLEAR_PACKAGE_FEATURE_TERMS, cleared),
            (sql::ADD_PACKAGE_FEATURE_TERMS, terms),
            (sql::CLEAR_PACKAGE_BASES, cleared),
            (sql::ADD_PACKAGE_BASES, bases),
        ])
        .await?;
    Ok(())
}

/// The contents of packages, an array for each column.
#[derive(Default)]
struct Features<'a> {
    packages: Vec<&'a str>,
    positions: Vec<i64>,
    ids: Vec<&'a str>,
    names: Vec<Option<&'a str>>,
    limits: Vec<Option<i64>>,
    periods: Vec<Option<&'a str>>,
    anchors: Vec<Option<&'a str>>,
    overage: Vec<bool>,
    stacking: Vec<Option<&'a str>>,
    rollover_periods: Vec<Option<i64>>,
    rollover_max: Vec<Option<i64>>,
}

impl<'a> Features<'a> {
    fn of(packages: &[&'a Package]) -> Self {
        let mut columns = Self::default();
        for package in packages {
            for (position, (feature, inside)) in (0_i64..).zip(&package.features) {
                columns.packages.push(package.id.as_str());
                columns.positions.push(position);
                columns.ids.push(feature.as_str());
                columns.names.push(inside.name.as_ref().map(Label::as_str));
                columns.limits.push(inside.allowance.limit);
                columns.periods.push(inside.allowance.reset_period.map(Named::to_name));
                columns.anchors.push(anchor_to_name(inside.allowance.reset_anchor));
                columns.overage.push(inside.allowance.overage_enabled);
                columns.stacking.push(stacking_to_name(inside.allowance.stacking));
                let (periods, max) = rollover_columns(inside.allowance.rollover);
                columns.rollover_periods.push(periods);
                columns.rollover_max.push(max);
            }
        }
        columns
    }
}

/// The terms of packages' features, an array for each column.
#[derive(Default)]
struct TermsColumns<'a> {
    packages: Vec<&'a str>,
    features: Vec<&'a str>,
    positions: Vec<i64>,
    since: Vec<i64>,
    numbers: Vec<i64>,
    given: Vec<bool>,
    limits: Vec<Option<i64>>,
    periods: Vec<Option<&'a str>>,
    anchors: Vec<Option<&'a str>>,
    overage: Vec<bool>,
    stacking: Vec<Option<&'a str>>,
    rollover_periods: Vec<Option<i64>>,
    rollover_max: Vec<Option<i64>>,
}

impl<'a> TermsColumns<'a> {
    fn of(packages: &[&'a Package]) -> Self {
        let mut columns = Self::default();
        let histories = packages
            .iter()
            .flat_map(|package| package.terms.iter().map(|history| (&package.id, history)));
        for (package, (feature, history)) in histories {
            for (position, terms) in (0_i64..).zip(history.terms()) {
                let given = terms.allowance.unwrap_or(Allowance::UNLIMITED);
                columns.packages.push(package.as_str());
                columns.features.push(feature.as_str());
                columns.positions.push(position);
                columns.since.push(terms.since.as_ms());
                columns.numbers.push(terms.number.0.into());
                columns.given.push(terms.allowance.is_some());
                columns.limits.push(given.limit);
                columns.periods.push(given.reset_period.map(Named::to_name));
                columns.anchors.push(anchor_to_name(given.reset_anchor));
                columns.overage.push(given.overage_enabled);
                columns.stacking.push(stacking_to_name(given.stacking));
                let (periods, max) = rollover_columns(given.rollover);
                columns.rollover_periods.push(periods);
                columns.rollover_max.push(max);
            }
        }
        columns
    }
}
