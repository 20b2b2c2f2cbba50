//! The Admin API over HTTP: how a request is written, and what its answer should say.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{StatusCode, header};
use kana_test_model::answer::{Answer, Consumption, Refusal, Stage, Subscription, User};
use kana_test_model::client::{spelled, timestamp};
use kana_test_model::request::{Action, At, DELETED, Edit, Id, Name, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::told::Told;

const SUBSCRIPTION: &str =
    "{ id userId status startedAt endedAt quantity cancelAt trialEndsAt package { id } }";
const ENTITLEMENT: &str = "consumption { used budget overageEnabled held }";

/// Returns the document of a request with its variables; `None` if it is not sent over HTTP. The
/// hot operations have plans.
fn document(request: &Request) -> Option<(String, Value)> {
    Some(match request {
        Request::RecordUsage(usage) => {
            let mut input = json!({
                "userId": usage.user, "featureId": usage.feature, "delta": usage.delta,
                "action": match usage.action { Action::Add => "ADD", Action::Set => "SET" },
            });
            set(&mut input, "occurredAt", usage.occurred_at.map(written));
            set(&mut input, "idempotencyKey", usage.key.map(Value::from));
            let query = "mutation ($input: CreateUsageEventInput!) {
                it: recordUsage(input: $input) { recorded } }";
            (query.into(), json!({ "input": input }))
        }
        Request::UseFeature { user, feature, delta, key } => {
            let mut input = json!({ "userId": user, "featureId": feature, "delta": delta });
            set(&mut input, "idempotencyKey", key.map(Value::from));
            let query = format!(
                "mutation ($input: UseFeatureInput!) {{
                    it: useFeature(input: $input) {{ granted {ENTITLEMENT} }} }}"
            );
            (query, json!({ "input": input }))
        }
        Request::VoidUsage(key) => {
            let query =
                "mutation ($key: String!) { it: voidUsage(idempotencyKey: $key) { voided } }";
            (query.into(), json!({ "key": key }))
        }
        Request::CanUseFeature { user, feature, delta } => {
            let query = format!(
                "query ($user: String!, $feature: String!, $delta: Int) {{
                    it: canUseFeature(userId: $user, featureId: $feature, delta: $delta) {{
                        access {ENTITLEMENT} }} }}"
            );
            (query, json!({ "user": user, "feature": feature, "delta": delta }))
        }
        Request::CreateUser { user, name, email } => {
            let query = "mutation ($input: CreateUserInput!) {
                it: createUser(input: $input) { id name email } }";
            (query.into(), json!({ "input": { "id": user, "name": name, "email": email } }))
        }
        Request::UpdateUser { user, new_id, name, email } => {
            let mut input = json!({});
            set(&mut input, "id", new_id.map(Value::from));
            set(&mut input, "name", edited(*name));
            set(&mut input, "email", edited(*email));
            let query = "mutation ($id: String!, $input: UpdateUserInput!) {
                it: updateUser(id: $id, input: $input) { id name email } }";
            (query.into(), json!({ "id": user, "input": input }))
        }
        Request::DeleteUser(user) => {
            let query = "mutation ($id: String!) { it: deleteUser(id: $id) }";
            (query.into(), json!({ "id": user }))
        }
        request => return of_subscriptions(request),
    })
}

/// The same for a request that changes subscriptions.
fn of_subscriptions(request: &Request) -> Option<(String, Value)> {
    Some(match request {
        Request::Subscribe { user, packages, quantities, started_at, ahead } => {
            let query = format!(
                "mutation ($user: String!, $packages: [String!]!, $at: DateTime, $many: [Int!],
                    $from: DateTime, $days: Int, $ends: Boolean) {{
                    it: subscribe(userId: $user, packageIds: $packages, startedAt: $at,
                        quantities: $many, startsAt: $from, trialDays: $days,
                        cancelAtTrialEnd: $ends) {SUBSCRIPTION} }}"
            );
            let variables = json!({
                "user": user, "packages": packages, "many": quantities,
                "at": started_at.map(written), "from": ahead.starts_at.map(written),
                "days": ahead.trial_days, "ends": ahead.ends_with_trial,
            });
            (query, variables)
        }
        Request::ChangePackage { id, package, at, carries, quantity } => {
            let query = format!(
                "mutation ($input: ChangePackageInput!) {{
                    it: changePackage(input: $input) {SUBSCRIPTION} }}"
            );
            let input = json!({
                "subscriptionId": spelled(*id), "packageId": package, "at": at.map(written),
                "carryUsage": carries, "quantity": quantity,
            });
            (query, json!({ "input": input }))
        }
        Request::SetEnd { id, at } => {
            let query = format!(
                "mutation ($id: String!, $input: UpdateSubscriptionInput!) {{
                    it: updateSubscription(id: $id, input: $input) {SUBSCRIPTION} }}"
            );
            (query, json!({ "id": spelled(*id), "input": { "cancelAt": at.map(written) } }))
        }
        Request::UpdateSubscription { id, quantity } => {
            let query = format!(
                "mutation ($id: String!, $input: UpdateSubscriptionInput!) {{
                    it: updateSubscription(id: $id, input: $input) {SUBSCRIPTION} }}"
            );
            (query, json!({ "id": spelled(*id), "input": { "quantity": quantity } }))
        }
        Request::CancelSubscription(id) => {
            let query = format!(
                "mutation ($id: String!) {{ it: cancelSubscription(id: $id) {SUBSCRIPTION} }}"
            );
            (query, json!({ "id": spelled(*id) }))
        }
        _ => return None,
    })
}

