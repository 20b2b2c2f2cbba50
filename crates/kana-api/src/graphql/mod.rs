//! GraphQL over HTTP, as the specification of that name has it: what every GraphQL surface shares.
//! A request is read ([`request`]), its document is parsed ([`document`]) and held against the
//! limits ([`limits`]), its arguments are held against the schema ([`arguments`]), all that once
//! for a text that comes again ([`prepared`]), its variables are coerced ([`variables`]), numbers
//! that would be rounded are refused ([`exact`](crate::exact)), and only then is anything executed,
//! with a limit on its answer ([`answer`]). A hot operation whose text was seen before is answered
//! by its [`plan`] instead.

mod absent;
mod answer;
mod arguments;
mod document;
mod limits;
mod media_type;
mod merging;
mod plan;
mod prepared;
mod request;
pub(crate) mod scalars;
mod schema_types;
mod spelling;
mod text;
mod tokens;
mod validate_only;
mod variables;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_graphql::parser::types::{OperationDefinition, OperationType, Selection};
use async_graphql::{
    EmptySubscription, ObjectType, PathSegment, Pos, Schema, SchemaBuilder, ServerError,
    ValidationMode,
};
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use serde::Serialize;

use crate::body_memory::{BodyBuffer, BodyMemory};
use crate::error::Told;
pub(crate) use answer::{AnswerBudget, List, Turn, loading};
use answer::{AnswerSize, Held, to_json};
use kana_service::{Error, Unauthenticated};
use media_type::MediaType;
pub(crate) use media_type::prefers_html;
pub(crate) use plan::{NoPlan, Outcome, Plan};
use plan::{PlainRequest, Plans};
use prepared::{Prepared, PreparedDocuments};
use request::GraphqlRequest;
use schema_types::SchemaTypes;
use validate_only::ValidateOnly;

/// The most errors of one response.
const ERRORS_MAX: usize = 20;
/// The most characters of a message. Two ids and a sentence fit.
const MESSAGE_CHARS_MAX: usize = 1000;
/// The `data` of an answer without any.
const NULL: async_graphql::Value = async_graphql::Value::Null;
/// The `Retry-After` of a 503, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// A schema, ready to answer requests.
pub(crate) struct Endpoint<Query, Mutation, P> {
    /// Validates, and does not execute.
    validating: Schema<Query, Mutation, EmptySubscription>,
    /// Executes what was validated.
    trusting: Schema<Query, Mutation, EmptySubscription>,
    types: SchemaTypes,
    documents: PreparedDocuments<P>,
    plans: Plans<P>,
    body_memory: Arc<BodyMemory>,
    answers: Arc<AnswerBudget>,
}

/// A response body. Errors without data are those of a request that was never executed.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a async_graphql::Value>,
    #[serde(skip_serializing_if = "<[ServerError]>::is_empty")]
    errors: &'a [ServerError],
}

/// A request that was refused before it was executed, with the status that it has where the media
/// type gives statuses a meaning, and with the one that it has as `application/json`.
struct NotExecuted {
    status: StatusCode,
    status_as_json: StatusCode,
    errors: Vec<ServerError>,
}

impl NotExecuted {
    /// Malformed as HTTP or JSON: an error status in both media types.
    fn malformed(status: StatusCode, told: &Told) -> Self {
        Self { status, status_as_json: status, errors: vec![server_error(told)] }
    }

