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
use kana_service::{Environment, Error};

use super::read;
use crate::error::ApiError;
use crate::graphql::{Outcome, Plan};
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
    Consumption(Vec<Selected>),
    Used,
    Budget,
    OverageEnabled,
    UsedExact,
    BudgetExact,
}

/// Usage that was answered already and has a counter that does not fit an `Int`, for the resolver
/// that writes it.
pub(super) struct AnsweredAlready(pub(super) UsedFeature);

/// What was answered, in the terms that selections speak in.
#[derive(Clone, Copy)]
struct Answer {
    /// Whether it is granted, or recorded.
    yes: bool,
    reason: Option<&'static str>,
    consumption: Option<Consumption>,
}

impl Answer {
    fn entitled(access: bool, reason: Reason, consumption: Option<Consumption>) -> Self {
        Self { yes: access, reason: Some(reason.sentence()), consumption }
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
        Self { yes: recorded.recorded(), reason: recorded.reason(), consumption: None }
    }
}

impl Plan<Environment> for UsagePlan {
    type Answered = AnsweredAlready;

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

    async fn answer(
        &self,
        environment: &Environment,
        variables: Option<&str>,
    ) -> Option<Outcome<AnsweredAlready>> {
        let given = self.variables.read(variables)?;
        match &self.field {
            HotField::CanUseFeature { user_id, feature_id, delta, selected } => {
                let user = UserId::new("userId", user_id.string(&given)?).ok()?;
                let feature = FeatureId::new("featureId", feature_id.string(&given)?).ok()?;
                let delta = delta.optional_int(&given)?.unwrap_or(1).into();
                // Asking again does no harm, and so refusals are the general executor's.
                let answer = environment.can_use_feature(&user, &feature, delta).await.ok()?;
                self.write(selected, (&answer).into()).map(Outcome::Body)
            }
            HotField::RecordUsage { input, selected } => {
                let usage = input.read_event(&given)?;
                Some(match environment.record_usage(usage).await {
                    Ok(recorded) => Outcome::Body(self.write(selected, recorded.into())?),
                    Err(error) => self.failed(error),
                })
            }
            HotField::CreateUsageEvent { input } => {
                let usage = input.read_event(&given)?;
                Some(match environment.record_usage(usage).await {
                    Ok(recorded) => Outcome::Body(self.write_flag(recorded.recorded())),
                    Err(error) => self.failed(error),
                })
            }
            HotField::UseFeature { input, selected } => {
                let usage = input.read_use(&given)?;
                Some(match environment.use_feature(usage).await {
                    Ok(used) => match self.write(selected, (&used).into()) {
                        Some(data) => Outcome::Body(data),
                        None => Outcome::Unwritten(AnsweredAlready(used)),
                    },
                    Err(error) => self.failed(error),
                })
            }
        }
    }
}

impl UsagePlan {
    /// The body of an answer; `None` when a selected counter does not fit an `Int`.
    fn write(&self, selected: &[Selected], answer: Answer) -> Option<Vec<u8>> {
        let mut json = Vec::with_capacity(256);
        json.extend_from_slice(b"{\"data\":{\"");
        json.extend_from_slice(self.response_key.as_bytes());
        json.extend_from_slice(b"\":");
        write_selected(&mut json, selected, answer)?;
        json.extend_from_slice(b"}}");
        Some(json)
    }

    fn write_flag(&self, flag: bool) -> Vec<u8> {
        format!("{{\"data\":{{\"{}\":{flag}}}}}", self.response_key).into_bytes()
    }

    fn failed(&self, error: Error) -> Outcome<AnsweredAlready> {
        let error = async_graphql::Error::from(ApiError::from(error));
        let mut error = error.into_server_error(self.position);
        error.path = vec![PathSegment::Field(self.response_key.clone())];
        Outcome::Failed(ServerError { source: None, ..error })
    }
}

/// `None` when a counter does not fit an `Int`.
fn write_selected(json: &mut Vec<u8>, selected: &[Selected], answer: Answer) -> Option<()> {
    let consumption = answer.consumption;
    json.push(b'{');
    for (index, Selected { name, what }) in selected.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        json.extend_from_slice(name.as_bytes());
        match what {
            What::TypeName(name) => write_text(json, Some(name)),
            What::Access | What::Granted | What::Recorded => write_bool(json, answer.yes),
            What::Reason => write_text(json, answer.reason),
            What::Consumption(selected) => match consumption {
                Some(_) => write_selected(json, selected, answer)?,
                None => write_null(json),
            },
            // What follows is selected of a consumption, which is there then.
            What::Used => write_int(json, Some(consumption?.used))?,
            What::Budget => write_int(json, consumption?.budget)?,
            What::OverageEnabled => write_bool(json, consumption?.overage_enabled),
            What::UsedExact => write_exact(json, Some(consumption?.used)),
            What::BudgetExact => write_exact(json, consumption?.budget),
        }
    }
    json.push(b'}');
    Some(())
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

fn write_int(json: &mut Vec<u8>, value: Option<i64>) -> Option<()> {
    match value.map(i32::try_from).transpose().ok()? {
        // Writing to memory cannot fail.
        Some(value) => drop(write!(json, "{value}")),
        None => write_null(json),
    }
    Some(())
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
        let Selection::Field(Positioned { node: field, .. }) = &selection.node else {
            return None;
        };
        let what = match (of, field.name.node.as_str()) {
            (_, "__typename") => What::TypeName(of),
            ("CanUseFeatureData", "access") => What::Access,
            ("UsedFeature", "granted") => What::Granted,
            ("RecordedUsage", "recorded") => What::Recorded,
            ("CanUseFeatureData" | "UsedFeature" | "RecordedUsage", "reason") => What::Reason,
            ("CanUseFeatureData" | "UsedFeature", "consumption") => {
                What::Consumption(compile_selections(&field.selection_set.node, "Consumption")?)
            }
            ("Consumption", "used") => What::Used,
            ("Consumption", "budget") => What::Budget,
            ("Consumption", "overageEnabled") => What::OverageEnabled,
            ("Consumption", "usedExact") => What::UsedExact,
            ("Consumption", "budgetExact") => What::BudgetExact,
            _ => return None,
        };
        let name = format!("\"{}\":", field.response_key().node);
        // Fields of one name merge, and directives decide anew at each request.
        let is_plain = field.directives.is_empty()
            && field.arguments.is_empty()
            && selected.iter().all(|earlier| earlier.name != name);
        if !is_plain {
            return None;
        }
        selected.push(Selected { name, what });
    }
    Some(selected)
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
