use super::finding::Severity;
use crate::id::FeatureId;

/// What publishing does to one feature or package, as data. A client shows it as a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// The id of the feature or package.
    pub id: String,
    /// What becomes of it.
    pub action: Action,
    /// The highest severity of its findings.
    pub severity: Severity,
    /// What differs, in the order of the file; features that are removed come last.
    pub differences: Vec<Difference>,
    /// The number of differences that are left out, since the plan has too many.
    pub omitted_differences: usize,
    /// Why it is kept although the file omits it.
    pub reason: Option<String>,
    /// The number of users with an active subscription, if the package is published and changes what
    /// it gives or is archived.
    pub active_subscribers: Option<u64>,
    /// Whether its active subscribers are to be counted.
    pub(super) touches_subscribers: bool,
}

/// The kind of thing that an [`Entry`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A feature.
    Feature,
    /// A base package.
    Package,
    /// An add-on.
    Addon,
}

/// What becomes of a feature or package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It is new.
    Create,
    /// It exists and is changed or published.
    Change,
    /// It is no longer on offer; subscribers keep it.
    Archive,
    /// It is deleted.
    Delete,
    /// It stays, although the file omits it.
    Keep,
}

/// A value that is different once the configuration is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which value.
    pub field: Field,
    /// For [`Field::Feature`], the feature within the package.
    pub feature: Option<FeatureId>,
    /// The value now; `None` if there is none.
    pub before: Option<String>,
    /// The value once it is published; `None` if there is none.
    pub after: Option<String>,
    /// How much it matters.
    pub severity: Severity,
    /// What it does to the usage of subscribers, if it does anything.
    pub note: Option<&'static str>,
}

/// A value of a feature or package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// `BINARY` or `CONSUMABLE`.
    Type,
    /// The name.
    Name,
    /// The name of one unit.
    UnitLabel,
    /// The name of several units.
    UnitLabelPlural,
    /// The thresholds, in words.
    Thresholds,
    /// The id of the feature that it draws on.
    DrawsOn,
    /// What one unit costs of what it draws on.
    Cost,
    /// `DRAFT` or `PUBLISHED`.
    Status,
    /// The base packages that an add-on goes with; none for a base package.
    BasePackages,
    /// What a package gives of a feature.
    Feature,
    /// The order of a package's features.
    Order,
}

impl Entry {
    pub(super) fn new(kind: EntryKind, id: &str, action: Action) -> Self {
        Self {
            kind,
            id: id.to_owned(),
            action,
            severity: Severity::Information,
            differences: Vec::new(),
            omitted_differences: 0,
            reason: None,
            active_subscribers: None,
            touches_subscribers: false,
        }
    }
}

impl Difference {
    pub(super) fn new(field: Field, before: Option<&str>, after: Option<&str>) -> Self {
        Self {
            field,
            feature: None,
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            severity: Severity::Information,
            note: None,
        }
    }

    /// Creates a difference of what a package gives of `feature`.
    pub(super) fn of_feature(
        feature: &FeatureId,
        before: Option<String>,
        after: Option<String>,
    ) -> Self {
        let feature = Some(feature.clone());
        Self { feature, before, after, ..Self::new(Field::Feature, None, None) }
    }

    pub(super) fn with_severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }
}

impl EntryKind {
    /// The kind of a package.
    pub(super) fn of_package(is_addon: bool) -> Self {
        if is_addon { Self::Addon } else { Self::Package }
    }
}