    /// The key of the request was refused or could not be checked. As `application/json` such an
    /// answer has status 200, except for an overload, which has 503 for every media type.
    fn unauthorised(error: &Error) -> Self {
        let told = Told::from(error);
        let status = match error {
            Error::Overloaded | Error::ShuttingDown | Error::Unavailable(_) => {
                return Self::malformed(StatusCode::SERVICE_UNAVAILABLE, &told);
            }
            Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Error::Refused(_) => StatusCode::BAD_REQUEST,
            Error::OutcomeUnknown(_) | Error::Store(_) | Error::Bug(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::invalid(status, vec![server_error(&told)])
    }

    /// Well-formed, but not valid: `application/json` answers such a request with 200.
    fn invalid(status: StatusCode, errors: Vec<ServerError>) -> Self {
        Self { status, status_as_json: StatusCode::OK, errors }
    }
}

impl<Query, Mutation, P> Endpoint<Query, Mutation, P>
where
    Query: ObjectType + 'static,
    Mutation: ObjectType + 'static,
{
    pub(crate) fn new(
        builder: impl Fn() -> SchemaBuilder<Query, Mutation, EmptySubscription>,
        body_memory: &Arc<BodyMemory>,
        answers: &Arc<AnswerBudget>,
    ) -> Self {
        // The library's own limits stay off: ours are held before it validates anything.
        let validating = builder().extension(ValidateOnly).finish();
        let trusting = builder().validation_mode(ValidationMode::Fast).finish();
        let types = SchemaTypes::of_schema(&validating.sdl());
        let documents = PreparedDocuments::new();
        let (body_memory, answers) = (Arc::clone(body_memory), Arc::clone(answers));
        Self { validating, trusting, types, documents, plans: Plans::new(), body_memory, answers }
    }

    /// Answers one HTTP request. `authorise` finds what the resolvers may work on, from the
    /// headers and from nothing else.
    pub(crate) async fn respond<Authorised: Any + Send + Sync>(
        &self,
        http: Request,
        authorise: impl AsyncFnOnce(&HeaderMap) -> Result<Authorised, Error>,
    ) -> Response
    where
        P: Plan<Authorised>,
    {
        let (head, body) = http.into_parts();
        let Some(media_type) = MediaType::accepted(&head.headers) else {
            let message = "This endpoint answers application/json and \
                           application/graphql-response+json: the Accept header allows neither";
            let refusal =
                NotExecuted::malformed(StatusCode::NOT_ACCEPTABLE, &Told::bad_request(message));
            return refuse(MediaType::Json, &refusal);
        };
        let mut buffer = BodyBuffer::new(&self.body_memory);
        let answer = self.answer(&head, body, &mut buffer, authorise);
        let answered = AssertUnwindSafe(answer).catch_unwind().await;
        match answered {
            Ok(Ok(Answered::Body(body))) => write_bytes(media_type, StatusCode::OK, body),
            Ok(Ok(Answered::Response(executed))) => write_response(media_type, &executed),
            Ok(Err(refusal)) => refuse(media_type, &refusal),
            Err(_panic) => {
                let told = Told::internal(&"a resolver panicked");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                refuse(media_type, &NotExecuted::malformed(status, &told))
            }
        }
    }

    async fn answer<Authorised: Any + Send + Sync>(
        &self,
        head: &Parts,
        body: axum::body::Body,
        buffer: &mut BodyBuffer,
        authorise: impl AsyncFnOnce(&HeaderMap) -> Result<Authorised, Error>,
    ) -> Result<Answered, NotExecuted>
    where
        P: Plan<Authorised>,
    {
        let authorised =
            authorise(&head.headers).await.map_err(|error| NotExecuted::unauthorised(&error))?;
        // HEAD is GET without the body of the answer.
        let by_get = matches!(head.method, Method::GET | Method::HEAD);
        // Read only once the key is valid, since a body takes memory.
        let body = if by_get { Ok(Bytes::new()) } else { request::read_body(body, buffer).await };
        let text = body.as_ref().ok().filter(|_| !by_get).cloned();
        let plain = text.as_ref().and_then(|text| PlainRequest::read(text));
        if let Some(plain) = &plain
            && let Some(plan) = self.plans.get(plain.key())
            && request::check_content_type(&head.headers).is_ok()
            && let Some(planned) = plan.read(plain.variables())
        {
            // The plan takes effect, so nothing else may answer from here on.
            return Ok(Answered::by_plan(plan.execute(&authorised, planned).await));
        }
        let request = GraphqlRequest::read(head, body, by_get)?;
        self.execute(request, by_get, authorised, plain.as_ref()).await
    }

    /// Answers with the general executor. From then on, bodies like this one lead to the
    /// operation's plan.
    async fn execute<Authorised: Any + Send + Sync>(
        &self,
        request: GraphqlRequest,
        by_get: bool,
        authorised: Authorised,
        plain: Option<&PlainRequest<'_>>,
    ) -> Result<Answered, NotExecuted>
    where
        P: Plan<Authorised>,
    {
        let invalid = |error| NotExecuted::invalid(StatusCode::BAD_REQUEST, vec![error]);
        let prepared = self
            .documents
            .prepare(&self.types, request.query, request.operation_name)
            .map_err(invalid)?;
        let operation = prepared.operation().map_err(invalid)?;
        if by_get && operation.node.ty != OperationType::Query {
            let told = Told::bad_request("A mutation must be sent with POST");
            return Err(NotExecuted::malformed(StatusCode::METHOD_NOT_ALLOWED, &told));
        }
        let variables = variables::coerce(&self.types, operation, request.variables)
            .map_err(|errors| NotExecuted::invalid(StatusCode::BAD_REQUEST, errors))?;
        if let Some(problem) = request.variables_text.problem(&variables) {
            let path = request.variables_text.path(&problem);
            return Err(invalid(variables::refuse_inexact(operation, &variables, &problem, path)));
        }

        if prepared.validated().is_none() {
            self.validate(&prepared).await?;
            prepared.set_validated(P::compile(&operation.node));
        }
        if let (Some(plain), Some(Some(plan))) = (plain, prepared.validated()) {
            self.plans.remember(plain.key(), plan);
        }
        let lists = prepared.lists();
        let is_mutation = operation.node.ty == OperationType::Mutation;
        let size = lists.any.then(|| AnswerSize::new(&self.answers, is_mutation));
        if let Some(size) = &size {
            size.admit().await.map_err(|_| {
                let told = Told::from(&Error::Overloaded);
                NotExecuted::malformed(StatusCode::SERVICE_UNAVAILABLE, &told)
            })?;
        }
        let mut document = prepared.parsed().clone();
        if lists.must_be_merged {
            let name = prepared.operation_name().map(String::as_str);
            answer::merge(&mut document, &operation.node, name, &variables);
        }
        absent::leave_out(&mut document, &absent::not_given(&operation.node, &variables));
        let mut execution = async_graphql::Request::new(String::new())
            .variables(async_graphql::Variables::from_json(variables.into()))
            .data(authorised);
        execution.operation_name = prepared.operation_name().cloned();
        execution.set_parsed_query(document);
        let mut response = match &size {
            Some(size) => {
                let execution = execution.data(Arc::clone(size));
                size.watch(self.trusting.execute(execution)).await
            }
            None => self.trusting.execute(execution).await,
        };
        finish_errors(&mut response.errors);
        let can_be_repeated = can_be_repeated(&operation.node, &response.errors);
        Ok(Answered::Response(Box::new(Executed { response, size, can_be_repeated })))
    }

    /// Has the library validate a document: what it finds does not depend on variables.
    async fn validate(&self, prepared: &Prepared<P>) -> Result<(), NotExecuted> {
        let mut validation = async_graphql::Request::new(String::new());
        validation.operation_name = prepared.operation_name().cloned();
        validation.set_parsed_query(prepared.parsed().clone());
        let mut errors = self.validating.execute(validation).await.errors;
        if errors.is_empty() {
            return Ok(());
        }
        // The library goes through operations, fragments and variables in no order.
        errors.sort_by(|a, b| (&a.locations, &a.message).cmp(&(&b.locations, &b.message)));
        finish_errors(&mut errors);
        Err(NotExecuted::invalid(StatusCode::BAD_REQUEST, errors))
    }
}

/// What became of a request that is not refused as a whole.
enum Answered {
    /// The whole response body, which has data and no errors.
    Body(Vec<u8>),
    /// The response of the general executor, or the failure of a plan.
    Response(Box<Executed>),
}

/// A response that is not written yet.
struct Executed {
    response: async_graphql::Response,
    /// The size of the answer, if it has lists.
    size: Option<Arc<AnswerSize>>,
    /// Whether the client may repeat the whole request if the response has no data.
    can_be_repeated: bool,
}

impl Answered {
    fn by_plan(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Data { open_body: mut body, mut errors } => {
                if !errors.is_empty() {
                    finish_errors(&mut errors);
                    body.extend_from_slice(b",\"errors\":");
                    // Writing to memory does not fail, and errors have no keys but strings.
                    let _ = serde_json::to_writer(&mut body, &errors);
                }
                body.push(b'}');
                Self::Body(body)
            }
            Outcome::Failed(error) => {
                let mut errors = vec![error];
                finish_errors(&mut errors);
                let response = async_graphql::Response::from_errors(errors);
                let executed = Executed { response, size: None, can_be_repeated: true };
                Self::Response(Box::new(executed))
            }
        }
    }
}

/// Returns true if the client may repeat the whole request if the response has no data. The root
/// fields of a mutation are executed in order up to the first that fails. So nothing took effect if
/// the first root field failed, and the error is its own and not that of a field below it.
fn can_be_repeated(operation: &OperationDefinition, errors: &[ServerError]) -> bool {
    if operation.ty == OperationType::Query {
        return true;
    }
    let Some(Selection::Field(first)) =
        operation.selection_set.node.items.first().map(|item| &item.node)
    else {
        return false;
    };
    let first = first.node.response_key().node.as_str();
    errors
        .iter()
        .all(|error| matches!(error.path.as_slice(), [PathSegment::Field(field)] if field == first))
}

/// The key or token in the `Authorization` header; `missing` where there is none. `Bearer ` before it
/// is allowed and not needed.
pub(crate) fn presented(
    headers: &HeaderMap,
    missing: Unauthenticated,
) -> Result<&str, Unauthenticated> {
    let header = headers.get(header::AUTHORIZATION).map(HeaderValue::to_str).transpose();
    let presented = header.map_err(|_| Unauthenticated::Unknown)?.map_or("", without_bearer);
    if presented.is_empty() { Err(missing) } else { Ok(presented) }
}

fn without_bearer(header: &str) -> &str {
    let header = header.trim();
    match header.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim_start(),
        _ if header.eq_ignore_ascii_case("bearer") => "",
        _ => header,
    }
}

