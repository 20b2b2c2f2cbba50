//! The form of a package: its fields, a row for each feature, and what they say.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use kana_core::catalog::{
    Allowance, Catalog, Feature, Package, PackageKind, PackageStatus, Stacking,
};
use kana_core::catalog_command::{NewPackage, NewPackageFeature, PackageEdit};
use kana_core::edit::Edit;
use kana_core::id::{FeatureId, PackageId};
use kana_core::metadata::{Label, Metadata};
use kana_core::period::{ResetAnchor, ResetPeriod};
use kana_core::rollover::Rollover;

use super::metadata;
use crate::form::{FieldProblem, Filled, Form};
use crate::number::grouped;

/// The fields of a row.
const ROW_FIELDS: [&str; 9] = [
    "feature",
    "limit",
    "resets",
    "calendar",
    "stacking",
    "rollover",
    "rollover_max",
    "overage",
    "name",
];
/// Those of them that are folded away.
const FOLDED_FIELDS: [&str; 4] = ["calendar", "stacking", "rollover", "rollover_max"];

/// What stands in the form.
#[derive(Debug, Clone, Default)]
pub(super) struct PackageForm {
    /// What is not in a row.
    pub(super) head: Form,
    /// The fields of each row, by the names of [`ROW_FIELDS`].
    rows: Vec<Form>,
}

/// A row as a page shows it: its number, and the names of its fields.
pub(super) struct Row {
    pub(super) number: usize,
    pub(super) form: Filled,
    pub(super) feature: String,
    pub(super) limit: String,
    pub(super) resets: String,
    pub(super) calendar: String,
    pub(super) stacking: String,
    pub(super) rollover: String,
    pub(super) rollover_max: String,
    /// Whether what is folded away has a value or a problem.
    pub(super) has_more: bool,
    pub(super) overage: String,
    pub(super) name: String,
}

/// What the form says of a package, its id excepted.
pub(super) struct Content {
    name: Option<Label>,
    kind: PackageKind,
    features: Vec<NewPackageFeature>,
    metadata: Option<Metadata>,
}

impl PackageForm {
    /// A form for a new package, with an empty row.
    pub(super) fn empty(nonce: String) -> Self {
        Self { head: Form::with([("nonce", nonce)]), rows: vec![Form::default()] }
    }

    /// Reads what was sent. Rows may have any numbers.
    pub(super) fn of(form: &Form) -> Self {
        let (mut head, mut rows): (Vec<_>, Vec<(&str, Vec<_>)>) = (Vec::new(), Vec::new());
        for (name, value) in form.fields() {
            let Some((number, field)) = row_field(name) else {
                head.push((name, value.to_owned()));
                continue;
            };
            match rows.last_mut() {
                Some((last, fields)) if *last == number => fields.push((field, value.to_owned())),
                _ => rows.push((number, vec![(field, value.to_owned())])),
            }
        }
        let rows = rows.into_iter().map(|(_, fields)| Form::with(fields)).collect();
        Self { head: Form::with(head), rows }
    }

    /// Fills the form in with a package as it is.
    pub(super) fn filled_in(package: &Package, names: &FeatureNames<'_>) -> Self {
        let mut head = vec![
            ("name", package.name.as_str().to_owned()),
            ("id", package.id.as_str().to_owned()),
            ("metadata", metadata::written(package.metadata.as_ref())),
        ];
        if package.is_addon() {
            head.push(("addon", "1".to_owned()));
        }
        head.extend(package.base_packages().iter().map(|base| ("base", base.as_str().to_owned())));
        let rows = package.features.iter().map(|(id, inside)| {
            let Allowance {
                limit,
                reset_period,
                reset_anchor,
                overage_enabled,
                stacking,
                rollover,
            } = inside.allowance;
            let mut fields = vec![
                ("feature", names.shown(id).to_owned()),
                ("limit", limit.map(|limit| limit.to_string()).unwrap_or_default()),
                ("resets", resets_value(reset_period).to_owned()),
                ("name", inside.name.as_ref().map(Label::as_str).unwrap_or_default().to_owned()),
            ];
            if reset_anchor == ResetAnchor::Calendar {
                fields.push(("calendar", "1".to_owned()));
            }
            if stacking == Stacking::Add {
                fields.push(("stacking", "1".to_owned()));
            }
            if let Some(rollover) = rollover {
                let max = rollover.max().map(|max| max.to_string()).unwrap_or_default();
                fields.push(("rollover", rollover.periods().to_string()));
                fields.push(("rollover_max", max));
            }
            if overage_enabled {
                fields.push(("overage", "1".to_owned()));
            }
            Form::with(fields)
        });
        Self { rows: rows.collect(), head: Form::with(head) }
    }

