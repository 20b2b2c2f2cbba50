//! What the columns of an imported row must be together: what no request can make is no file's either.

use kana_core::Timestamp;
use uuid::Uuid;

use super::batch::Row;
use super::kinds::Kind;
use super::value::Value;
use crate::timing_column::timing_from_text;

fn must(holds: bool, column: &str, problem: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{column} {problem}")) }
}

/// Checks the columns of a row, each of which is as it should be, against each other. The problem is a sentence
/// that names a column.
pub(super) fn check(kind: Kind, row: &Row) -> Result<(), String> {
    let columns = Columns::new(kind, row);
    match kind {
        Kind::Feature => columns.check_feature(),
        Kind::PackageFeature | Kind::PackageFeatureTerms => columns.check_allowance(),
        Kind::Subscription => columns.check_subscription(),
        Kind::Override => columns.check_override(),
        Kind::Grant => columns.check_grant(),
        Kind::Hold => columns.check_hold(),
        Kind::Event if columns.text("action") == Some("VOID") => {
            must(columns.is_given("idempotency_key"), "idempotency_key", "is needed with VOID")
        }
        _ => Ok(()),
    }
}

/// The columns of a row by their names.
pub(super) struct Columns<'a> {
    kind: Kind,
    row: &'a Row,
}

impl<'a> Columns<'a> {
    pub(super) fn new(kind: Kind, row: &'a Row) -> Self {
        Self { kind, row }
    }

    fn value(&self, name: &str) -> &Value {
        let place = self.kind.columns().iter().position(|column| column.name == name);
        place.and_then(|place| self.row.values.get(place)).unwrap_or(&Value::Null)
    }

    fn is_given(&self, name: &str) -> bool {
        *self.value(name) != Value::Null
    }

