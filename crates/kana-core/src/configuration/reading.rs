//! Reads a file and checks what can be checked without an environment: shape, values, ids and what
//! they refer to.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{
    Configuration, ConfiguredFeature, ConfiguredPackage, FORM_VERSION, Place, Problem, name_of,
    name_of_anchor, name_of_stacking, quoted, shown,
};
use crate::catalog::{Allowance, FeatureKind, PackageKind, Stacking};
use crate::credits::{COST_MAX, Cost, Draw};
use crate::id::{FeatureId, PackageId};
use crate::metadata::Label;
use crate::period::{ResetAnchor, ResetPeriod};
use crate::rollover::{ROLLOVER_PERIODS_MAX, Rollover};
use crate::threshold::{LEFT_MAX, PERCENT_MAX, Threshold, Thresholds};

/// The maximum number of features, and of packages in one list.
const THINGS_MAX: usize = 10_000;
/// What a package can say of how much it gives of a feature.
const ABOUT_AMOUNTS: [&str; 6] =
    ["limit", "overage_enabled", "reset_period", "reset_anchor", "stacking", "rollover"];
/// The keys of `rollover`.
const ROLLOVER: &[&str] = &["max", "periods"];
/// The maximum number of problems that are reported. More are usually repetitions of one mistake.
const PROBLEMS_MAX: usize = 100;

impl Configuration {
    /// Reads a configuration in the format of [`to_json`](Self::to_json). Fails with all problems
    /// that can be found without an environment, up to 100.
    ///
    /// Ignores `app`, since the key decides about the environment. Empty lists can be left out or
    /// null, except `features` and `packages`: half a file must not archive the rest.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::default();
        let configuration = reader.configuration(value);
        match configuration {
            Some(configuration) if reader.problems.is_empty() => Ok(configuration),
            _ => Err(reader.problems),
        }
    }
}

/// Collects problems. A method that returns `None` has added one.
#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
    /// What a package gives of each feature, if that could be read, and its place.
    features: HashMap<FeatureId, (Option<Given>, Place)>,
    packages: HashMap<PackageId, Place>,
}

/// What a package gives of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Given {
    /// An amount.
    Amount,
    /// The right to use it: it is `BINARY`.
    Switch,
    /// The right to use it, at the expense of this other feature.
    DrawsOn(FeatureId),
}