    /// Sets a hidden field.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        let others = self.head.fields().filter(|(known, _)| *known != name);
        let fields = others.map(|(name, value)| (name, value.to_owned()));
        self.head = Form::with(fields.chain([(name, value.to_owned())]));
        self
    }

    /// Adds or removes a row, if a button of the form says so. Returns true if one did.
    pub(super) fn change_rows(&mut self) -> bool {
        if self.head.is("act", "add") {
            self.rows.push(Form::default());
            return true;
        }
        if !self.head.has("remove") {
            return false;
        }
        let number: usize = self.head.text("remove").parse().unwrap_or(0);
        if (1..=self.rows.len()).contains(&number) {
            self.rows.remove(number - 1);
        }
        true
    }

    /// Returns the rows as a page shows them, each with what is wrong with it.
    pub(super) fn shown_rows(&self, problems: &[FieldProblem]) -> Vec<Row> {
        let rows = self.rows.iter().enumerate().map(|(index, row)| {
            let number = index + 1;
            let field = |field: &str| format!("r{number}-{field}");
            let fields: Vec<(String, String)> =
                row.fields().map(|(name, value)| (field(name), value.to_owned())).collect();
            let form =
                Form::with(fields.iter().map(|(name, value)| (name.as_str(), value.clone())));
            let prefix = field("");
            let is_here = |problem: &&FieldProblem| {
                problem.field.as_ref().is_some_and(|field| field.starts_with(&prefix))
            };
            let problems: Vec<_> = problems.iter().filter(is_here).cloned().collect();
            let has_more = FOLDED_FIELDS.iter().any(|folded| {
                let name = Some(field(folded));
                !row.text(folded).is_empty() || problems.iter().any(|problem| problem.field == name)
            });
            Row {
                number,
                form: Filled::with_problems(form, problems),
                feature: field("feature"),
                limit: field("limit"),
                resets: field("resets"),
                calendar: field("calendar"),
                stacking: field("stacking"),
                rollover: field("rollover"),
                rollover_max: field("rollover_max"),
                has_more,
                overage: field("overage"),
                name: field("name"),
            }
        });
        rows.collect()
    }

    /// Returns every field as it is sent, without the buttons and what each page has of its own.
    pub(super) fn hidden(&self) -> Vec<(String, String)> {
        let own = ["csrf", "act", "remove", "confirm", "back"];
        let head = self.head.fields().filter(|(name, _)| !own.contains(name));
        let rows = self.rows.iter().enumerate().flat_map(|(index, row)| {
            let number = index + 1;
            row.fields().map(move |(name, value)| (format!("r{number}-{name}"), value.to_owned()))
        });
        head.map(|(name, value)| (name.to_owned(), value.to_owned())).chain(rows).collect()
    }

    /// Reads what the form says. `known` is the package as it is, whose order of base packages stays.
    pub(super) fn read(
        &self,
        names: &FeatureNames<'_>,
        environment: &str,
        known: Option<&Package>,
    ) -> Result<Content, Vec<FieldProblem>> {
        let mut problems = Vec::new();
        let mut keep = |problem: FieldProblem| problems.push(problem);
        let name = match self.head.text("name") {
            text if known.is_none() && text.trim().is_empty() => None,
            text => Label::new("name", text)
                .map_err(|invalid| keep(FieldProblem::of_value(&invalid, field_names)))
                .ok(),
        };
        let kind = self.kind(known).map_err(&mut keep).unwrap_or(PackageKind::Base);
        let metadata = metadata::read(self.head.text("metadata")).map_err(&mut keep).ok().flatten();
        let mut features = Vec::new();
        let mut seen = HashSet::new();
        for (index, row) in self.rows.iter().enumerate() {
            match read_row(row, index + 1, names, environment) {
                Ok(Some(feature)) if !seen.insert(feature.feature.clone()) => {
                    let message = format!("Names the feature {} twice.", feature.feature);
                    keep(FieldProblem::of(format!("r{}-feature", index + 1), message));
                }
                Ok(feature) => features.extend(feature),
                Err(problem) => keep(problem),
            }
        }
        if problems.is_empty() {
            Ok(Content { name, kind, features, metadata })
        } else {
            Err(problems)
        }
    }

    fn kind(&self, known: Option<&Package>) -> Result<PackageKind, FieldProblem> {
        let known_bases = known.map(Package::base_packages).unwrap_or_default();
        let chosen: HashSet<&str> = self.head.all("base").collect();
        let is_fixed = known.filter(|package| package.status != PackageStatus::Draft);
        let is_addon = is_fixed.map_or_else(|| self.head.has("addon"), Package::is_addon);
        if !is_addon && !chosen.is_empty() {
            let message = "Is only for add-ons: set isAddon, or leave it out.";
            return Err(FieldProblem::of("base", message));
        }
        if !is_addon {
            return Ok(PackageKind::Base);
        }
        let stays = known_bases.iter().filter(|base| chosen.contains(base.as_str())).cloned();
        let mut base_packages: Vec<PackageId> = stays.collect();
        for text in self.head.all("base") {
            let id = PackageId::new("base", text)
                .map_err(|invalid| FieldProblem::of_value(&invalid, |_| Some("base")))?;
            if !base_packages.contains(&id) {
                base_packages.push(id);
            }
        }
        Ok(PackageKind::Addon { base_packages })
    }

    /// Puts the form in words, a line for each thing: what it is, and what stands there.
    fn in_words(&self) -> BTreeMap<String, String> {
        let mut words = BTreeMap::from([
            ("Name".to_owned(), self.head.text("name").to_owned()),
            ("Add-on".to_owned(), if self.head.has("addon") { "Yes" } else { "No" }.to_owned()),
            ("Metadata".to_owned(), self.head.text("metadata").to_owned()),
            ("May be added to".to_owned(), self.head.all("base").collect::<Vec<_>>().join(", ")),
        ]);
        for row in self.rows.iter().filter(|row| !row.text("feature").is_empty()) {
            let limit = match row.text("limit") {
                "" => "unlimited".to_owned(),
                limit => format!("limit {limit}"),
            };
            let mut said = format!("{limit}, resets {}", resets_in_words(row.text("resets")));
            if row.has("calendar") {
                said.push_str(" by the calendar");
            }
            if row.has("stacking") {
                said.push_str(", added to others");
            }
            if !row.text("rollover").is_empty() {
                said.push_str(&format!(", carried for {}", row.text("rollover")));
            }
            if !row.text("rollover_max").is_empty() {
                said.push_str(&format!(", at most {}", row.text("rollover_max")));
            }
            if row.has("overage") {
                said.push_str(", overage allowed");
            }
            if !row.text("name").is_empty() {
                said.push_str(&format!(", name {}", row.text("name")));
            }
            words.insert(format!("Feature {}", row.text("feature")), said);
        }
        words
    }

    /// Returns where two forms differ: what, what stands in this one, and what in the other.
    pub(super) fn differences(&self, other: &Self) -> Vec<[String; 3]> {
        let (mut here, mut there) = (self.in_words(), other.in_words());
        let all: BTreeSet<String> = here.keys().chain(there.keys()).cloned().collect();
        let both = all.into_iter().map(|what| {
            let (here, there) = (here.remove(&what), there.remove(&what));
            [what, here.unwrap_or_default(), there.unwrap_or_default()]
        });
        both.filter(|[_, here, there]| here != there).collect()
    }
}