/// Whether a request is sent over HTTP.
pub(crate) fn speaks(request: &Request) -> bool {
    let fits = |delta: i64| i32::try_from(delta).is_ok();
    let is_int = match request {
        Request::RecordUsage(usage) => fits(usage.delta),
        Request::UseFeature { delta, .. } | Request::CanUseFeature { delta, .. } => fits(*delta),
        _ => true,
    };
    is_int && document(request).is_some()
}

fn set(input: &mut Value, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        input[name] = value;
    }
}

fn edited(edit: Edit) -> Option<Value> {
    match edit {
        Edit::Keep => None,
        Edit::Clear => Some(Value::Null),
        Edit::Set(text) => Some(text.into()),
    }
}

pub(crate) fn written(at: At) -> Value {
    timestamp(at).to_string().into()
}

/// Sends a request. `plain`: in the form that a plan takes.
pub(crate) async fn send(router: Router, key: &str, request: &Request, plain: bool) -> Told {
    let Some((query, variables)) = document(request) else {
        return Told::Wrong(format!("{request:?} is not sent over HTTP"));
    };
    let mut body = json!({ "query": query, "variables": variables });
    if !plain {
        body["extensions"] = json!({});
    }
    let http = axum::http::Request::post("/graphql")
        .header(header::AUTHORIZATION, key)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = router.oneshot(http).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return Told::Wrong(format!("{}: {}", head.status, String::from_utf8_lossy(&body)));
    };
    read(head.status, head.headers.contains_key(header::RETRY_AFTER), body)
}

/// Sorts an answer by what it says of the request as a whole.
fn read(status: StatusCode, has_retry_after: bool, body: Value) -> Told {
    let error = &body["errors"][0];
    let code = error["extensions"]["code"].as_str();
    let message = error["message"].as_str().unwrap_or_default();
    match (status, code) {
        (StatusCode::SERVICE_UNAVAILABLE, Some("OVERLOADED")) if has_retry_after => {
            Told::NotDone(message.to_owned())
        }
        (StatusCode::OK, Some("INTERNAL_SERVER_ERROR")) if message.contains("not known") => {
            Told::Unknown(message.to_owned())
        }
        (StatusCode::OK, Some("INTERNAL_SERVER_ERROR")) => Told::NotDone(message.to_owned()),
        (StatusCode::OK, Some("OVERLOADED")) | (StatusCode::SERVICE_UNAVAILABLE, _) => {
            Told::Wrong(format!("{status}: {body}"))
        }
        (StatusCode::OK, _) => Told::Json(named(body)),
        _ => Told::Wrong(format!("{status}: {body}")),
    }
}

/// Calls users who were deleted what the model calls them.
fn named(mut value: Value) -> Value {
    match &mut value {
        Value::String(text) if text.starts_with("deleted-") => *text = DELETED.to_owned(),
        Value::Array(items) => items.iter_mut().for_each(|item| *item = named(item.take())),
        Value::Object(fields) => fields.values_mut().for_each(|field| *field = named(field.take())),
        _ => {}
    }
    value
}

/// Returns the ids of the subscriptions in an answer.
pub(crate) fn subscriptions_in(body: &Value) -> Vec<Id> {
    let made = &body["data"]["it"];
    let one = std::slice::from_ref(made);
    let subscriptions = made.as_array().map_or(one, Vec::as_slice);
    let id = |subscription: &Value| Uuid::parse_str(subscription["id"].as_str()?).ok();
    subscriptions.iter().filter_map(id).map(|id| Id(id.as_u128())).collect()
}