impl Reader {
    fn refuse<T>(&mut self, place: &Place, message: impl Into<String>) -> Option<T> {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem::new(place.clone(), message));
        }
        None
    }

    fn configuration(&mut self, value: &Value) -> Option<Configuration> {
        let root = Place::root();
        let known = ["app", "version", "features", "packages", "addons"];
        let file = self.object(value, &root, "a configuration", &known)?;
        if let Some(app) = given(file, "app") {
            self.text(app, &root.key("app"));
        }
        if let Some(version) = given(file, "version") {
            let is_known = version.as_str().is_some_and(|text| text.split('.').next() == Some("1"));
            if !is_known {
                let message = format!(
                    "must be {FORM_VERSION}, the format of this release; it is {}",
                    shown(version)
                );
                self.refuse::<()>(&root.key("version"), message);
            }
        }
        for needed in ["features", "packages"] {
            let problem = match file.get(needed) {
                None => format!("{needed} is missing"),
                Some(Value::Null) => {
                    format!("{needed} has no value: if there are none, write empty lists")
                }
                Some(Value::Object(lists)) if lists.is_empty() => {
                    format!("{needed} has neither draft nor published")
                }
                Some(_) => continue,
            };
            self.refuse::<()>(&root, problem);
        }
        let features = self.features(file.get("features"));
        let mut packages = Vec::new();
        for (kind, is_addon) in [("packages", false), ("addons", true)] {
            let Some(lists) = given(file, kind) else { continue };
            let place = root.key(kind);
            let Some(lists) = self.object(lists, &place, "two lists", &["draft", "published"])
            else {
                continue;
            };
            for (name, is_published) in [("draft", false), ("published", true)] {
                let place = Place::list(is_addon, is_published);
                let items = self.list(lists.get(name), &place);
                for (index, item) in items.iter().enumerate() {
                    let package = self.package(item, place.item(index), is_addon, is_published);
                    packages.extend(package);
                }
            }
        }
        Some(Configuration { features, packages })
    }

    fn features(&mut self, value: Option<&Value>) -> Vec<ConfiguredFeature> {
        let place = Place::root().key("features");
        let mut features = Vec::new();
        for (index, item) in self.list(value, &place).iter().enumerate() {
            features.extend(self.feature(item, place.item(index)));
        }
        for feature in &features {
            if let Some(draw) = feature.kind.draws() {
                self.balance(&draw.balance, &feature.place.key("draws_on"));
            }
        }
        features
    }

    fn feature(&mut self, value: &Value, place: Place) -> Option<ConfiguredFeature> {
        let known = [
            "id",
            "name",
            "type",
            "unit_label",
            "unit_label_plural",
            "thresholds",
            "draws_on",
            "cost",
        ];
        let object = self.object(value, &place, "a feature", &known)?;
        let id = self.id(object, &place, FeatureId::new);
        let name = self.needed(object, &place, "name");
        let name = name.and_then(|name| self.label(name, &place.key("name"), "name"));
        let kind = self.needed(object, &place, "type").and_then(|kind| match kind.as_str() {
            Some("BINARY") => Some(true),
            Some("CONSUMABLE") => Some(false),
            _ => {
                let message = format!("must be BINARY or CONSUMABLE; it is {}", shown(kind));
                self.refuse(&place.key("type"), message)
            }
        });
        let mut label = |field: &'static str| {
            let place = place.key(field);
            let label = self.label(given(object, field)?, &place, field)?;
            if kind == Some(true) {
                let message = format!(
                    "is {}, which only a CONSUMABLE feature can have: leave it out",
                    quoted(label.as_str())
                );
                return self.refuse(&place, message);
            }
            Some(label)
        };
        let (unit_label, unit_label_plural) = (label("unit_label"), label("unit_label_plural"));
        let draws = self.draws(object, &place, kind);
        let thresholds = self.thresholds(object, &place, kind);
        let id = id?;
        if let Some((_, first)) = self.features.get(&id) {
            let message = format!(
                "is {}, which is the id of a feature already, at {first}",
                quoted(id.as_str())
            );
            return self.refuse(&place.key("id"), message);
        }
        let given = match (kind, &draws) {
            (Some(true), _) => Some(Given::Switch),
            (Some(false), Some(None)) => Some(Given::Amount),
            (Some(false), Some(Some(draw))) => Some(Given::DrawsOn(draw.balance.clone())),
            (None, _) | (_, None) => None,
        };
        self.features.insert(id.clone(), (given, place.clone()));
        let kind = if kind? {
            FeatureKind::Binary
        } else {
            let (thresholds, draws) = (thresholds?, draws?);
            if draws.is_some() && !thresholds.is_empty() {
                let message = "are for features that draw on nothing: leave them out";
                return self.refuse(&place.key("thresholds"), message);
            }
            FeatureKind::Consumable { unit_label, unit_label_plural, thresholds, draws }
        };
        Some(ConfiguredFeature { id, name: name?, kind, place })
    }

    /// Reads what a feature draws on.
    fn draws(
        &mut self,
        object: &Map<String, Value>,
        feature: &Place,
        is_binary: Option<bool>,
    ) -> Option<Option<Draw>> {
        let before = self.problems.len();
        let mut balance = None;
        if let Some(value) = given(object, "draws_on") {
            let place = feature.key("draws_on");
            balance = self.id_text(value, &place, FeatureId::new);
            if is_binary == Some(true) {
                let message = "is for CONSUMABLE features: leave it out";
                self.refuse::<()>(&place, message);
            }
        }
        let mut cost = Cost::ONE;
        if let Some(value) = given(object, "cost") {
            let place = feature.key("cost");
            let read = value.as_i64().and_then(|cost| Cost::new(cost).ok());
            match read {
                _ if given(object, "draws_on").is_none() => {
                    let message = "is for a feature that draws on another: leave it out";
                    self.refuse::<()>(&place, message);
                }
                Some(read) => cost = read,
                None => {
                    let message = format!(
                        "must be a whole number from 1 to {COST_MAX}; it is {}",
                        shown(value)
                    );
                    self.refuse::<()>(&place, message);
                }
            }
        }
        (self.problems.len() == before).then_some(balance.map(|balance| Draw { balance, cost }))
    }

    /// Checks that others can draw on a feature.
    fn balance(&mut self, id: &FeatureId, place: &Place) {
        let problem = match self.features.get(id) {
            Some((Some(Given::Amount) | None, _)) => return,
            Some((Some(Given::Switch), _)) => "which is a BINARY feature".to_owned(),
            Some((Some(Given::DrawsOn(other)), _)) => {
                format!("which draws on {} itself", quoted(other.as_str()))
            }
            None => "which is not in the list features".to_owned(),
        };
        self.refuse::<()>(place, format!("names the feature {}, {problem}", quoted(id.as_str())));
    }

    fn thresholds(
        &mut self,
        object: &Map<String, Value>,
        feature: &Place,
        is_binary: Option<bool>,
    ) -> Option<Thresholds> {
        let place = feature.key("thresholds");
        let items = self.list(object.get("thresholds"), &place);
        if !items.is_empty() && is_binary == Some(true) {
            let message = "are for CONSUMABLE features: leave them out";
            return self.refuse(&place, message);
        }
        let before = self.problems.len();
        let mut thresholds = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            thresholds.extend(self.threshold(item, &place.item(index)));
        }
        if self.problems.len() > before {
            return None;
        }
        match Thresholds::new(thresholds) {
            Ok(thresholds) => Some(thresholds),
            Err(invalid) => self.refuse(&place, invalid.problem),
        }
    }

    fn threshold(&mut self, value: &Value, place: &Place) -> Option<Threshold> {
        let object = self.object(value, place, "a threshold", &["percent", "left"])?;
        let percent = self.number(object, place, "percent", (1, PERCENT_MAX));
        let left = self.number(object, place, "left", (0, LEFT_MAX));
        let (percent, left) = (percent?, left?);
        match Threshold::new(percent, left) {
            Ok(threshold) => Some(threshold),
            Err(_) => self.refuse(place, "must have either percent or left"),
        }
    }

    fn package(
        &mut self,
        value: &Value,
        place: Place,
        is_addon: bool,
        is_published: bool,
    ) -> Option<ConfiguredPackage> {
        let known: &[&str] = if is_addon {
            &["id", "name", "features", "base_packages"]
        } else {
            &["id", "name", "features"]
        };
        let object = self.object(value, &place, "a package", known)?;
        let id = self.id(object, &place, PackageId::new);
        let name = self.needed(object, &place, "name");
        let name = name.and_then(|name| self.label(name, &place.key("name"), "name"));
        let features = self.package_features(object.get("features"), &place.key("features"));
        if is_published && features.as_ref().is_some_and(IndexMap::is_empty) {
            let message = "is empty: only a draft can have no features";
            self.refuse::<()>(&place.key("features"), message);
        }
        let kind = if is_addon {
            let base_packages = self.bases(object.get("base_packages"), &place);
            PackageKind::Addon { base_packages }
        } else {
            PackageKind::Base
        };
        let id = id?;
        if let Some(first) = self.packages.get(&id) {
            let message = format!(
                "is {}, which is the id of a package already, at {first}",
                quoted(id.as_str())
            );
            return self.refuse(&place.key("id"), message);
        }
        self.packages.insert(id.clone(), place.clone());
        let (name, features) = (name?, features?);
        Some(ConfiguredPackage { id, name, kind, is_published, features, place })
    }

    fn package_features(
        &mut self,
        value: Option<&Value>,
        place: &Place,
    ) -> Option<IndexMap<FeatureId, Allowance>> {
        let items = self.list(value, place);
        let mut features = IndexMap::with_capacity(items.len());
        let mut are_right = true;
        for (index, item) in items.iter().enumerate() {
            let place = place.item(index);
            match self.package_feature(item, &place) {
                None => are_right = false,
                Some((id, _)) if features.contains_key(&id) => {
                    let message = format!(
                        "names the feature {}, which the package has already",
                        quoted(id.as_str())
                    );
                    self.refuse::<()>(&place.key("id"), message);
                    are_right = false;
                }
                Some((id, allowance)) => {
                    features.insert(id, allowance);
                }
            }
        }
        are_right.then_some(features)
    }

    fn package_feature(&mut self, value: &Value, place: &Place) -> Option<(FeatureId, Allowance)> {
        let known = [&["id"], &ABOUT_AMOUNTS[..]].concat();
        let object = self.object(value, place, "a feature of a package", &known)?;
        let id = self.id(object, place, FeatureId::new)?;
        let Some((gives, _)) = self.features.get(&id) else {
            let message = format!(
                "names the feature {}, which is not in the list features",
                quoted(id.as_str())
            );
            return self.refuse(&place.key("id"), message);
        };
        // If its type could not be read, that is a problem already.
        let why_none = match gives.as_ref()? {
            Given::Amount => None,
            Given::Switch => Some("is a BINARY feature, which has no amount".to_owned()),
            Given::DrawsOn(balance) => {
                let balance = quoted(balance.as_str());
                Some(format!("draws on {balance}, and has no amount of its own"))
            }
        };
        if let Some(why) = why_none {
            let read = self.without_amount(object, place, &id, &why);
            return read.map(|()| (id, Allowance::UNLIMITED));
        }
        let limit = self.limit(object, place, &id);
        let overage_enabled = self.switch(object, place, "overage_enabled");
        let reset_period = self.reset_period(object, place);
        let reset_anchor = self.reset_anchor(object, place);
        let stacking = self.stacking(object, place);
        let rollover = self.rollover(object, place);
        let allowance = Allowance {
            limit: limit?,
            reset_period: reset_period?,
            reset_anchor: reset_anchor?,
            overage_enabled: overage_enabled?,
            stacking: stacking?,
            rollover: rollover?,
        };
        Some((id, allowance))
    }

    fn limit(
        &mut self,
        object: &Map<String, Value>,
        place: &Place,
        feature: &FeatureId,
    ) -> Option<Option<i64>> {
        let message = match object.get("limit") {
            None => format!(
                "is missing: {} is a CONSUMABLE feature, which needs one; null means unlimited",
                quoted(feature.as_str())
            ),
            Some(Value::Null) => return Some(None),
            Some(value) => match value.as_i64().filter(|limit| *limit >= 0) {
                Some(limit) => return Some(Some(limit)),
                None => format!(
                    "must be a whole number from 0 to {}, or null for unlimited; it is {}",
                    i64::MAX,
                    shown(value)
                ),
            },
        };
        self.refuse(&place.key("limit"), message)
    }

    /// Checks that nothing is said of the amount of a feature that has none. Values that say so are accepted.
    fn without_amount(
        &mut self,
        object: &Map<String, Value>,
        place: &Place,
        feature: &FeatureId,
        why: &str,
    ) -> Option<()> {
        let before = self.problems.len();
        for field in ABOUT_AMOUNTS {
            let Some(value) = given(object, field) else { continue };
            if field == "overage_enabled" && *value == Value::Bool(false) {
                continue;
            }
            let message = format!(
                "is {}, but {} {why}: leave it out",
                shown(value),
                quoted(feature.as_str())
            );
            self.refuse::<()>(&place.key(field), message);
        }
        (self.problems.len() == before).then_some(())
    }

    fn switch(&mut self, object: &Map<String, Value>, place: &Place, field: &str) -> Option<bool> {
        match given(object, field) {
            None => Some(false),
            Some(Value::Bool(value)) => Some(*value),
            Some(value) => {
                let message = format!("must be true or false; it is {}", shown(value));
                self.refuse(&place.key(field), message)
            }
        }
    }

    fn reset_period(
        &mut self,
        object: &Map<String, Value>,
        place: &Place,
    ) -> Option<Option<ResetPeriod>> {
        let Some(value) = given(object, "reset_period") else { return Some(None) };
        let named = |period: &ResetPeriod| value.as_str() == Some(name_of(*period));
        match ResetPeriod::ALL.into_iter().find(named) {
            Some(period) => Some(Some(period)),
            None => {
                let message = format!(
                    "must be MINUTE, HOUR, DAY, WEEK, MONTH or YEAR, or left out for usage that never \
                     starts again; it is {}",
                    shown(value)
                );
                self.refuse(&place.key("reset_period"), message)
            }
        }
    }

    fn reset_anchor(&mut self, object: &Map<String, Value>, place: &Place) -> Option<ResetAnchor> {
        let message = match given(object, "reset_anchor") {
            None => return Some(ResetAnchor::Subscription),
            Some(value) => match [ResetAnchor::Subscription, ResetAnchor::Calendar]
                .into_iter()
                .find(|anchor| value.as_str() == Some(name_of_anchor(*anchor)))
            {
                Some(ResetAnchor::Calendar) if given(object, "reset_period").is_none() => {
                    "is CALENDAR, which needs a reset_period".to_owned()
                }
                Some(anchor) => return Some(anchor),
                None => format!(
                    "must be CALENDAR, or left out for periods from the subscription's start; it \
                     is {}",
                    shown(value)
                ),
            },
        };
        self.refuse(&place.key("reset_anchor"), message)
    }

    fn stacking(&mut self, object: &Map<String, Value>, place: &Place) -> Option<Stacking> {
        let Some(value) = given(object, "stacking") else { return Some(Stacking::Highest) };
        let named = |stacking: &Stacking| value.as_str() == Some(name_of_stacking(*stacking));
        match [Stacking::Highest, Stacking::Add].into_iter().find(named) {
            Some(stacking) => Some(stacking),
            None => {
                let message = format!(
                    "must be ADD, or left out for a limit that competes with others; it is {}",
                    shown(value)
                );
                self.refuse(&place.key("stacking"), message)
            }
        }
    }

    fn rollover(&mut self, object: &Map<String, Value>, place: &Place) -> Option<Option<Rollover>> {
        let Some(value) = given(object, "rollover") else { return Some(None) };
        let at = place.key("rollover");
        let terms = self.object(value, &at, "what is carried into later periods", ROLLOVER)?;
        let max = self.number(terms, &at, "max", (1, i64::MAX));
        let periods = self.number(terms, &at, "periods", (1, ROLLOVER_PERIODS_MAX.into()));
        let needed = [("limit", "a limit"), ("reset_period", "a reset_period")];
        if let Some((_, what)) =
            needed.into_iter().find(|(field, _)| given(object, field).is_none())
        {
            return self.refuse(&at, format!("needs {what}"));
        }
        match Rollover::new(max?, periods?) {
            Ok(rollover) => Some(Some(rollover)),
            Err(invalid) => self.refuse(&at, invalid.to_string()),
        }
    }

    /// Reads a whole number within bounds, which may be left out.
    fn number(
        &mut self,
        object: &Map<String, Value>,
        place: &Place,
        field: &str,
        (least, largest): (i64, i64),
    ) -> Option<Option<i64>> {
        let Some(value) = given(object, field) else { return Some(None) };
        match value.as_i64().filter(|number| (least..=largest).contains(number)) {
            Some(number) => Some(Some(number)),
            None => {
                let message = format!(
                    "must be a whole number from {least} to {largest}; it is {}",
                    shown(value)
                );
                self.refuse(&place.key(field), message)
            }
        }
    }

    /// Reads base packages. The planner checks that they exist, since it knows the environment.
    fn bases(&mut self, value: Option<&Value>, package: &Place) -> Vec<PackageId> {
        let place = package.key("base_packages");
        let mut seen = HashSet::new();
        let mut bases = Vec::new();
        for (index, item) in self.list(value, &place).iter().enumerate() {
            let place = place.item(index);
            let Some(id) = self.id_text(item, &place, PackageId::new) else { continue };
            if seen.insert(id.clone()) {
                bases.push(id);
            } else {
                let id = quoted(id.as_str());
                self.refuse::<()>(&place, format!("names the package {id} for the second time"));
            }
        }
        bases
    }

    fn object<'a>(
        &mut self,
        value: &'a Value,
        place: &Place,
        what: &str,
        known: &[&str],
    ) -> Option<&'a Map<String, Value>> {
        let Value::Object(object) = value else {
            let message = format!(
                "must be {what}, with the keys {}; it is {}",
                known.join(", "),
                shown(value)
            );
            return self.refuse(place, message);
        };
        for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
            let message = format!("is an unknown key: {what} has {}", known.join(", "));
            self.refuse::<()>(&place.key(key), message);
        }
        Some(object)
    }

    /// Reads a list. An empty one can be left out or null.
    fn list<'a>(&mut self, value: Option<&'a Value>, place: &Place) -> &'a [Value] {
        match value {
            None | Some(Value::Null) => &[],
            Some(Value::Array(items)) if items.len() > THINGS_MAX => {
                let message =
                    format!("must have at most {THINGS_MAX} items; it has {}", items.len());
                self.refuse::<()>(place, message);
                &[]
            }
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.refuse::<()>(place, format!("must be a list; it is {}", shown(other)));
                &[]
            }
        }
    }

    fn needed<'a>(
        &mut self,
        object: &'a Map<String, Value>,
        place: &Place,
        field: &str,
    ) -> Option<&'a Value> {
        match given(object, field) {
            None => self.refuse(&place.key(field), "is missing"),
            found => found,
        }
    }

    fn text<'a>(&mut self, value: &'a Value, place: &Place) -> Option<&'a str> {
        let quotes = match value {
            Value::String(text) => return Some(text),
            Value::Bool(_) | Value::Number(_) => ": put it into quotes",
            _ => "",
        };
        self.refuse(place, format!("must be text; it is {}{quotes}", shown(value)))
    }

    /// Adds the problem of a text that breaks its bounds.
    fn refuse_text<T>(&mut self, place: &Place, problem: &str, text: &str) -> Option<T> {
        self.refuse(place, format!("{problem}; it is {}", quoted(text)))
    }

    fn label(&mut self, value: &Value, place: &Place, field: &'static str) -> Option<Label> {
        let text = self.text(value, place)?;
        match Label::new(field, text) {
            Ok(label) => Some(label),
            Err(invalid) => self.refuse_text(place, &invalid.problem, text),
        }
    }

    fn id<T>(&mut self, object: &Map<String, Value>, place: &Place, new: NewId<T>) -> Option<T> {
        let value = self.needed(object, place, "id")?;
        self.id_text(value, &place.key("id"), new)
    }

    fn id_text<T>(&mut self, value: &Value, place: &Place, new: NewId<T>) -> Option<T> {
        let text = self.text(value, place)?;
        match new("id", text) {
            Ok(id) => Some(id),
            Err(invalid) => self.refuse_text(place, &invalid.problem, text),
        }
    }
}

type NewId<T> = fn(&'static str, &str) -> Result<T, crate::invalid::InvalidValue>;

/// Returns the value under a key; `None` for null.
fn given<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    object.get(field).filter(|value| !value.is_null())
}
