use std::borrow::Cow;
use std::sync::{Arc, PoisonError};

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    Context, ContextSelectionSet, OutputType, PathSegment, Positioned, QueryPathNode,
    QueryPathSegment, ServerError, ServerResult, Value,
};
use futures_util::future::{BoxFuture, try_join_all};
use tokio::task::coop::consume_budget;

use super::json::to_json;
use super::size::{AnswerSize, Full, Turn};
use crate::error::{ERRORS_MAX, ErrorBody, Overloaded};

/// How many items are resolved at the same time.
const ITEMS_AT_A_TIME: usize = 32;

/// A list in an answer. It is written as JSON item by item, and counts towards the answer's size.
pub struct List<T> {
    items: Vec<T>,
    _turn: Option<Turn>,
}

/// Waits until a list of `rows` rows may be loaded. The list holds the turn until it is resolved. A
/// list within another list needs no turn, and gets `None`.
///
/// # Errors
///
/// Fails if other answers hold so many rows for too long.
pub async fn loading(context: &Context<'_>, rows: usize) -> Result<Option<Turn>, Overloaded> {
    match context.data_opt::<Arc<AnswerSize>>() {
        Some(size) if !is_within_list(context.path_node.as_ref()) => {
            size.turn(rows).await.map(Some).map_err(|_| Overloaded)
        }
        _ => Ok(None),
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, _turn: None }
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Vec::from_iter(items).into()
    }
}

impl<T> List<T> {
    /// Creates a list that was loaded in this turn.
    #[must_use]
    pub fn loaded(items: Vec<T>, turn: Option<Turn>) -> Self {
        Self { items, _turn: turn }
    }
}

/// Resolves the item at an index, or fails with the item's path.
type ResolveItem<'a> = dyn Fn(usize) -> BoxFuture<'a, ServerResult<Value>> + Sync + 'a;

/// Resolves the items and writes them as one JSON array. Compiled once and not for each type, since sixteen copies
/// of it took half a megabyte.
async fn write(
    len: usize,
    resolve_item: &ResolveItem<'_>,
    context: &ContextSelectionSet<'_>,
    field: &Positioned<Field>,
    size: &AnswerSize,
) -> ServerResult<Value> {
    let mut counted = Counted { size, bytes: 0 };
    let mut json = vec![b'['];
    for start in (0..len).step_by(ITEMS_AT_A_TIME) {
        let end = len.min(start + ITEMS_AT_A_TIME);
        for value in try_join_all((start..end).map(resolve_item)).await? {
            if json.len() > 1 {
                json.push(b',');
            }
            to_json(&mut json, &value).map_err(|error| {
                let body = ErrorBody::internal(&error);
                context.set_error_path(server_error(&body, field))
            })?;
        }
        if let Err(full) = counted.grow_to(json.len()).await {
            return size.fail(refused(size, full, context, field)).await;
        }
        forget_surplus_errors(context);
        // Items that need no I/O never yield, so yield here for other tasks.
        consume_budget().await;
    }
    json.push(b']');
    json.shrink_to_fit();
    if !is_within_list(context.path_node.as_ref()) {
        counted.keep();
    }
    Ok(Value::Binary(json.into()))
}

impl<T: OutputType> OutputType for List<T> {
    fn type_name() -> Cow<'static, str> {
        Vec::<T>::type_name()
    }

    fn qualified_type_name() -> String {
        Vec::<T>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Vec::<T>::create_type_info(registry)
    }

    async fn resolve(
        &self,
        context: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        let len = self.items.len();
        let resolve_item = |index: usize| -> BoxFuture<'_, ServerResult<Value>> {
            let context = context.with_index(index);
            let item = &self.items[index];
            Box::pin(async move {
                let value = item.resolve(&context, field).await;
                value.map_err(|error| context.set_error_path(error))
            })
        };
        match context.data_opt::<Arc<AnswerSize>>() {
            Some(size) => write(len, &resolve_item, context, field, size).await,
            None => Ok(Value::List(try_join_all((0..len).map(resolve_item)).await?)),
        }
    }
}

/// The counted bytes of a list. They are subtracted on drop unless kept: an inner list is either
/// copied into the outer one, which counts its bytes again, or dropped.
struct Counted<'a> {
    size: &'a AnswerSize,
    bytes: usize,
}

impl Counted<'_> {
    async fn grow_to(&mut self, bytes: usize) -> Result<(), Full> {
        let more = bytes.saturating_sub(self.bytes);
        self.bytes = bytes;
        self.size.grow(more).await
    }

    fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.size.shrink(self.bytes);
    }
}

fn is_within_list(place: Option<&QueryPathNode<'_>>) -> bool {
    let is_index = |node: &QueryPathNode<'_>| matches!(node.segment, QueryPathSegment::Index(_));
    place.is_some_and(|node| is_index(node) || node.parents().any(is_index))
}

fn server_error(body: &ErrorBody, field: &Positioned<Field>) -> ServerError {
    let mut error = ServerError::new(body.message.clone(), Some(field.pos));
    error.extensions = Some(body.extensions());
    error
}

/// Returns the error of an answer that became too large within this field.
fn refused(
    size: &AnswerSize,
    full: Full,
    context: &ContextSelectionSet<'_>,
    field: &Positioned<Field>,
) -> ServerError {
    let mut error = context.set_error_path(ServerError::new("", None));
    let root = match error.path.first() {
        Some(PathSegment::Field(name)) => Some(name.as_str()),
        _ => None,
    };
    let ServerError { message, extensions, locations, .. } =
        server_error(&size.refusal(full, root), field);
    (error.message, error.extensions, error.locations) = (message, extensions, locations);
    error
}

/// Drops errors beyond those that are sent, since each item may add one.
fn forget_surplus_errors(context: &ContextSelectionSet<'_>) {
    let mut errors = context.query_env.errors.lock().unwrap_or_else(PoisonError::into_inner);
    if errors.len() > ERRORS_MAX {
        errors.dedup();
        errors.truncate(ERRORS_MAX);
    }
}
