//! The plans of the hot operations: `canUseFeature`, `recordUsage`, `createUsageEvent` and
//! `useFeature`, each alone in its operation, without directives and fragments.

mod variables;

use std::io::Write as _;

use async_graphql::parser::types::{
    Field, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{PathSegment, Pos, Positioned, ServerError};
use async_graphql_value::Value;
use kana_core::Timestamp;
use kana_core::entitlement::{Consumption, Entitlement, Reason};
use kana_core::id::{FeatureId, IdempotencyKey, UserId};
use kana_core::refusal::InvalidValue;
use kana_core::usage::{RecordUsage, RecordedUsage, UsageAction, UseFeature, UsedFeature};
use kana_graphql::{Outcome, Plan};
use kana_service::{Environment, Error};

use super::input::read;
use crate::counter::int;
use crate::error::ApiError;
use variables::{
    Borrowed, Given, Source, UsageEventAction, UsageEventInput, UseFeatureInput, Variables,
};

/// How one of the hot operations is answered.
pub(super) struct UsagePlan {
    variables: Variables,
    /// The name that the field has in the answer, and where it stands in the document.
    response_key: String,
    position: Pos,
    field: HotField,
}

/// The field, with where its arguments come from and what is selected of it.
enum HotField {
    CanUseFeature { user_id: Source, feature_id: Source, delta: Source, selected: Vec<Selected> },
    RecordUsage { input: InputSource, selected: Vec<Selected> },
    CreateUsageEvent { input: InputSource },
    UseFeature { input: InputSource, selected: Vec<Selected> },
}

/// Where an input object comes from.
enum InputSource {
    /// The variable at this place.
    Variable(usize),
    /// A literal.
    Literal(Literal),
}

/// An input object that stands in the document. One with metadata, or with an action or a time from
/// a variable, is left to the general executor.
struct Literal {
    user_id: Source,
    feature_id: Source,
    delta: Source,
    idempotency_key: Source,
    action: Option<UsageEventAction>,
    occurred_at: Source,
}

/// A selected field: the JSON of its name in the answer, with a colon, and what it is.
struct Selected {
    name: String,
    what: What,
}

enum What {
    TypeName(&'static str),
    Access,
    Granted,
    Recorded,
    Reason,
    ReasonCode,
    Consumption(Vec<SelectedConsumption>),
}

/// A selected field of a consumption, and its place in the document.
struct SelectedConsumption {
    name: String,
    what: WhatConsumption,
    position: Pos,
}

enum WhatConsumption {
    TypeName,
    Used,
    Budget,
    OverageEnabled,
    UsedExact,
    BudgetExact,
    Allowance,
    Carried,
    Granted,
    Held,
    Remaining,
    AllowanceExact,
    CarriedExact,
    GrantedExact,
    HeldExact,
    RemainingExact,
}

/// The operation that a request asks for.
pub(super) enum UsageRequest {
    CanUse { user: UserId, feature: FeatureId, delta: i64 },
    Record(RecordUsage),
    Use(UseFeature),
}

/// What was answered, in the terms that selections speak in.
#[derive(Clone, Copy)]
struct Answer {
    /// Whether it is granted, or recorded.
    yes: bool,
    reason: Option<&'static str>,
    reason_code: Option<&'static str>,
    consumption: Option<Consumption>,
}

impl Answer {
    fn entitled(access: bool, reason: Reason, consumption: Option<Consumption>) -> Self {
        let (reason, reason_code) = (Some(reason.sentence()), Some(reason.code()));
        Self { yes: access, reason, reason_code, consumption }
    }
}

impl From<&Entitlement> for Answer {
    fn from(entitlement: &Entitlement) -> Self {
        Self::entitled(entitlement.access, entitlement.reason, entitlement.consumption)
    }
}

impl From<&UsedFeature> for Answer {
    fn from(used: &UsedFeature) -> Self {
        Self::entitled(used.granted, used.reason, used.consumption)
    }
}

impl From<RecordedUsage> for Answer {
    fn from(recorded: RecordedUsage) -> Self {
        let (yes, reason) = (recorded.recorded(), recorded.reason());
        Self { yes, reason, reason_code: None, consumption: None }
    }
}

impl Plan<Environment> for UsagePlan {
    type Request = UsageRequest;

    fn compile(operation: &OperationDefinition) -> Option<Self> {
        let [root] = operation.selection_set.node.items.as_slice() else {
            return None;
        };
        let Selection::Field(field) = &root.node else {
            return None;
        };
        if !operation.directives.is_empty() || !field.node.directives.is_empty() {
            return None;
        }
        let variables = Variables::of(operation)?;
        Some(Self {
            field: HotField::compile(operation.ty, &field.node, &variables)?,
            response_key: field.node.response_key().node.to_string(),
            position: field.pos,
            variables,
        })
    }

    fn read(&self, variables: Option<&str>) -> Option<UsageRequest> {
        let given = self.variables.read(variables)?;
        Some(match &self.field {
            HotField::CanUseFeature { user_id, feature_id, delta, .. } => UsageRequest::CanUse {
                user: UserId::new("userId", user_id.string(&given)?).ok()?,
                feature: FeatureId::new("featureId", feature_id.string(&given)?).ok()?,
                delta: delta.optional_int(&given)?.unwrap_or(1).into(),
            },
            HotField::RecordUsage { input, .. } | HotField::CreateUsageEvent { input } => {
                UsageRequest::Record(input.read_event(&given)?)
            }
            HotField::UseFeature { input, .. } => UsageRequest::Use(input.read_use(&given)?),
        })
    }

    async fn execute(&self, environment: &Environment, request: UsageRequest) -> Outcome {
        let answer: Result<Answer, Error> = match request {
            UsageRequest::CanUse { user, feature, delta } => {
                environment.can_use_feature(&user, &feature, delta).await.map(|it| (&it).into())
            }
            UsageRequest::Record(usage) => environment.record_usage(usage).await.map(Into::into),
            UsageRequest::Use(usage) => {
                environment.use_feature(usage).await.map(|used| (&used).into())
            }
        };
        match answer {
            Ok(answer) => self.write(answer),
            Err(error) => Outcome::Failed(self.error(error, Vec::new(), self.position)),
        }
    }
}

impl UsagePlan {
    /// Writes the data, and the errors of counters that do not fit an `Int`.
    fn write(&self, answer: Answer) -> Outcome {
        let mut writing = Writing { plan: self, json: Vec::with_capacity(256), errors: Vec::new() };
        writing.json.extend_from_slice(b"{\"data\":{\"");
        writing.json.extend_from_slice(self.response_key.as_bytes());
        writing.json.extend_from_slice(b"\":");
        match &self.field {
            HotField::CreateUsageEvent { .. } => write_bool(&mut writing.json, answer.yes),
            HotField::CanUseFeature { selected, .. }
            | HotField::RecordUsage { selected, .. }
            | HotField::UseFeature { selected, .. } => writing.write_object(selected, answer),
        }
        writing.json.push(b'}');
        Outcome::Data { open_body: writing.json, errors: writing.errors }
    }

    /// Returns the error of a field at `at`, whose path below the root field is `path`.
    fn error(&self, error: impl Into<ApiError>, path: Vec<PathSegment>, at: Pos) -> ServerError {
        let error = async_graphql::Error::from(error.into()).into_server_error(at);
        let root = PathSegment::Field(self.response_key.clone());
        let path = std::iter::once(root).chain(path).collect();
        ServerError { source: None, path, ..error }
    }
}

/// An answer that is being written.
struct Writing<'a> {
    plan: &'a UsagePlan,
    json: Vec<u8>,
    errors: Vec<ServerError>,
}

impl Writing<'_> {
    fn write_object(&mut self, selected: &[Selected], answer: Answer) {
        self.json.push(b'{');
        for (index, field) in selected.iter().enumerate() {
            if index > 0 {
                self.json.push(b',');
            }
            self.json.extend_from_slice(field.name.as_bytes());
            match &field.what {
                What::TypeName(name) => write_text(&mut self.json, Some(name)),
                What::Access | What::Granted | What::Recorded => {
                    write_bool(&mut self.json, answer.yes);
                }
                What::Reason => write_text(&mut self.json, answer.reason),
                What::ReasonCode => write_text(&mut self.json, answer.reason_code),
                What::Consumption(selected) => match answer.consumption {
                    Some(consumption) => self.write_consumption(field, selected, consumption),
                    None => write_null(&mut self.json),
                },
            }
        }
        self.json.push(b'}');
    }

    /// Writes a consumption; null, with an error, if a counter does not fit an `Int`.
    fn write_consumption(
        &mut self,
        parent: &Selected,
        selected: &[SelectedConsumption],
        consumption: Consumption,
    ) {
        let start = self.json.len();
        self.json.push(b'{');
        for (index, field) in selected.iter().enumerate() {
            if index > 0 {
                self.json.push(b',');
            }
            self.json.extend_from_slice(field.name.as_bytes());
            let is_written = self.write_consumption_field(parent, field, consumption);
            if !is_written {
                // The field cannot be null, so its parent is, and the other fields are dropped.
                self.json.truncate(start);
                write_null(&mut self.json);
                return;
            }
        }
        self.json.push(b'}');
    }

    /// Writes a field of a consumption. Returns false, with an error, if it cannot be null and does not fit
    /// an `Int`.
    fn write_consumption_field(
        &mut self,
        parent: &Selected,
        field: &SelectedConsumption,
        consumption: Consumption,
    ) -> bool {
        let needed =
            |writer: &mut Self, value, exact| writer.write_needed(parent, field, (value, exact));
        let bounded =
            |writer: &mut Self, value, exact| writer.write_bounded(parent, field, (value, exact));
        match field.what {
            WhatConsumption::TypeName => write_text(&mut self.json, Some("Consumption")),
            WhatConsumption::OverageEnabled => {
                write_bool(&mut self.json, consumption.overage_enabled);
            }
            WhatConsumption::Used => return needed(self, consumption.used, "usedExact"),
            WhatConsumption::Carried => return needed(self, consumption.carried(), "carriedExact"),
            WhatConsumption::Granted => return needed(self, consumption.granted(), "grantedExact"),
            WhatConsumption::Held => return needed(self, consumption.held(), "heldExact"),
            WhatConsumption::Budget => return bounded(self, consumption.budget, "budgetExact"),
            WhatConsumption::Allowance => {
                return bounded(self, consumption.allowance(), "allowanceExact");
            }
            WhatConsumption::Remaining => {
                return bounded(self, consumption.remaining(), "remainingExact");
            }
            WhatConsumption::UsedExact => write_exact(&mut self.json, Some(consumption.used)),
            WhatConsumption::BudgetExact => write_exact(&mut self.json, consumption.budget),
            WhatConsumption::AllowanceExact => {
                write_exact(&mut self.json, consumption.allowance());
            }
            WhatConsumption::CarriedExact => {
                write_exact(&mut self.json, Some(consumption.carried()));
            }
            WhatConsumption::GrantedExact => {
                write_exact(&mut self.json, Some(consumption.granted()));
            }
            WhatConsumption::HeldExact => write_exact(&mut self.json, Some(consumption.held())),
            WhatConsumption::RemainingExact => {
                write_exact(&mut self.json, consumption.remaining());
            }
        }
        true
    }

    /// Writes a number that cannot be null. Returns false, with an error, if it does not fit an `Int`.
    fn write_needed(
        &mut self,
        parent: &Selected,
        field: &SelectedConsumption,
        (value, exact): (i64, &'static str),
    ) -> bool {
        match int(value, exact) {
            Ok(value) => write_int(&mut self.json, value),
            Err(error) => {
                self.fail(parent, field, error);
                return false;
            }
        }
        true
    }

    /// Writes a number that is null where there is no limit; also null, with an error, if it does not fit
    /// an `Int`. Returns true.
    fn write_bounded(
        &mut self,
        parent: &Selected,
        field: &SelectedConsumption,
        (value, exact): (Option<i64>, &'static str),
    ) -> bool {
        match value.map(|value| int(value, exact)) {
            Some(Ok(value)) => write_int(&mut self.json, value),
            Some(Err(error)) => {
                self.fail(parent, field, error);
                write_null(&mut self.json);
            }
            None => write_null(&mut self.json),
        }
        true
    }

    fn fail(&mut self, parent: &Selected, field: &SelectedConsumption, error: ApiError) {
        let path = [parent.name.as_str(), field.name.as_str()].map(response_key).to_vec();
        self.errors.push(self.plan.error(error, path, field.position));
    }
}

/// Returns the response key of a field from its JSON, which has quotes and a colon.
fn response_key(json: &str) -> PathSegment {
    PathSegment::Field(json.trim_matches(['"', ':']).to_owned())
}

fn write_null(json: &mut Vec<u8>) {
    json.extend_from_slice(b"null");
}

fn write_bool(json: &mut Vec<u8>, value: bool) {
    json.extend_from_slice(if value { b"true" } else { b"false" });
}

/// A sentence or a name of ours, which has nothing to escape.
fn write_text(json: &mut Vec<u8>, text: Option<&'static str>) {
    match text {
        Some(text) => {
            json.push(b'"');
            json.extend_from_slice(text.as_bytes());
            json.push(b'"');
        }
        None => write_null(json),
    }
}

fn write_int(json: &mut Vec<u8>, value: i32) {
    // Writing to memory cannot fail.
    let _ = write!(json, "{value}");
}

fn write_exact(json: &mut Vec<u8>, value: Option<i64>) {
    match value {
        Some(value) => drop(write!(json, "\"{value}\"")),
        None => write_null(json),
    }
}

impl HotField {
    fn compile(ty: OperationType, field: &Field, variables: &Variables) -> Option<Self> {
        let argument = |name: &str| field.get_argument(name).map(|value| &value.node);
        let source = |name: &str| Source::of(argument(name), variables);
        let input = || InputSource::compile(argument("input")?, variables);
        let selections = &field.selection_set.node;
        match (ty, field.name.node.as_str()) {
            (OperationType::Query, "canUseFeature") => Some(Self::CanUseFeature {
                user_id: source("userId")?,
                feature_id: source("featureId")?,
                delta: source("delta")?,
                selected: compile_selections(selections, "CanUseFeatureData")?,
            }),
            (OperationType::Mutation, "recordUsage") => Some(Self::RecordUsage {
                input: input()?,
                selected: compile_selections(selections, "RecordedUsage")?,
            }),
            (OperationType::Mutation, "createUsageEvent") => {
                Some(Self::CreateUsageEvent { input: input()? })
            }
            (OperationType::Mutation, "useFeature") => Some(Self::UseFeature {
                input: input()?,
                selected: compile_selections(selections, "UsedFeature")?,
            }),
            _ => None,
        }
    }
}

/// What is selected of a type; `None` when it is not so plain.
fn compile_selections(selections: &SelectionSet, of: &'static str) -> Option<Vec<Selected>> {
    let mut selected: Vec<Selected> = Vec::with_capacity(selections.items.len());
    for selection in &selections.items {
        let field = plain_field(&selection.node)?;
        let what = match (of, field.node.name.node.as_str()) {
            (_, "__typename") => What::TypeName(of),
            ("CanUseFeatureData", "access") => What::Access,
            ("UsedFeature", "granted") => What::Granted,
            ("RecordedUsage", "recorded") => What::Recorded,
            ("CanUseFeatureData" | "UsedFeature" | "RecordedUsage", "reason") => What::Reason,
            ("CanUseFeatureData" | "UsedFeature", "reasonCode") => What::ReasonCode,
            ("CanUseFeatureData" | "UsedFeature", "consumption") => {
                What::Consumption(compile_consumption(&field.node.selection_set.node)?)
            }
            _ => return None,
        };
        let name = json_name(&field.node);
        // Fields with the same response key would have to be merged.
        if selected.iter().any(|earlier| earlier.name == name) {
            return None;
        }
        selected.push(Selected { name, what });
    }
    Some(selected)
}

fn compile_consumption(selections: &SelectionSet) -> Option<Vec<SelectedConsumption>> {
    let mut selected: Vec<SelectedConsumption> = Vec::with_capacity(selections.items.len());
    for selection in &selections.items {
        let field = plain_field(&selection.node)?;
        let what = match field.node.name.node.as_str() {
            "__typename" => WhatConsumption::TypeName,
            "used" => WhatConsumption::Used,
            "budget" => WhatConsumption::Budget,
            "overageEnabled" => WhatConsumption::OverageEnabled,
            "usedExact" => WhatConsumption::UsedExact,
            "budgetExact" => WhatConsumption::BudgetExact,
            "allowance" => WhatConsumption::Allowance,
            "carried" => WhatConsumption::Carried,
            "granted" => WhatConsumption::Granted,
            "held" => WhatConsumption::Held,
            "remaining" => WhatConsumption::Remaining,
            "allowanceExact" => WhatConsumption::AllowanceExact,
            "carriedExact" => WhatConsumption::CarriedExact,
            "grantedExact" => WhatConsumption::GrantedExact,
            "heldExact" => WhatConsumption::HeldExact,
            "remainingExact" => WhatConsumption::RemainingExact,
            _ => return None,
        };
        let name = json_name(&field.node);
        if selected.iter().any(|earlier| earlier.name == name) {
            return None;
        }
        selected.push(SelectedConsumption { name, what, position: field.pos });
    }
    Some(selected)
}

/// Returns a field without arguments and directives, which may differ with each request's
/// variables.
fn plain_field(selection: &Selection) -> Option<&Positioned<Field>> {
    match selection {
        Selection::Field(field) => {
            Some(field).filter(|it| it.node.directives.is_empty() && it.node.arguments.is_empty())
        }
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
    }
}

fn json_name(field: &Field) -> String {
    format!("\"{}\":", field.response_key().node)
}

impl InputSource {
    fn compile(value: &Value, variables: &Variables) -> Option<Self> {
        let Value::Object(fields) = value else {
            let variable = Source::of(Some(value), variables)?.variable()?;
            return Some(Self::Variable(variable));
        };
        if fields.contains_key("metadata") {
            return None;
        }
        let source = |name: &str| Source::of(fields.get(name), variables);
        let action = match fields.get("action") {
            None | Some(Value::Null) => None,
            Some(Value::Enum(name)) if name == "ADD" => Some(UsageEventAction::Add),
            Some(Value::Enum(name)) if name == "SET" => Some(UsageEventAction::Set),
            Some(_) => return None,
        };
        Some(Self::Literal(Literal {
            user_id: source("userId")?,
            feature_id: source("featureId")?,
            delta: source("delta")?,
            idempotency_key: source("idempotencyKey")?,
            action,
            occurred_at: source("occurredAt")?,
        }))
    }

    /// The event to record; `None` where the general executor has to refuse a value.
    fn read_event(&self, given: &Given<'_>) -> Option<RecordUsage> {
        match self {
            Self::Variable(variable) => event(given.usage_event(*variable)?),
            Self::Literal(literal) => event(&UsageEventInput {
                user_id: literal.user_id.string(given)?.into(),
                feature_id: literal.feature_id.string(given)?.into(),
                delta: literal.delta.optional_int(given)?,
                action: literal.action,
                idempotency_key: literal.idempotency_key.optional_string(given)?.map(Into::into),
                occurred_at: literal.occurred_at.optional_string(given)?.map(Into::into),
            }),
        }
    }

    /// The usage to grant and record; `None` where the general executor has to refuse a value.
    fn read_use(&self, given: &Given<'_>) -> Option<UseFeature> {
        match self {
            Self::Variable(variable) => usage(given.use_feature(*variable)?),
            Self::Literal(literal) => usage(&UseFeatureInput {
                user_id: literal.user_id.string(given)?.into(),
                feature_id: literal.feature_id.string(given)?.into(),
                delta: literal.delta.optional_int(given)?,
                idempotency_key: literal.idempotency_key.optional_string(given)?.map(Into::into),
            }),
        }
    }
}

fn event(input: &UsageEventInput<'_>) -> Option<RecordUsage> {
    let time = |field, text: &Borrowed<'_>| Timestamp::parse(field, &text.0);
    Some(RecordUsage {
        user: UserId::new("userId", &input.user_id).ok()?,
        feature: FeatureId::new("featureId", &input.feature_id).ok()?,
        action: match input.action {
            None | Some(UsageEventAction::Add) => UsageAction::Add,
            Some(UsageEventAction::Set) => UsageAction::Set,
        },
        delta: input.delta.unwrap_or(1).into(),
        occurred_at: read("occurredAt", input.occurred_at.as_ref(), time).ok()?,
        idempotency_key: read("idempotencyKey", input.idempotency_key.as_ref(), key).ok()?,
        metadata: None,
    })
}

fn usage(input: &UseFeatureInput<'_>) -> Option<UseFeature> {
    Some(UseFeature {
        user: UserId::new("userId", &input.user_id).ok()?,
        feature: FeatureId::new("featureId", &input.feature_id).ok()?,
        delta: input.delta.unwrap_or(1).into(),
        idempotency_key: read("idempotencyKey", input.idempotency_key.as_ref(), key).ok()?,
    })
}

fn key(field: &'static str, text: &Borrowed<'_>) -> Result<IdempotencyKey, InvalidValue> {
    IdempotencyKey::new(field, &text.0)
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use async_graphql::parser::types::DocumentOperations;

    use super::*;

    fn has_plan(text: &str) -> bool {
        let DocumentOperations::Single(operation) = parse_query(text).unwrap().operations else {
            panic!("{text}");
        };
        UsagePlan::compile(&operation.node).is_some()
    }

    #[test]
    fn hot_operations_as_clients_write_them_have_plans() {
        for text in [
            "query ($u: String!, $f: String!) { canUseFeature(userId: $u, featureId: $f) {
                access reason consumption { used budget overageEnabled } } }",
            "{ can: canUseFeature(userId: \"1\", featureId: \"f\", delta: 2) { access } }",
            "mutation ($input: CreateUsageEventInput!) { recordUsage(input: $input) { recorded } }",
            "mutation ($input: CreateUsageEventInput!) { createUsageEvent(input: $input) }",
            "mutation ($u: String!) { createUsageEvent(input: { userId: $u, featureId: \"f\" }) }",
            "mutation ($input: UseFeatureInput!) { useFeature(input: $input) {
                granted consumption { used __typename } } }",
        ] {
            assert!(has_plan(text), "{text}");
        }
    }

    #[test]
    fn whatever_is_not_so_plain_has_none() {
        for text in [
            "{ user(id: \"1\") { id } }",
            "{ a: canUseFeature(userId: \"1\", featureId: \"f\") { access }
               b: canUseFeature(userId: \"1\", featureId: \"f\") { access } }",
            "{ canUseFeature(userId: \"1\", featureId: \"f\") { access access } }",
            "{ canUseFeature(userId: \"1\", featureId: \"f\") { access @skip(if: true) } }",
            "{ canUseFeature(userId: \"1\", featureId: \"f\") { ... { access } } }",
            "query ($t: DateTime) { canUseFeature(userId: \"1\", featureId: \"f\") { access } }",
            "mutation { recordUsage(input: { userId: \"1\", featureId: \"f\", metadata: {} }) { recorded } }",
        ] {
            assert!(!has_plan(text), "{text}");
        }
    }
}