/// Leaves as many errors as anyone will read, each with a code.
fn finish_errors(errors: &mut Vec<ServerError>) {
    // The library says some things twice.
    errors.dedup();
    errors.truncate(ERRORS_MAX);
    errors.iter_mut().for_each(name_if_unnamed);
}

/// What the library itself finds wrong has no code yet.
fn name_if_unnamed(error: &mut ServerError) {
    let has_code =
        error.extensions.as_ref().is_some_and(|extensions| extensions.get("code").is_some());
    if !has_code {
        shorten(&mut error.message);
        error.extensions = Some(invalid_graphql(&error.message).extensions());
    }
}

/// Valid JSON, but not valid GraphQL for this schema.
fn invalid_graphql(message: &str) -> Told {
    Told { code: "GRAPHQL_VALIDATION_FAILED", name: "GraphQLError", message: message.to_owned() }
}

/// Refuses a document or its variables, with the place in the text where there is one.
fn refusal(message: &str, at: Option<Pos>) -> ServerError {
    let mut error = server_error(&invalid_graphql(message));
    error.locations.extend(at);
    error
}

/// Cuts a message that repeats what was sent, which may be long.
fn shorten(message: &mut String) {
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
        message.truncate(end);
        message.push('…');
    }
}

fn server_error(told: &Told) -> ServerError {
    let mut message = told.message.clone();
    shorten(&mut message);
    let told = Told { message: message.clone(), ..*told };
    let mut error = ServerError::new(message, None);
    error.extensions = Some(told.extensions());
    error
}