impl Content {
    pub(super) fn into_new(self, id: PackageId) -> NewPackage {
        NewPackage {
            id,
            name: self.name,
            is_addon: self.kind.is_addon(),
            base_packages: self.kind.base_packages().to_vec(),
            features: self.features,
            metadata: self.metadata,
        }
    }

    /// Makes an edit of it. A form without a name, which only a new package may have, keeps `name`.
    pub(super) fn into_edit(self, name: &Label) -> PackageEdit {
        let names = self
            .features
            .iter()
            .filter_map(|inside| inside.name.clone().map(|name| (inside.feature.clone(), name)));
        let names = Some(names.collect());
        let features = self
            .features
            .into_iter()
            .map(|inside| (inside.feature, inside.allowance.unwrap_or(Allowance::UNLIMITED)));
        PackageEdit {
            name: self.name.unwrap_or_else(|| name.clone()),
            kind: self.kind,
            features: features.collect(),
            names,
            metadata: Edit::to(self.metadata),
        }
    }
}

/// The features by name, for fields in which an id or a name is enough.
pub(super) struct FeatureNames<'a> {
    catalog: &'a Catalog,
    /// `None` for a name that several have.
    by_name: HashMap<&'a str, Option<&'a Feature>>,
}

impl<'a> FeatureNames<'a> {
    pub(super) fn of(catalog: &'a Catalog) -> Self {
        let mut by_name = HashMap::new();
        for feature in catalog.features() {
            by_name
                .entry(feature.name.as_str())
                .and_modify(|known| *known = None)
                .or_insert_with(|| Some(feature.as_ref()));
        }
        Self { catalog, by_name }
    }

