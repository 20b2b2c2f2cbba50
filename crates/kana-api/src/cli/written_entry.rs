use kana_core::configuration_plan::{Action, Difference, Entry, EntryKind, Field};
use serde::Serialize;

use super::written_finding::severity_name;

/// An entry of the plan, as `/cli/validate` writes it.
#[derive(Serialize)]
pub(super) struct WrittenEntry {
    kind: &'static str,
    id: String,
    action: &'static str,
    severity: &'static str,
    differences: Vec<WrittenDifference>,
    omitted_differences: usize,
    reason: Option<String>,
    active_subscribers: Option<u64>,
}

#[derive(Serialize)]
struct WrittenDifference {
    field: &'static str,
    /// Only there for a feature within a package.
    #[serde(skip_serializing_if = "Option::is_none")]
    feature: Option<String>,
    before: Option<String>,
    after: Option<String>,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

impl From<Entry> for WrittenEntry {
    fn from(entry: Entry) -> Self {
        Self {
            kind: match entry.kind {
                EntryKind::Feature => "feature",
                EntryKind::Package => "package",
                EntryKind::Addon => "addon",
            },
            id: entry.id,
            action: match entry.action {
                Action::Create => "create",
                Action::Change => "change",
                Action::Archive => "archive",
                Action::Delete => "delete",
                Action::Keep => "keep",
            },
            severity: severity_name(entry.severity),
            differences: entry.differences.into_iter().map(WrittenDifference::from).collect(),
            omitted_differences: entry.omitted_differences,
            reason: entry.reason,
            active_subscribers: entry.active_subscribers,
        }
    }
}

impl From<Difference> for WrittenDifference {
    fn from(difference: Difference) -> Self {
        Self {
            field: match difference.field {
                Field::Type => "type",
                Field::Name => "name",
                Field::UnitLabel => "unit_label",
                Field::UnitLabelPlural => "unit_label_plural",
                Field::Thresholds => "thresholds",
                Field::DrawsOn => "draws_on",
                Field::Cost => "cost",
                Field::Status => "status",
                Field::BasePackages => "base_packages",
                Field::Feature => "feature",
                Field::Order => "order",
            },
            feature: difference.feature.map(|id| id.as_str().to_owned()),
            before: difference.before,
            after: difference.after,
            severity: severity_name(difference.severity),
            note: difference.note,
        }
    }
}
