//! An endpoint: a schema that answers HTTP requests.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use async_graphql::parser::types::{OperationDefinition, OperationType};
use async_graphql::{
    EmptySubscription, ObjectType, Positioned, Schema, SchemaBuilder, ValidationMode,
};
use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use futures_util::FutureExt;
use kana_telemetry::spans;
use serde_json::{Map, Value};

use crate::answer::{self, AnswerBudget, AnswerSize};
use crate::error::{ErrorBody, Overloaded, RequestError, finish_errors};
use crate::media_type::MediaType;
use crate::plan::{PlainRequest, Plan, Plans};
use crate::prepared::{Planned, Prepared, PreparedDocuments, kind_of};
use crate::request::{self, GraphqlRequest};
use crate::response::{Answered, Executed, can_be_repeated, refuse, write_answer};
use crate::scalars::Scalars;
use crate::schema::ApiSchema;
use crate::{absent, noted, variables};

/// A schema, ready to answer requests.
pub struct Endpoint<Query, Mutation, P, S: Scalars = ()> {
    executor: Schema<Query, Mutation, EmptySubscription>,
    schema: ApiSchema<S>,
    documents: PreparedDocuments<P>,
    plans: Plans<Planned<P>>,
    answers: Arc<AnswerBudget>,
}

impl<Query, Mutation, P, S: Scalars> Endpoint<Query, Mutation, P, S>
where
    Query: ObjectType + 'static,
    Mutation: ObjectType + 'static,
{
    /// Creates an endpoint. `answers` is the budget that its large answers share with those of
    /// other endpoints.
    pub fn new(
        schema: SchemaBuilder<Query, Mutation, EmptySubscription>,
        answers: &Arc<AnswerBudget>,
    ) -> Self {
        // Documents are limited and validated before the executor sees them.
        let executor = schema.validation_mode(ValidationMode::Fast).finish();
        let schema: ApiSchema<S> = ApiSchema::of_sdl(executor.sdl());
        noted::know(schema.types.root_fields());
        let (documents, plans) = (PreparedDocuments::new(), Plans::new());
        Self { executor, schema, documents, plans, answers: Arc::clone(answers) }
    }

    /// Answers the HTTP request with this head.
    ///
    /// `authorise` finds what the resolvers may work on, from the headers alone. Only then does
    /// `read_body` read the whole body, since a body takes memory.
    pub async fn respond<Authorised: Any + Send + Sync>(
        &self,
        head: Parts,
        authorise: impl AsyncFnOnce(&HeaderMap) -> Result<Authorised, RequestError>,
        read_body: impl AsyncFnOnce() -> Result<Bytes, RequestError>,
    ) -> Response
    where
        P: Plan<Authorised>,
    {
        let Some(media_type) = MediaType::accepted(&head.headers) else {
            let message = "This endpoint answers application/json and \
                           application/graphql-response+json: the Accept header allows neither";
            let body = ErrorBody::bad_request(message);
            let refusal = RequestError::malformed(StatusCode::NOT_ACCEPTABLE, &body);
            return refuse(MediaType::Json, &refusal);
        };
        let answer = self.answer(&head, authorise, read_body);
        let answered = AssertUnwindSafe(answer).catch_unwind().await;
        match answered {
            Ok(Ok(answered)) => write_answer(media_type, answered),
            Ok(Err(refusal)) => refuse(media_type, &refusal),
            Err(_panic) => {
                let body = ErrorBody::internal(&"a resolver panicked");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                refuse(media_type, &RequestError::malformed(status, &body))
            }
        }
    }

    async fn answer<Authorised: Any + Send + Sync>(
        &self,
        head: &Parts,
        authorise: impl AsyncFnOnce(&HeaderMap) -> Result<Authorised, RequestError>,
        read_body: impl AsyncFnOnce() -> Result<Bytes, RequestError>,
    ) -> Result<Answered, RequestError>
    where
        P: Plan<Authorised>,
    {
        let authorised = authorise(&head.headers).await?;
        // HEAD is GET without the body of the answer.
        let by_get = matches!(head.method, Method::GET | Method::HEAD);
        let body = if by_get { Ok(Bytes::new()) } else { read_body().await };
        let text = body.as_ref().ok().filter(|_| !by_get).cloned();
        let plain = text.as_ref().and_then(|text| PlainRequest::read(text));
        if let Some(plain) = &plain
            && let Some(planned) = self.plans.get(plain.key())
            && request::check_content_type(&head.headers).is_ok()
            && let Some(read) = planned.plan.read(plain.variables())
        {
            // The plan takes effect, so nothing else may answer from here on.
            let _span = spans::begin_operation(planned.kind);
            let since = Instant::now();
            let outcome = planned.plan.execute(&authorised, read).await;
            return Ok(Answered::by_plan(outcome, planned.operation, since.elapsed()));
        }
        let request = GraphqlRequest::read(head, body, by_get)?;
        // In a place of its own: it is much larger than all else, and what a plan answers has no room for it.
        Box::pin(self.execute(request, by_get, authorised, plain.as_ref())).await
    }

    /// Answers with the general executor. From then on, bodies like this one lead to the
    /// operation's plan.
    async fn execute<Authorised: Any + Send + Sync>(
        &self,
        request: GraphqlRequest,
        by_get: bool,
        authorised: Authorised,
        plain: Option<&PlainRequest<'_>>,
    ) -> Result<Answered, RequestError>
    where
        P: Plan<Authorised>,
    {
        let invalid = |error| RequestError::invalid(StatusCode::BAD_REQUEST, vec![error]);
        let prepared = self
            .documents
            .prepare(&self.schema, request.query, request.operation_name, P::compile)
            .map_err(|errors| RequestError::invalid(StatusCode::BAD_REQUEST, errors))?;
        let operation = prepared.operation().map_err(invalid)?;
        if by_get && operation.node.ty != OperationType::Query {
            let body = ErrorBody::bad_request("A mutation must be sent with POST");
            return Err(RequestError::malformed(StatusCode::METHOD_NOT_ALLOWED, &body));
        }
        let mut variables = variables::coerce(&self.schema.types, operation, request.variables)
            .map_err(|errors| RequestError::invalid(StatusCode::BAD_REQUEST, errors))?;
        if let Some(problem) = request.variables_text.problem(&variables) {
            let path = request.variables_text.path(&problem);
            return Err(invalid(variables::refuse_inexact(operation, &variables, &problem, path)));
        }

        variables::add_defaults(&operation.node, &mut variables);
        if let (Some(plain), Some(plan)) = (plain, prepared.plan()) {
            self.plans.remember(plain.key(), plan);
        }
        self.run(&prepared, operation, variables, authorised).await
    }

    /// Runs a valid operation with coerced variables.
    async fn run<Authorised: Any + Send + Sync>(
        &self,
        prepared: &Prepared<P>,
        operation: &Positioned<OperationDefinition>,
        variables: Map<String, Value>,
        authorised: Authorised,
    ) -> Result<Answered, RequestError> {
        let lists = prepared.lists();
        let is_mutation = operation.node.ty == OperationType::Mutation;
        let size = lists.any.then(|| AnswerSize::new(&self.answers, is_mutation));
        if let Some(size) = &size {
            size.admit().await.map_err(|_| {
                RequestError::malformed(StatusCode::SERVICE_UNAVAILABLE, &Overloaded.into())
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
        let _span = spans::begin_operation(kind_of(&operation.node));
        let since = Instant::now();
        let mut response = match &size {
            Some(size) => {
                let execution = execution.data(Arc::clone(size));
                size.watch(self.executor.execute(execution)).await
            }
            None => self.executor.execute(execution).await,
        };
        finish_errors(&mut response.errors);
        prepared.root_fields().note(&response.errors, since);
        let can_be_repeated = can_be_repeated(&operation.node, &response.errors);
        Ok(Answered::Response(Box::new(Executed { response, size, can_be_repeated })))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_graphql::Object;
    use axum::http::header;
    use kana_telemetry::RequestId;
    use kana_telemetry::operation::Operation;
    use kana_telemetry::request::RequestRecord;

    use super::*;
    use crate::error::server_error;
    use crate::plan::Outcome;

    fn head() -> Parts {
        let head = axum::http::Request::post("/").header(header::CONTENT_TYPE, "application/json");
        head.body(()).unwrap().into_parts().0
    }

    async fn body_of(response: Response) -> String {
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    struct Query;

    #[Object]
    impl Query {
        async fn a(&self) -> i32 {
            1
        }
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
            Outcome::Failed(server_error(&ErrorBody::internal(&"no words")))
        }
    }

    #[tokio::test]
    async fn a_plan_that_cannot_write_what_it_recorded_does_not_have_it_recorded_again() {
        let recorded = Arc::new(AtomicUsize::new(0));
        let mutation = CountingMutation(Arc::clone(&recorded));
        let schema = Schema::build(Query, mutation, EmptySubscription);
        let endpoint: Endpoint<_, _, WithoutWords> = Endpoint::new(schema, &AnswerBudget::new());
        // The first request is not answered by the plan.
        for times in 1..4 {
            let body = async || Ok(Bytes::from_static(br#"{"query": "mutation { record }"}"#));
            let authorise = async |_: &HeaderMap| Ok(Arc::clone(&recorded));
            let body = body_of(endpoint.respond(head(), authorise, body).await).await;
            assert_eq!(body == r#"{"data":{"record":true}}"#, times == 1, "{body}");
            assert_eq!(recorded.load(Ordering::SeqCst), times);
        }
    }

    struct Failing;

    #[Object]
    impl Failing {
        async fn fail(&self) -> i32 {
            std::hint::black_box(None::<i32>).expect("a secret cause")
        }
    }

    #[tokio::test]
    async fn an_internal_error_names_the_request_and_not_its_cause() {
        let schema = Schema::build(Failing, async_graphql::EmptyMutation, EmptySubscription);
        let endpoint: Endpoint<_, _, crate::NoPlan> = Endpoint::new(schema, &AnswerBudget::new());
        let body = async || Ok(Bytes::from_static(br#"{"query": "{ fail }"}"#));
        let id = RequestId::of_caller(b"of-the-caller").unwrap();
        let answer = endpoint.respond(head(), async |_: &HeaderMap| Ok(()), body);
        let (response, record) = RequestRecord::new(id, None).scope(answer).await;
        let body = body_of(response).await;
        assert!(
            body.contains("It is logged as of-the-caller.") && !body.contains("cause"),
            "{body}"
        );
        let record = record.unwrap();
        assert_eq!(record.code(), Some("INTERNAL_SERVER_ERROR"));
        assert_eq!(record.outcome(), Some(kana_telemetry::request::Outcome::Error));
    }

    #[tokio::test]
    async fn what_became_of_each_root_field_is_noted() {
        let schema = Schema::build(Query, async_graphql::EmptyMutation, EmptySubscription);
        let endpoint: Endpoint<_, _, crate::NoPlan> = Endpoint::new(schema, &AnswerBudget::new());
        let ask = async |text: &'static str| {
            let body = async || Ok(Bytes::from_static(text.as_bytes()));
            let answer = endpoint.respond(head(), async |_: &HeaderMap| Ok(()), body);
            RequestRecord::new(RequestId::new(), None).scope(answer).await.1.unwrap()
        };
        let record = ask(r#"{"query": "{ a b: a }"}"#).await;
        let names: Vec<_> = record.operations().map(Operation::name).collect();
        assert_eq!((names.as_slice(), record.code()), (&["a", "a"][..], None));
        let refused = ask(r#"{"query": "{ nothing }"}"#).await;
        assert_eq!(refused.operations().count(), 0);
        assert_eq!(refused.code(), Some("GRAPHQL_VALIDATION_FAILED"));
    }
}
