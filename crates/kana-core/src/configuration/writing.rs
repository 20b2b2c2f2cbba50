use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{
    Configuration, ConfiguredFeature, ConfiguredPackage, FORM_VERSION, name_of, name_of_anchor,
    name_of_stacking,
};
use crate::catalog::{Allowance, FeatureKind, Stacking};
use crate::credits::Cost;
use crate::id::{FeatureId, PackageId};
use crate::metadata::Label;
use crate::period::ResetAnchor;
use crate::rollover::Rollover;

impl Configuration {
    /// Writes the configuration as clients read it. Every list is there, even an empty one; values
    /// that say nothing (no reset period, no overage, no label) are left out. `app` is the app's
    /// name.
    #[must_use]
    pub fn to_json(&self, app: &str) -> Value {
        let features: Vec<Value> = self.features.iter().map(feature).collect();
        let has_none = |feature: &&ConfiguredFeature| {
            feature.kind == FeatureKind::Binary || feature.kind.draws().is_some()
        };
        let switches = self.features.iter().filter(has_none);
        let switches: HashSet<&FeatureId> = switches.map(|feature| &feature.id).collect();
        let list = |is_addon: bool, is_published: bool| -> Vec<Value> {
            let stands_there = |package: &&ConfiguredPackage| {
                package.is_addon() == is_addon && package.is_published == is_published
            };
            let packages = self.packages.iter().filter(stands_there);
            packages.map(|it| package(it, &switches)).collect()
        };
        json!({
            "app": app,
            "version": FORM_VERSION,
            "features": features,
            "packages": { "draft": list(false, false), "published": list(false, true) },
            "addons": { "draft": list(true, false), "published": list(true, true) },
        })
    }
}

fn package(package: &ConfiguredPackage, switches: &HashSet<&FeatureId>) -> Value {
    let mut object = Map::new();
    object.insert("id".into(), package.id.as_str().into());
    object.insert("name".into(), package.name.as_str().into());
    if package.is_addon() {
        let bases: Vec<&str> = package.base_packages().iter().map(PackageId::as_str).collect();
        object.insert("base_packages".into(), bases.into());
    }
    let features = package.features.iter().map(|(id, allowance)| {
        let mut object = Map::new();
        object.insert("id".into(), id.as_str().into());
        if !switches.contains(id) {
            write_allowance(&mut object, *allowance);
        }
        Value::Object(object)
    });
    object.insert("features".into(), features.collect());
    Value::Object(object)
}

fn feature(feature: &ConfiguredFeature) -> Value {
    let mut object = Map::new();
    object.insert("id".into(), feature.id.as_str().into());
    object.insert("name".into(), feature.name.as_str().into());
    match &feature.kind {
        FeatureKind::Binary => {
            object.insert("type".into(), "BINARY".into());
        }
        FeatureKind::Consumable { unit_label, unit_label_plural, thresholds, draws } => {
            object.insert("type".into(), "CONSUMABLE".into());
            if let Some(draw) = draws {
                object.insert("draws_on".into(), draw.balance.as_str().into());
                if draw.cost != Cost::ONE {
                    object.insert("cost".into(), draw.cost.get().into());
                }
            }
            let labels = [("unit_label", unit_label), ("unit_label_plural", unit_label_plural)];
            for (key, label) in labels {
                if let Some(label) = label.as_ref().map(Label::as_str) {
                    object.insert(key.into(), label.into());
                }
            }
            if !thresholds.is_empty() {
                object.insert("thresholds".into(), json!(thresholds.as_slice()));
            }
        }
    }
    Value::Object(object)
}

fn write_allowance(object: &mut Map<String, Value>, allowance: Allowance) {
    let Allowance { limit, reset_period, reset_anchor, overage_enabled, stacking, rollover } =
        allowance;
    object.insert("limit".into(), limit.into());
    if overage_enabled {
        object.insert("overage_enabled".into(), true.into());
    }
    if let Some(reset_period) = reset_period {
        object.insert("reset_period".into(), name_of(reset_period).into());
    }
    if reset_anchor != ResetAnchor::Subscription {
        object.insert("reset_anchor".into(), name_of_anchor(reset_anchor).into());
    }
    if stacking != Stacking::Highest {
        object.insert("stacking".into(), name_of_stacking(stacking).into());
    }
    if let Some(rollover) = rollover {
        object.insert("rollover".into(), write_rollover(rollover));
    }
}

/// Leaves out what is the default, but not everything.
fn write_rollover(rollover: Rollover) -> Value {
    let (max, periods) = (rollover.max(), rollover.periods());
    let mut object = Map::new();
    if let Some(max) = max {
        object.insert("max".into(), max.into());
    }
    if periods != 1 || max.is_none() {
        object.insert("periods".into(), periods.into());
    }
    Value::Object(object)
}
