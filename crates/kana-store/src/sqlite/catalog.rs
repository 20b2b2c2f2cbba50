use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use kana_core::Timestamp;
use kana_core::catalog::{
    Allowance, Catalog, CatalogChange, CatalogVersion, Feature, FeatureKind, Package,
    PackageFeature, PackageKind, PackageStatus, Stacking,
};
use kana_core::id::{FeatureId, PackageId};
use kana_core::metadata::{Label, Metadata};
use kana_core::period::{ResetAnchor, ResetPeriod};
use kana_core::terms::{Terms, TermsNumber};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params};

use super::connection::Connection;
use super::rows::{label, metadata, optional, text, thresholds};
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::columns::{
    HistoriesOfPackages, Named, TermsOfPackages, anchor_to_name, stacking_to_name,
};
use crate::draw_columns::{draw_columns, read_draw};
use crate::error::StoreError;
use crate::rollover_columns::{read_rollover, rollover_columns};

const BINARY: &str = "BINARY";
const CONSUMABLE: &str = "CONSUMABLE";

pub(super) fn version(
    connection: &Connection,
    environment: EnvironmentId,
) -> Result<CatalogVersion, StoreError> {
    let version = connection
        .statement(sql::CATALOG_VERSION)?
        .query_row([environment.0], |row| row.get(0))
        .optional()?;
    let gone = || StoreError::Unreadable("the environment is gone".to_owned());
    version.map(CatalogVersion).ok_or_else(gone)
}

/// Moves the catalog from `planned_on` to its next version. Fails if it is at another version.
pub(super) fn advance(
    connection: &Connection,
    environment: EnvironmentId,
    planned_on: CatalogVersion,
) -> Result<CatalogVersion, StoreError> {
    connection
        .statement(sql::ADVANCE_CATALOG)?
        .query_row([environment.0, planned_on.0], |row| row.get(0))
        .optional()?
        .map(CatalogVersion)
        .ok_or(StoreError::StaleCatalog)
}

pub(super) fn load(
    connection: &Connection,
    environment: EnvironmentId,
) -> Result<Catalog, StoreError> {
    let mut changes = Vec::new();
    let mut statement = connection.statement(sql::FEATURES)?;
    let mut rows = statement.query([environment.0])?;
    while let Some(row) = rows.next()? {
        let kind = match text(row, 2)? {
            BINARY => FeatureKind::Binary,
            CONSUMABLE => FeatureKind::Consumable {
                unit_label: optional(row, 3, label)?,
                unit_label_plural: optional(row, 4, label)?,
                thresholds: optional(row, 6, thresholds)?.unwrap_or_default(),
                draws: read_draw(row.get_ref(7)?.as_str_or_null()?, row.get(8)?)?,
            },
            other => return Err(StoreError::Unreadable(format!("feature type {other:?}"))),
        };
        changes.push(CatalogChange::PutFeature(Arc::new(Feature {
            id: FeatureId::new("stored feature id", text(row, 0)?)?,
            name: label(text(row, 1)?)?,
            kind,
            metadata: optional(row, 5, metadata)?,
        })));
    }
    let mut features = package_features(connection, environment)?;
    let mut terms = package_feature_terms(connection, environment)?;
    let mut bases = package_bases(connection, environment)?;
    let mut statement = connection.statement(sql::PACKAGES)?;
    let mut rows = statement.query([environment.0])?;
    while let Some(row) = rows.next()? {
        let id = PackageId::new("stored package id", text(row, 0)?)?;
        let kind = if row.get(2)? {
            PackageKind::Addon { base_packages: bases.remove(&id).unwrap_or_default() }
        } else {
            PackageKind::Base
        };
        changes.push(CatalogChange::PutPackage(Arc::new(Package {
            name: label(text(row, 1)?)?,
            kind,
            status: PackageStatus::from_name(text(row, 3)?)?,
            metadata: optional(row, 4, metadata)?,
            updated_at: Timestamp::from_ms(row.get(5)?),
            features: features.remove(&id).unwrap_or_default(),
            terms: terms.remove(&id).unwrap_or_default(),
            id,
        })));
    }
    Ok(changes.iter().collect())
}