    /// Returns the feature with this id, or else the only one with this name.
    fn find(&self, text: &str) -> Option<&'a Feature> {
        let id = FeatureId::new("feature", text).ok();
        let by_id = id.and_then(|id| self.catalog.feature(&id)).map(AsRef::as_ref);
        by_id.or_else(|| self.by_name.get(text).copied().flatten())
    }

    /// Returns true for the name of several features, which finds none of them.
    fn is_of_several(&self, text: &str) -> bool {
        self.by_name.get(text).is_some_and(Option::is_none)
    }

    /// Returns what stands for a feature in a field: its name, if that finds it, else its id.
    pub(super) fn shown<'b>(&self, id: &'b FeatureId) -> &'b str
    where
        'a: 'b,
    {
        match self.catalog.feature(id) {
            Some(feature) if self.find(feature.name.as_str()).is_some_and(|it| it.id == *id) => {
                feature.name.as_str()
            }
            _ => id.as_str(),
        }
    }

    /// Returns what stands for each feature.
    pub(super) fn all(&self) -> Vec<String> {
        self.catalog.features().map(|feature| self.shown(&feature.id).to_owned()).collect()
    }
}

/// Splits the name of a row's field: `r2-limit` is the field `limit` of the row `2`.
fn row_field(name: &str) -> Option<(&str, &str)> {
    let (number, field) = name.strip_prefix('r')?.split_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && ROW_FIELDS.contains(&field)).then_some((number, field))
}

/// Reads a row; `None` if nothing stands in it.
fn read_row(
    row: &Form,
    number: usize,
    names: &FeatureNames<'_>,
    environment: &str,
) -> Result<Option<NewPackageFeature>, FieldProblem> {
    let problem =
        |field: &str, message: String| FieldProblem::of(format!("r{number}-{field}"), message);
    let text = row.text("feature").trim();
    if text.is_empty() {
        if ["limit", "resets", "name"].iter().all(|field| row.text(field).is_empty()) {
            return Ok(None);
        }
        return Err(problem("feature", "Must not be empty.".to_owned()));
    }
    let feature = names.find(text).ok_or_else(|| {
        let message = match names.is_of_several(text) {
            true => format!("Several features are called “{text}”: write the identifier."),
            false => format!("Feature “{text}” does not exist in {environment}."),
        };
        problem("feature", message)
    })?;
    let limit = read_limit(row.text("limit")).map_err(|message| problem("limit", message))?;
    let reset_period = match row.text("resets") {
        "" => None,
        text => Some(
            ResetPeriod::ALL
                .into_iter()
                .find(|period| resets_value(Some(*period)) == text)
                .ok_or_else(|| problem("resets", "Choose one of the list.".to_owned()))?,
        ),
    };
    let by_calendar = row.has("calendar");
    if by_calendar && reset_period.is_none() {
        return Err(problem("calendar", "Needs a reset: choose when it resets.".to_owned()));
    }
    let reset_anchor = if by_calendar { ResetAnchor::Calendar } else { ResetAnchor::Subscription };
    let stacking = if row.has("stacking") { Stacking::Add } else { Stacking::Highest };
    let overage_enabled = row.has("overage");
    let rollover = read_rollover(row).map_err(|(field, message)| problem(field, message))?;
    let allowance =
        Allowance { limit, reset_period, reset_anchor, overage_enabled, stacking, rollover };
    if let Some(why) = feature.why_no_amount().filter(|_| allowance != Allowance::UNLIMITED) {
        let message = format!("Must be left out for {}, which {why}.", feature.id);
        let field = match (limit, reset_period) {
            (Some(_), _) => "limit",
            (None, Some(_)) => "resets",
            (None, None) if overage_enabled => "overage",
            (None, None) if stacking == Stacking::Add => "stacking",
            (None, None) => "rollover",
        };
        return Err(problem(field, message));
    }
    if rollover.is_some() && (limit.is_none() || reset_period.is_none()) {
        return Err(problem("rollover", "Needs a limit and a reset.".to_owned()));
    }
    let name = match row.text("name") {
        "" => None,
        text => Some(
            Label::new("name", text)
                .map_err(|invalid| problem("name", crate::form::capitalised(&invalid.problem)))?,
        ),
    };
    let allowance = feature.has_amount().then_some(allowance);
    Ok(Some(NewPackageFeature { feature: feature.id.clone(), name, allowance }))
}