fn refuse(media_type: MediaType, refusal: &NotExecuted) -> Response {
    let status = match media_type {
        MediaType::Json => refusal.status_as_json,
        MediaType::GraphqlResponse => refusal.status,
    };
    let mut response = write(media_type, status, &Body { data: None, errors: &refusal.errors });
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

/// An answer of the general executor.
fn write_response(media_type: MediaType, executed: &Executed) -> Response {
    let Executed { response, size, can_be_repeated } = executed;
    let executed = response.data != async_graphql::Value::Null
        || response.errors.iter().any(|error| !error.path.is_empty());
    if executed {
        let body = Body { data: Some(&response.data), errors: &response.errors };
        let failed = *can_be_repeated && has_nothing(&response.data);
        if failed && response.errors.iter().any(is_overload) {
            // Whatever stands between us and the caller knows this status, and so do clients that
            // repeat by themselves. It is the one error that has a status as application/json.
            let mut response = write(media_type, StatusCode::SERVICE_UNAVAILABLE, &body);
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
            return response;
        }
        match size {
            Some(size) => write_sized(media_type, &body, size),
            None => write(media_type, StatusCode::OK, &body),
        }
    } else {
        let errors = response.errors.clone();
        refuse(media_type, &NotExecuted::invalid(StatusCode::BAD_REQUEST, errors))
    }
}

/// Returns true if no field has data.
fn has_nothing(data: &async_graphql::Value) -> bool {
    match data {
        async_graphql::Value::Null => true,
        async_graphql::Value::Object(fields) => {
            fields.values().all(|value| *value == async_graphql::Value::Null)
        }
        _ => false,
    }
}

fn is_overload(error: &ServerError) -> bool {
    let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
    code.is_some_and(|code| *code == async_graphql::Value::from("OVERLOADED"))
}

fn write_bytes(media_type: MediaType, status: StatusCode, body: impl IntoResponse) -> Response {
    // The Accept header has chosen the media type.
    let headers = [(header::CONTENT_TYPE, media_type.name()), (header::VARY, "Accept")];
    (status, headers, body).into_response()
}

fn write(media_type: MediaType, status: StatusCode, body: &Body<'_>) -> Response {
    let mut json = Vec::with_capacity(128);
    match to_json(&mut json, body) {
        Ok(()) => write_bytes(media_type, status, json),
        Err(error) => unwritten(&error),
    }
}

/// Writes an answer with lists, which may be large.
fn write_sized(media_type: MediaType, body: &Body<'_>, size: &AnswerSize) -> Response {
    let mut json = Vec::with_capacity(size.bytes_at_least());
    if let Err(error) = to_json(&mut json, body) {
        return unwritten(&error);
    }
    if let Err(told) = size.check_whole(&json) {
        drop(json);
        let errors = [server_error(&told)];
        return write(media_type, StatusCode::OK, &Body { data: Some(&NULL), errors: &errors });
    }
    match size.take_permits() {
        Some(permits) => {
            let json = Bytes::from_owner(Held::new(json, permits));
            write_bytes(media_type, StatusCode::OK, json)
        }
        None => write_bytes(media_type, StatusCode::OK, json),
    }
}

fn unwritten(error: &serde_json::Error) -> Response {
    let told = Told::internal(error);
    (StatusCode::INTERNAL_SERVER_ERROR, told.message).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_graphql::extensions::{
        Extension, ExtensionContext, ExtensionFactory, NextValidation,
    };
    use async_graphql::{EmptyMutation, Object, ValidationResult};
    use async_trait::async_trait;
    use axum::body::Body;

    use super::*;

    struct Query;

    #[Object]
    impl Query {
        async fn a(&self) -> i32 {
            1
        }
    }

    /// Counts how often the library validates by all of its rules.
    #[derive(Clone, Default)]
    struct Validations(Arc<AtomicUsize>);

    impl ExtensionFactory for Validations {
        fn create(&self) -> Arc<dyn Extension> {
            Arc::new(self.clone())
        }
    }

    #[async_trait]
    impl Extension for Validations {
        async fn validation(
            &self,
            context: &ExtensionContext<'_>,
            next: NextValidation<'_>,
        ) -> Result<ValidationResult, Vec<ServerError>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            next.run(context).await
        }
    }

    #[tokio::test]
    async fn a_text_that_comes_again_is_validated_once() {
        let validations = Validations::default();
        let (memory, answers) = (BodyMemory::new(1024), AnswerBudget::new());
        let mut endpoint: Endpoint<_, _, NoPlan> = Endpoint::new(
            || Schema::build(Query, EmptyMutation, EmptySubscription),
            &memory,
            &answers,
        );
        endpoint.validating = Schema::build(Query, EmptyMutation, EmptySubscription)
            .extension(validations.clone())
            .extension(ValidateOnly)
            .finish();
        for _ in 0..3 {
            let request = Request::post("/")
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(r#"{"query": "{ a }"}"#))
                .unwrap();
            let response = endpoint.respond(request, async |_| Ok(())).await;
            let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
            assert_eq!(body, r#"{"data":{"a":1}}"#);
        }
        assert_eq!(validations.0.load(Ordering::SeqCst), 1);
    }

    struct CountingMutation(Arc<AtomicUsize>);

    #[Object]
    impl CountingMutation {
        async fn record(&self) -> bool {
            self.0.fetch_add(1, Ordering::SeqCst);
            true
        }
    }

    /// A plan that takes effect but fails to write its answer.
    struct WithoutWords;

    impl Plan<Arc<AtomicUsize>> for WithoutWords {
        type Request = ();

        fn compile(_: &OperationDefinition) -> Option<Self> {
            Some(Self)
        }

        fn read(&self, _: Option<&str>) -> Option<()> {
            Some(())
        }

        async fn execute(&self, recorded: &Arc<AtomicUsize>, (): ()) -> Outcome {
            recorded.fetch_add(1, Ordering::SeqCst);
            Outcome::Failed(server_error(&Told::internal(&"no words")))
        }
    }

    #[tokio::test]
    async fn a_plan_that_cannot_write_what_it_recorded_does_not_have_it_recorded_again() {
        let recorded = Arc::new(AtomicUsize::new(0));
        let schema = || {
            let mutation = CountingMutation(Arc::clone(&recorded));
            Schema::build(Query, mutation, EmptySubscription)
        };
        let (memory, answers) = (BodyMemory::new(1024), AnswerBudget::new());
        let endpoint: Endpoint<_, _, WithoutWords> = Endpoint::new(schema, &memory, &answers);
        // The first request is not answered by the plan.
        for times in 1..4 {
            let request = Request::post("/")
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(r#"{"query": "mutation { record }"}"#))
                .unwrap();
            let response = endpoint.respond(request, async |_| Ok(Arc::clone(&recorded))).await;
            let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert_eq!(body == r#"{"data":{"record":true}}"#, times == 1, "{body}");
            assert_eq!(recorded.load(Ordering::SeqCst), times);
        }
    }
}