fn package_features(
    connection: &Connection,
    environment: EnvironmentId,
) -> Result<HashMap<PackageId, IndexMap<FeatureId, PackageFeature>>, StoreError> {
    let mut features: HashMap<PackageId, IndexMap<FeatureId, PackageFeature>> = HashMap::new();
    let mut statement = connection.statement(sql::PACKAGE_FEATURES)?;
    let mut rows = statement.query([environment.0])?;
    while let Some(row) = rows.next()? {
        let package = PackageId::new("stored package id", text(row, 0)?)?;
        let feature = FeatureId::new("stored feature id", text(row, 1)?)?;
        let inside = PackageFeature {
            name: optional(row, 2, label)?,
            allowance: Allowance {
                limit: row.get(3)?,
                reset_period: optional(row, 4, ResetPeriod::from_name)?,
                reset_anchor: optional(row, 5, ResetAnchor::from_name)?.unwrap_or_default(),
                overage_enabled: row.get(6)?,
                stacking: optional(row, 7, Stacking::from_name)?.unwrap_or_default(),
                rollover: read_rollover(row.get(8)?, row.get(9)?)?,
            },
        };
        features.entry(package).or_default().insert(feature, inside);
    }
    Ok(features)
}

fn package_feature_terms(
    connection: &Connection,
    environment: EnvironmentId,
) -> Result<HistoriesOfPackages, StoreError> {
    let mut terms = TermsOfPackages::default();
    let mut statement = connection.statement(sql::PACKAGE_FEATURE_TERMS)?;
    let mut rows = statement.query([environment.0])?;
    while let Some(row) = rows.next()? {
        let package = PackageId::new("stored package id", text(row, 0)?)?;
        let feature = FeatureId::new("stored feature id", text(row, 1)?)?;
        let allowance = Allowance {
            limit: row.get(5)?,
            reset_period: optional(row, 6, ResetPeriod::from_name)?,
            reset_anchor: optional(row, 7, ResetAnchor::from_name)?.unwrap_or_default(),
            overage_enabled: row.get(8)?,
            stacking: optional(row, 9, Stacking::from_name)?.unwrap_or_default(),
            rollover: read_rollover(row.get(10)?, row.get(11)?)?,
        };
        let is_given: bool = row.get(4)?;
        let since = Timestamp::from_ms(row.get(2)?);
        let number = TermsNumber(row.get(3)?);
        terms.add(
            package,
            feature,
            Terms { since, number, allowance: is_given.then_some(allowance) },
        );
    }
    terms.into_histories()
}

fn package_bases(
    connection: &Connection,
    environment: EnvironmentId,
) -> Result<HashMap<PackageId, Vec<PackageId>>, StoreError> {
    let mut bases: HashMap<PackageId, Vec<PackageId>> = HashMap::new();
    let mut statement = connection.statement(sql::PACKAGE_BASES)?;
    let mut rows = statement.query([environment.0])?;
    while let Some(row) = rows.next()? {
        let package = PackageId::new("stored package id", text(row, 0)?)?;
        let base = PackageId::new("stored package id", text(row, 1)?)?;
        bases.entry(package).or_default().push(base);
    }
    Ok(bases)
}

pub(super) fn write(
    connection: &Connection,
    environment: EnvironmentId,
    change: &CatalogChange,
) -> Result<(), StoreError> {
    match change {
        CatalogChange::PutFeature(feature) => put_feature(connection, environment, feature),
        CatalogChange::PutPackage(package) => put_package(connection, environment, package),
        CatalogChange::DeleteFeature(id) => {
            connection
                .statement(sql::DELETE_FEATURE)?
                .execute(params![environment.0, id.as_str()])?;
            Ok(())
        }
        CatalogChange::DeletePackage(id) => delete_package(connection, environment, id),
    }
}

fn put_feature(
    connection: &Connection,
    environment: EnvironmentId,
    feature: &Feature,
) -> Result<(), StoreError> {
    let (kind, unit_label, unit_label_plural) = match &feature.kind {
        FeatureKind::Binary => (BINARY, None, None),
        FeatureKind::Consumable { unit_label, unit_label_plural, .. } => {
            (CONSUMABLE, unit_label.as_ref(), unit_label_plural.as_ref())
        }
    };
    let (draws_on, cost) = draw_columns(feature.draws());
    connection.statement(sql::PUT_FEATURE)?.execute(params![
        environment.0,
        feature.id.as_str(),
        feature.name.as_str(),
        kind,
        unit_label.map(Label::as_str),
        unit_label_plural.map(Label::as_str),
        feature.metadata.as_ref().map(Metadata::to_json),
        feature.thresholds().to_json(),
        draws_on,
        cost,
    ])?;
    Ok(())
}