    pub(super) fn uuid(&self, name: &str) -> Option<Uuid> {
        match self.value(name) {
            Value::Uuid(uuid) => Some(*uuid),
            _ => None,
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn integer(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// Checks that ends that were set lie after the start, and that an end that holds is not after the one that
    /// was asked for.
    fn check_subscription(&self) -> Result<(), String> {
        let Ok(timing) = timing_from_text(self.text("timing")) else { return Ok(()) };
        let Some(start) = self.integer("started_at") else { return Ok(()) };
        let is_after = |at: Option<Timestamp>| at.is_none_or(|at| at.as_ms() > start);
        let are_after = is_after(timing.end) && is_after(timing.end_asked);
        must(are_after, "timing", "must not have an end before started_at")?;
        let latest = timing.end.unwrap_or(Timestamp::MAX);
        let holds = timing.end_asked.is_none_or(|asked| latest <= asked);
        must(holds, "timing", "must not have an end after the one that was asked for")
    }

    fn must_be_missing(&self, column: &str, with: &str) -> Result<(), String> {
        must(!self.is_given(column), column, &format!("must be left out with {with}"))
    }

    /// Checks that the first instant lies before the second, if both are given.
    fn must_follow(&self, first: &str, second: &str) -> Result<(), String> {
        match (self.integer(first), self.integer(second)) {
            (Some(from), Some(to)) if to <= from => Err(format!("{second} must be after {first}")),
            _ => Ok(()),
        }
    }

    fn check_anchor(&self) -> Result<(), String> {
        let holds = !self.is_given("reset_anchor") || self.is_given("reset_period");
        must(holds, "reset_anchor", "needs a reset_period")
    }

    fn check_allowance(&self) -> Result<(), String> {
        self.check_anchor()?;
        for (column, needed) in [
            ("rollover_max", "rollover_periods"),
            ("rollover_periods", "usage_limit"),
            ("rollover_periods", "reset_period"),
        ] {
            let holds = !self.is_given(column) || self.is_given(needed);
            must(holds, column, &format!("needs {needed}"))?;
        }
        Ok(())
    }

    fn check_feature(&self) -> Result<(), String> {
        if self.text("type") == Some("BINARY") {
            for column in ["thresholds", "draws_on", "cost"] {
                self.must_be_missing(column, "BINARY")?;
            }
        }
        if self.is_given("draws_on") {
            return self.must_be_missing("thresholds", "draws_on");
        }
        must(!self.is_given("cost"), "cost", "needs draws_on")
    }

    fn check_override(&self) -> Result<(), String> {
        let kind = self.text("kind").unwrap_or_default();
        if kind == "LIMIT" {
            must(self.is_given("usage_limit"), "usage_limit", "is needed with LIMIT")?;
        } else {
            self.must_be_missing("usage_limit", kind)?;
            self.must_be_missing("overage_enabled", kind)?;
        }
        if kind == "DENY" {
            self.must_be_missing("reset_period", kind)?;
        }
        self.check_anchor()?;
        self.must_follow("starts_at", "ends_at")
    }

    fn check_grant(&self) -> Result<(), String> {
        let is_more = self.integer("drawn") > self.integer("amount");
        must(!is_more, "drawn", "must be amount or less")?;
        self.must_follow("starts_at", "expires_at")
    }

    fn check_hold(&self) -> Result<(), String> {
        let draws = self.text("feature_id") != self.text("balance_id");
        must(
            draws || self.integer("cost") == Some(1),
            "cost",
            "must be 1 where feature_id is balance_id",
        )?;
        let has_ended = self.is_given("ended_at") || !self.is_given("settled");
        must(has_ended, "settled", "needs an ended_at")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is said of a row with these columns, and no others.
    fn said(kind: Kind, given: &[(&str, Value)]) -> Result<(), String> {
        let value = |name| given.iter().find(|(known, _)| *known == name);
        let values = kind
            .columns()
            .iter()
            .map(|column| value(column.name).map_or(Value::Null, |(_, value)| value.clone()));
        check(kind, &Row { environment: None, values: values.collect() })
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn what_no_request_can_make_is_refused() {
        let number = Value::Integer;
        let limit = ("kind", text("LIMIT"));
        let deny = ("kind", text("DENY"));
        let binary = ("type", text("BINARY"));
        let consumable = ("type", text("CONSUMABLE"));
        for (kind, given, problem) in [
            (Kind::Override, vec![limit.clone()], "usage_limit is needed with LIMIT"),
            (
                Kind::Override,
                vec![deny.clone(), ("usage_limit", number(1))],
                "usage_limit must be left out with DENY",
            ),
            (
                Kind::Override,
                vec![("kind", text("UNLIMITED")), ("overage_enabled", Value::Boolean(true))],
                "overage_enabled must be left out with UNLIMITED",
            ),
            (
                Kind::Override,
                vec![deny.clone(), ("reset_period", text("DAY"))],
                "reset_period must be left out with DENY",
            ),
            (
                Kind::Override,
                vec![limit, ("usage_limit", number(1)), ("reset_anchor", text("CALENDAR"))],
                "reset_anchor needs a reset_period",
            ),
            (
                Kind::Override,
                vec![deny, ("starts_at", number(5)), ("ends_at", number(5))],
                "ends_at must be after starts_at",
            ),
            (
                Kind::Grant,
                vec![("amount", number(5)), ("drawn", number(6))],
                "drawn must be amount or less",
            ),
            (
                Kind::Grant,
                vec![("starts_at", number(5)), ("expires_at", number(4))],
                "expires_at must be after starts_at",
            ),
            (
                Kind::PackageFeature,
                vec![("reset_anchor", text("CALENDAR"))],
                "reset_anchor needs a reset_period",
            ),
            (
                Kind::Feature,
                vec![binary, ("thresholds", text("[]"))],
                "thresholds must be left out with BINARY",
            ),
            (
                Kind::Feature,
                vec![consumable.clone(), ("draws_on", text("a")), ("thresholds", text("[]"))],
                "thresholds must be left out with draws_on",
            ),
            (Kind::Feature, vec![consumable, ("cost", number(2))], "cost needs draws_on"),
            (Kind::Event, vec![("action", text("VOID"))], "idempotency_key is needed with VOID"),
        ] {
            assert_eq!(said(kind, &given), Err(problem.to_owned()), "{given:?}");
        }
    }

    #[test]
    fn a_hold_costs_one_of_itself_and_is_settled_when_it_ends() {
        let number = Value::Integer;
        let own = [("feature_id", text("a")), ("balance_id", text("a"))];
        let with = |cost| [&own[..], &[("cost", number(cost))]].concat();
        let problem = "cost must be 1 where feature_id is balance_id";
        assert_eq!(said(Kind::Hold, &with(2)), Err(problem.to_owned()));
        assert_eq!(said(Kind::Hold, &with(1)), Ok(()));
        let draws = [("feature_id", text("a")), ("balance_id", text("b")), ("cost", number(2))];
        assert_eq!(said(Kind::Hold, &draws), Ok(()));
        let settled = [&draws[..], &[("settled", number(1))]].concat();
        let problem = "settled needs an ended_at";
        assert_eq!(said(Kind::Hold, &settled), Err(problem.to_owned()));
    }

    #[test]
    fn what_is_carried_needs_periods_a_limit_and_a_reset_period() {
        let number = Value::Integer;
        for (given, problem) in [
            (vec![("rollover_max", 5), ("usage_limit", 1)], "rollover_max needs rollover_periods"),
            (vec![("rollover_periods", 1)], "rollover_periods needs usage_limit"),
            (
                vec![("rollover_periods", 1), ("usage_limit", 1)],
                "rollover_periods needs reset_period",
            ),
        ] {
            let given: Vec<_> = given.into_iter().map(|(name, it)| (name, number(it))).collect();
            for kind in [Kind::PackageFeature, Kind::PackageFeatureTerms] {
                assert_eq!(said(kind, &given), Err(problem.to_owned()), "{given:?}");
            }
        }
    }

    #[test]
    fn what_a_request_can_make_is_taken() {
        let number = Value::Integer;
        for (kind, given) in [
            (Kind::Override, vec![("kind", text("LIMIT")), ("usage_limit", number(0))]),
            (Kind::Override, vec![("kind", text("UNLIMITED")), ("reset_period", text("DAY"))]),
            (Kind::Override, vec![("kind", text("DENY")), ("starts_at", number(5))]),
            (Kind::Grant, vec![("amount", number(5)), ("drawn", number(5))]),
            (Kind::Event, vec![("action", text("VOID")), ("idempotency_key", text("k"))]),
            (Kind::Event, vec![("action", text("ADD"))]),
            (Kind::Feature, vec![("type", text("CONSUMABLE")), ("draws_on", text("a"))]),
            (Kind::Feature, vec![("type", text("BINARY"))]),
        ] {
            assert_eq!(said(kind, &given), Ok(()), "{given:?}");
        }
    }
}