/// Whether the body says what the model answers.
pub(crate) fn says(body: &Value, request: &Request, answer: &Answer) -> bool {
    if let Answer::Refused(refusal) = answer {
        let extensions = &body["errors"][0]["extensions"];
        let (code, name) = (&extensions["code"], &extensions["exception"]["name"]);
        let nothing = body["data"].is_null() || body["data"]["it"].is_null();
        return nothing && (code.as_str(), name.as_str()) == code_and_name(refusal);
    }
    let (data, too_large) = data(request, answer);
    let errors = body["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let told = errors.iter().map(|error| error["extensions"]["code"].as_str());
    body["data"] == json!({ "it": data }) && told.eq(too_large.then_some(Some("VALUE_TOO_LARGE")))
}

/// The data of an answer, and whether it has a counter that does not fit an `Int`.
fn data(request: &Request, answer: &Answer) -> (Value, bool) {
    let mut too_large = false;
    let data = match answer {
        Answer::Recorded(recorded) => json!({ "recorded": recorded }),
        Answer::Voided(voided) => json!({ "voided": voided }),
        Answer::Entitlement(entitlement) => {
            let consumption = entitlement.consumption;
            let fits = |count: i64| i32::try_from(count).is_ok();
            too_large = consumption
                .is_some_and(|it| !fits(it.used) || it.budget.is_some_and(|it| !fits(it)));
            let consumption = consumption.filter(|_| !too_large).map(consumed);
            let name =
                if matches!(request, Request::UseFeature { .. }) { "granted" } else { "access" };
            json!({ name: entitlement.access, "consumption": consumption })
        }
        Answer::User(User { id, name, email, .. }) => {
            json!({ "id": id, "name": name, "email": email })
        }
        Answer::UserDeleted => true.into(),
        Answer::Subscription(user, one) => subscription(user, one),
        Answer::Subscriptions(made) => {
            let user = match request {
                Request::Subscribe { user, .. } => user,
                _ => "",
            };
            made.iter().map(|one| subscription(user, one)).collect()
        }
        other => json!(format!("{other:?}")),
    };
    (data, too_large)
}

fn consumed(Consumption { used, budget, overage, held }: Consumption) -> Value {
    json!({ "used": used, "budget": budget, "overageEnabled": overage, "held": held })
}

fn subscription(user: Name, one: &Subscription) -> Value {
    json!({
        "id": spelled(one.id),
        "userId": user,
        "status": status(one),
        "startedAt": written(one.started_at),
        "endedAt": one.ended_at.map(written),
        "quantity": one.quantity,
        "cancelAt": one.timing.cancel_at.map(written),
        "trialEndsAt": one.timing.trial_ends_at.map(written),
        "package": { "id": one.package },
    })
}

/// The name of a subscription's status.
pub(crate) fn status(one: &Subscription) -> &'static str {
    match one.timing.stage {
        _ if one.ended_at.is_some() => "CANCELLED",
        Stage::Active => "ACTIVE",
        Stage::Trialing => "TRIALING",
        Stage::Incomplete => "INCOMPLETE",
    }
}

/// The contract's table of errors (`admin-api.md`).
fn code_and_name(refusal: &Refusal) -> (Option<&'static str>, Option<&'static str>) {
    let (code, name) = match refusal {
        Refusal::BadValue(_) => ("BAD_USER_INPUT", "ValidationError"),
        Refusal::NoSuchUser => ("NOT_FOUND", "UserNotFoundError"),
        Refusal::NoSuchFeature => ("NOT_FOUND", "FeatureNotFoundError"),
        Refusal::NoSuchPackage => ("NOT_FOUND", "PackageNotFoundError"),
        Refusal::NoSuchSubscription => ("NOT_FOUND", "SubscriptionNotFoundError"),
        Refusal::NoSuchUsage => ("NOT_FOUND", "UsageNotFoundError"),
        Refusal::NoSuchGrant => ("NOT_FOUND", "GrantNotFoundError"),
        Refusal::NoSuchHold => ("NOT_FOUND", "HoldNotFoundError"),
        Refusal::HoldIsOver => ("CONFLICT", "ConflictError"),
        Refusal::IdTaken => ("CONFLICT", "ConflictError"),
        Refusal::IdempotencyConflict => ("IDEMPOTENCY_CONFLICT", "ConflictError"),
        Refusal::PackageIdNotFoundForApp => ("BAD_USER_INPUT", "PackageNotFoundError"),
        Refusal::NotPublished(..)
        | Refusal::MultipleTiers
        | Refusal::MissingLiveTier
        | Refusal::AddonOfOtherBase { .. }
        | Refusal::HasItAlready(_)
        | Refusal::HasEnded
        | Refusal::HasNotStarted
        | Refusal::EndsBeforeChange
        | Refusal::OtherKind => ("BAD_USER_INPUT", "SubscriptionError"),
    };
    (Some(code), Some(name))
}