fn put_package(
    connection: &Connection,
    environment: EnvironmentId,
    package: &Package,
) -> Result<(), StoreError> {
    let id = package.id.as_str();
    connection.statement(sql::PUT_PACKAGE)?.execute(params![
        environment.0,
        id,
        package.name.as_str(),
        package.is_addon(),
        package.status.to_name(),
        package.metadata.as_ref().map(Metadata::to_json),
        package.updated_at.as_ms(),
    ])?;
    connection.statement(sql::CLEAR_PACKAGE_FEATURES)?.execute(params![environment.0, id])?;
    for (position, (feature, inside)) in (0_i64..).zip(&package.features) {
        let (rollover_periods, rollover_max) = rollover_columns(inside.allowance.rollover);
        connection.statement(sql::ADD_PACKAGE_FEATURE)?.execute(params![
            environment.0,
            id,
            position,
            feature.as_str(),
            inside.name.as_ref().map(Label::as_str),
            inside.allowance.limit,
            inside.allowance.reset_period.map(Named::to_name),
            anchor_to_name(inside.allowance.reset_anchor),
            inside.allowance.overage_enabled,
            stacking_to_name(inside.allowance.stacking),
            rollover_periods,
            rollover_max,
        ])?;
    }
    put_terms(connection, environment, package)?;
    connection.statement(sql::CLEAR_PACKAGE_BASES)?.execute(params![environment.0, id])?;
    for (position, base) in (0_i64..).zip(package.base_packages()) {
        connection.statement(sql::ADD_PACKAGE_BASE)?.execute(params![
            environment.0,
            id,
            position,
            base.as_str(),
        ])?;
    }
    Ok(())
}

fn put_terms(
    connection: &Connection,
    environment: EnvironmentId,
    package: &Package,
) -> Result<(), StoreError> {
    let id = package.id.as_str();
    connection.statement(sql::CLEAR_PACKAGE_FEATURE_TERMS)?.execute(params![environment.0, id])?;
    for (feature, history) in &package.terms {
        for (position, terms) in (0_i64..).zip(history.terms()) {
            let given = terms.allowance.unwrap_or(Allowance::UNLIMITED);
            let (rollover_periods, rollover_max) = rollover_columns(given.rollover);
            connection.statement(sql::ADD_PACKAGE_FEATURE_TERMS)?.execute(params![
                environment.0,
                id,
                feature.as_str(),
                position,
                terms.since.as_ms(),
                terms.number.0,
                terms.allowance.is_some(),
                given.limit,
                given.reset_period.map(Named::to_name),
                anchor_to_name(given.reset_anchor),
                given.overage_enabled,
                stacking_to_name(given.stacking),
                rollover_periods,
                rollover_max,
            ])?;
        }
    }
    Ok(())
}

fn delete_package(
    connection: &Connection,
    environment: EnvironmentId,
    id: &PackageId,
) -> Result<(), StoreError> {
    for sql in [
        sql::CLEAR_PACKAGE_FEATURES,
        sql::CLEAR_PACKAGE_FEATURE_TERMS,
        sql::CLEAR_PACKAGE_BASES,
        sql::DELETE_PACKAGE,
    ] {
        connection.statement(sql)?.execute(params![environment.0, id.as_str()])?;
    }
    Ok(())
}

/// Records that a feature was used.
pub(super) fn note_usage(
    connection: &Connection,
    environment: EnvironmentId,
    feature: &FeatureId,
) -> Result<(), StoreError> {
    connection.statement(sql::NOTE_USAGE)?.execute(params![environment.0, feature.as_str()])?;
    Ok(())
}

pub(super) fn have_usage(
    connection: &Connection,
    environment: EnvironmentId,
    features: &[FeatureId],
) -> Result<Vec<bool>, StoreError> {
    let mut statement = connection.statement(sql::HAVE_USAGE)?;
    let ids = features.iter().map(|feature| Value::Text(feature.as_str().to_owned()));
    let mut rows = statement.query(params![environment.0, Rc::new(ids.collect::<Vec<_>>())])?;
    let mut used = HashSet::new();
    while let Some(row) = rows.next()? {
        used.insert(row.get::<_, String>(0)?);
    }
    Ok(features.iter().map(|feature| used.contains(feature.as_str())).collect())
}

pub(super) fn active_subscribers(
    connection: &Connection,
    environment: EnvironmentId,
    packages: &[PackageId],
    now: Timestamp,
) -> Result<Vec<u64>, StoreError> {
    let mut statement = connection.statement(sql::ACTIVE_SUBSCRIBERS)?;
    let ids = packages.iter().map(|package| Value::Text(package.as_str().to_owned()));
    let ids = Rc::new(ids.collect::<Vec<_>>());
    let mut rows = statement.query(params![environment.0, ids, now.as_ms()])?;
    let mut subscribers = HashMap::new();
    while let Some(row) = rows.next()? {
        subscribers.insert(row.get::<_, String>(0)?, row.get::<_, i64>(1)?.unsigned_abs());
    }
    Ok(packages.iter().map(|id| subscribers.get(id.as_str()).copied().unwrap_or(0)).collect())
}
