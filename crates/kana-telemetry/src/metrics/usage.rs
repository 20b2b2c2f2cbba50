//! What users may use, and what they used.

use super::format::{Kind, Page};
use super::number::Counter;
use crate::request::Environment;

/// Where a decision was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// By `canUseFeature`.
    CanUseFeature,
    /// By `canUseFeatures`, once for each feature.
    CanUseFeatures,
    /// By `useFeature`.
    UseFeature,
    /// By `createHold`.
    CreateHold,
    /// By a browser.
    Client,
}

/// The row of the access table that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A switch that is granted.
    Binary,
    /// An amount without a limit.
    Unlimited,
    /// Within the limit.
    Within,
    /// Over the limit, which is allowed.
    Overage,
    /// Over the limit, which is not allowed.
    OverLimit,
    /// Nothing grants it.
    NotGranted,
    /// An override denies it.
    Denied,
}

/// What became of usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageResult {
    /// It counts.
    Counted,
    /// It is kept, and nothing grants the feature.
    Kept,
    /// It was recorded before, under the same key.
    Replayed,
    /// A rule refused it.
    Refused,
}

const ASKED: [Asked; 5] = [
    Asked::CanUseFeature,
    Asked::CanUseFeatures,
    Asked::UseFeature,
    Asked::CreateHold,
    Asked::Client,
];
const RULES: [Rule; 7] = [
    Rule::Binary,
    Rule::Unlimited,
    Rule::Within,
    Rule::Overage,
    Rule::OverLimit,
    Rule::NotGranted,
    Rule::Denied,
];
const RECORDED: [UsageResult; 4] =
    [UsageResult::Counted, UsageResult::Kept, UsageResult::Replayed, UsageResult::Refused];
const ENVIRONMENTS: [Environment; 2] = [Environment::Test, Environment::Live];

type ByRule = [Counter; RULES.len()];

static DECISIONS: [[ByRule; Environment::ALL.len()]; ASKED.len()] =
    [const { [const { [const { Counter::new() }; RULES.len()] }; Environment::ALL.len()] };
        ASKED.len()];
static EVENTS: [[Counter; RECORDED.len()]; Environment::ALL.len()] =
    [const { [const { Counter::new() }; RECORDED.len()] }; Environment::ALL.len()];

impl Asked {
    fn name(self) -> &'static str {
        match self {
            Self::CanUseFeature => "canUseFeature",
            Self::CanUseFeatures => "canUseFeatures",
            Self::UseFeature => "useFeature",
            Self::CreateHold => "createHold",
            Self::Client => "client",
        }
    }
}

impl Rule {
    /// Returns the result and the name.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Binary => ("granted", "binary"),
            Self::Unlimited => ("granted", "unlimited"),
            Self::Within => ("granted", "within"),
            Self::Overage => ("granted", "overage"),
            Self::OverLimit => ("denied", "over_limit"),
            Self::NotGranted => ("denied", "not_granted"),
            Self::Denied => ("denied", "denied"),
        }
    }
}

impl UsageResult {
    fn name(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Kept => "kept",
            Self::Replayed => "replayed",
            Self::Refused => "refused",
        }
    }
}

/// Counts a decision.
pub fn decided(asked: Asked, environment: Environment, rule: Rule) {
    DECISIONS[asked as usize][environment as usize][rule as usize].count();
}

/// Counts usage that was sent.
pub fn recorded(environment: Environment, what: UsageResult) {
    EVENTS[environment as usize][what as usize].count();
}

pub(super) fn write(page: &mut Page) {
    let help = "Whether a user may use a feature, by the rule that decided.";
    page.family("kana_decisions_total", Kind::Counter, help);
    for asked in ASKED {
        for environment in ENVIRONMENTS {
            for rule in RULES {
                let (result, name) = rule.names();
                let labels = [
                    ("operation", asked.name()),
                    ("environment", environment.name()),
                    ("result", result),
                    ("rule", name),
                ];
                let counters = &DECISIONS[asked as usize][environment as usize];
                page.sample(&labels, counters[rule as usize].value());
            }
        }
    }
    let help = "Usage that was sent; kept means that nothing grants the feature.";
    page.family("kana_usage_events_total", Kind::Counter, help);
    for environment in ENVIRONMENTS {
        for what in RECORDED {
            let labels = [("environment", environment.name()), ("result", what.name())];
            page.sample(&labels, EVENTS[environment as usize][what as usize].value());
        }
    }
}
