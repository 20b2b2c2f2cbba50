//! Plans: what a hot operation comes to once its document has been parsed and validated.
//!
//! A text that was seen before leads straight to its plan, which reads the variables, asks the
//! service and writes the JSON. A plan takes only requests in their plainest form; whatever else
//! comes (a variable of the wrong type, a field too many, an escape that is never used) it leaves
//! to the general executor, before anything has happened. So there is one place that knows how to
//! refuse, and both answer the same byte for byte, which `tests/admin/plans.rs` holds them to.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_graphql::ServerError;
use async_graphql::parser::types::OperationDefinition;
use foldhash::quality::RandomState;
use kana_telemetry::metrics::cache::{self, CacheName};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Answers an operation without the general executor.
///
/// A plan works in two steps, so that no request takes effect twice. [`read`](Self::read) has no
/// effects, and may leave a request to the general executor. [`execute`](Self::execute) takes
/// effect, and always answers.
pub trait Plan<Authorised>: Sized + Send + Sync + 'static {
    /// A request that was read.
    type Request: Send;

    /// The plan of an operation that was validated; `None` for one that has none.
    fn compile(operation: &OperationDefinition) -> Option<Self>;

    /// Reads a request with these variables, which are a JSON value, if any. Returns `None` if the
    /// plan does not support them.
    fn read(&self, variables: Option<&str>) -> Option<Self::Request>;

    /// Executes the request once and answers it.
    fn execute(
        &self,
        authorised: &Authorised,
        request: Self::Request,
    ) -> impl Future<Output = Outcome> + Send;
}

/// What a plan made of a request.
pub enum Outcome {
    /// The operation's data, and the errors of fields that are null in it.
    Data {
        /// The response body up to its last brace, with `data` alone.
        open_body: Vec<u8>,
        /// Usually empty.
        errors: Vec<ServerError>,
    },
    /// The only field failed, so there is no data.
    Failed(ServerError),
}

/// No operation has a plan.
pub enum NoPlan {}

impl<Authorised: Sync> Plan<Authorised> for NoPlan {
    type Request = ();

    fn compile(_operation: &OperationDefinition) -> Option<Self> {
        None
    }

    fn read(&self, _: Option<&str>) -> Option<()> {
        match *self {}
    }

    async fn execute(&self, _: &Authorised, (): ()) -> Outcome {
        match *self {}
    }
}

/// A request body in its plainest form: a JSON object with no more than a query, an operation
/// name and variables, none of which has been looked into.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlainRequest<'a> {
    #[serde(borrow)]
    query: &'a RawValue,
    #[serde(borrow, rename = "operationName")]
    operation_name: Option<&'a RawValue>,
    #[serde(borrow)]
    variables: Option<&'a RawValue>,
}

impl<'a> PlainRequest<'a> {
    /// `None` for a body that is not of this form, or not JSON.
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// The document and the operation's name, both as they stand in the body.
    pub(crate) fn key(&self) -> PlainKey<'a> {
        PlainKey {
            query: self.query.get(),
            operation_name: self.operation_name.map_or("", RawValue::get),
        }
    }

    /// The JSON of the variables, if there are any.
    pub(crate) fn variables(&self) -> Option<&'a str> {
        self.variables.map(RawValue::get)
    }
}

/// What leads to a plan: the JSON of a query and of an operation name.
#[derive(Clone, Copy, Hash, PartialEq, Eq)]
pub(crate) struct PlainKey<'a> {
    query: &'a str,
    operation_name: &'a str,
}

#[derive(PartialEq, Eq)]
struct OwnedKey {
    query: Box<str>,
    operation_name: Box<str>,
}

impl OwnedKey {
    fn borrowed(&self) -> PlainKey<'_> {
        PlainKey { query: &self.query, operation_name: &self.operation_name }
    }
}

impl Hash for OwnedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrowed().hash(state);
    }
}

impl Equivalent<OwnedKey> for PlainKey<'_> {
    fn equivalent(&self, key: &OwnedKey) -> bool {
        *self == key.borrowed()
    }
}

/// The most bytes of keys that are remembered together, and of one of them. Few texts have a plan,
/// and those are short; but the same text can be escaped in many ways.
const KEY_BYTES_MAX: u64 = 256 * 1024;
const KEY_BYTES_MAX_EACH: usize = 4 * 1024;
/// How many keys are expected.
const KEYS: usize = 256;

/// The plans that bodies have led to, bounded by the length of what leads to them.
pub(crate) struct Plans<P>(Cache<OwnedKey, Arc<P>, KeyBytes, RandomState>);

#[derive(Clone)]
struct KeyBytes;

impl<P> Weighter<OwnedKey, Arc<P>> for KeyBytes {
    fn weight(&self, key: &OwnedKey, _: &Arc<P>) -> u64 {
        u64::try_from(key.query.len() + key.operation_name.len()).unwrap_or(u64::MAX)
    }
}

impl<P> Plans<P> {
    pub(crate) fn new() -> Self {
        let hasher = RandomState::default();
        let lifecycle = quick_cache::sync::DefaultLifecycle::default();
        Self(Cache::with(KEYS, KEY_BYTES_MAX, KeyBytes, hasher, lifecycle))
    }

    pub(crate) fn get(&self, key: PlainKey<'_>) -> Option<Arc<P>> {
        let known = self.0.get(&key);
        cache::looked_up(CacheName::Plan, known.is_some());
        known
    }

    pub(crate) fn remember(&self, key: PlainKey<'_>, plan: &Arc<P>) {
        if key.query.len() + key.operation_name.len() <= KEY_BYTES_MAX_EACH {
            let key =
                OwnedKey { query: key.query.into(), operation_name: key.operation_name.into() };
            self.0.insert(key, Arc::clone(plan));
        }
    }
}