/// Reads for how many periods what is left stays usable, and the most that does; empty is not at all. Fails
/// with the field that is wrong.
fn read_rollover(row: &Form) -> Result<Option<Rollover>, (&'static str, String)> {
    let max = match read_limit(row.text("rollover_max")) {
        Ok(max) if max != Some(0) => max,
        _ => {
            let message = "Must be a whole number of 1 or more, or empty for no cap.";
            return Err(("rollover_max", message.to_owned()));
        }
    };
    let periods = match row.text("rollover").trim() {
        "" if max.is_some() => {
            return Err(("rollover", "Say for how many periods.".to_owned()));
        }
        "" => return Ok(None),
        text => text.parse().unwrap_or(0),
    };
    let read = Rollover::new(max, Some(periods));
    read.map(Some).map_err(|invalid| ("rollover", crate::form::capitalised(&invalid.problem)))
}

/// Reads a limit, grouped by commas or not; empty is unlimited.
fn read_limit(text: &str) -> Result<Option<i64>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let number: Option<i64> = text.replace(',', "").parse().ok();
    match number {
        Some(limit) if limit < 0 => Err("Must not be negative.".to_owned()),
        Some(limit) if !text.contains(',') || grouped(limit) == text => Ok(Some(limit)),
        _ => Err(format!(
            "Must be a whole number up to {}, or empty for unlimited.",
            grouped(i64::MAX)
        )),
    }
}

pub(super) fn resets_value(reset_period: Option<ResetPeriod>) -> &'static str {
    match reset_period {
        None => "",
        Some(ResetPeriod::Minute) => "minute",
        Some(ResetPeriod::Hour) => "hour",
        Some(ResetPeriod::Day) => "day",
        Some(ResetPeriod::Week) => "week",
        Some(ResetPeriod::Month) => "month",
        Some(ResetPeriod::Year) => "year",
    }
}

fn resets_in_words(value: &str) -> String {
    if value.is_empty() { "never".to_owned() } else { format!("every {value}") }
}

/// Returns what people call a field, with its row.
pub(super) fn label(field: &str) -> Option<Cow<'static, str>> {
    if let Some((number, field)) = row_field(field) {
        let label = match field {
            "limit" => "limit",
            "resets" => "resets",
            "calendar" => "resets by the calendar",
            "stacking" => "added to others",
            "rollover" => "periods that it is carried for",
            "rollover_max" => "carried at most",
            "overage" => "overage allowed",
            "name" => "name in the package",
            _ => return Some(format!("Feature {number}").into()),
        };
        return Some(format!("Feature {number}, {label}").into());
    }
    let label = match field {
        "id" => "Identifier",
        "name" => "Name",
        "base" => "May be added to",
        "metadata" => "Metadata",
        _ => return None,
    };
    Some(label.into())
}

/// Translates the API's names of a package's fields to the form's.
pub(super) fn field_names(field: &str) -> Option<&'static str> {
    Some(match field {
        "id" => "id",
        "name" => "name",
        "metadata" => "metadata",
        "basePackageIds" => "base",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_whole_number_grouped_or_not() {
        assert_eq!(read_limit(" "), Ok(None));
        assert_eq!(read_limit("1000"), Ok(Some(1000)));
        assert_eq!(read_limit("1,000"), Ok(Some(1000)));
        assert_eq!(read_limit("9223372036854775807"), Ok(Some(i64::MAX)));
        for bad in ["1,5", "1.5", "-1", "ten", "9223372036854775808"] {
            assert!(read_limit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rows_are_read_in_their_order_whatever_their_numbers() {
        let form = Form::read(b"name=a&r7-feature=x&r7-limit=1&r2-feature=y&r-feature=z&rx-name=z");
        let mut form = PackageForm::of(&form.unwrap());
        assert_eq!(form.rows.len(), 2);
        assert_eq!(form.head.fields().count(), 3);
        form = form.with("remove", "1");
        assert!(form.change_rows());
        let rows = form.shown_rows(&[]);
        assert_eq!(rows[0].form.text("r1-feature"), "y");
    }
}
