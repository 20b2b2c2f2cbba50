//! Documents that were seen before. A text that comes again, with the same operation name, is
//! neither parsed nor validated again.

use std::sync::Arc;

use async_graphql::parser::types::{ExecutableDocument, OperationDefinition, OperationType};
use async_graphql::{Positioned, ServerError};
use kana_telemetry::metrics::cache::{self, CacheName};
use kana_telemetry::operation::Operation;
use kana_telemetry::spans::OperationKind;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Weighter};

use crate::answer::ListFields;
use crate::document::{self, Document};
use crate::escapes::join_surrogates;
use crate::noted::RootFields;
use crate::scalars::Scalars;
use crate::schema::ApiSchema;
use crate::{limits, validation};

/// The most bytes of text that are remembered together. A parsed document takes some tens of
/// times the memory of its text.
const TEXT_BYTES_MAX: u64 = 1024 * 1024;
/// A longer text is not remembered: it would push out many that come more often.
const TEXT_BYTES_MAX_EACH: usize = 16 * 1024;
/// How many documents are expected.
const DOCUMENTS: usize = 1024;

type Key = (String, Option<String>);

/// A document that was parsed, and checked in everything that does not depend on a request's
/// variables.
pub(crate) struct Prepared<Plan> {
    document: Document,
    operation_name: Option<String>,
    lists: ListFields,
    root_fields: RootFields,
    plan: Option<Arc<Planned<Plan>>>,
}

/// The plan of an operation, which has a single root field.
pub(crate) struct Planned<Plan> {
    pub(crate) plan: Plan,
    pub(crate) operation: Operation,
    pub(crate) kind: OperationKind,
}

/// The documents that were seen before, bounded by the length of their texts.
pub(crate) struct PreparedDocuments<Plan>(Cache<Key, Arc<Prepared<Plan>>, TextBytes>);

#[derive(Clone)]
struct TextBytes;

impl<Plan> Weighter<Key, Arc<Prepared<Plan>>> for TextBytes {
    fn weight(&self, (text, name): &Key, _: &Arc<Prepared<Plan>>) -> u64 {
        let bytes = text.len() + name.as_ref().map_or(0, String::len);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl<Plan> PreparedDocuments<Plan> {
    pub(crate) fn new() -> Self {
        let hasher = DefaultHashBuilder::default();
        let lifecycle = quick_cache::sync::DefaultLifecycle::default();
        Self(Cache::with(DOCUMENTS, TEXT_BYTES_MAX, TextBytes, hasher, lifecycle))
    }

    /// Returns the document of this text, ready to execute the operation with this name. `compile`
    /// makes the operation's plan, if it has one.
    pub(crate) fn prepare<S: Scalars>(
        &self,
        schema: &ApiSchema<S>,
        text: String,
        operation_name: Option<String>,
        compile: impl FnOnce(&OperationDefinition) -> Option<Plan>,
    ) -> Result<Arc<Prepared<Plan>>, Vec<ServerError>> {
        let key = (text, operation_name);
        let known = self.0.get(&key);
        cache::looked_up(CacheName::Document, known.is_some());
        if let Some(known) = known {
            return Ok(known);
        }
        let one = |error| vec![error];
        let text = join_surrogates(&key.0);
        let parsed = document::parse(&text).map_err(one)?;
        let operation = parsed.document.operation(key.1.as_deref()).map_err(one)?;
        limits::check(&parsed.document).map_err(one)?;
        validation::check(&schema.definition, &parsed)?;
        let lists = ListFields::of(&schema.types, parsed.document.parsed(), &operation.node);
        let root_fields = RootFields::of(parsed.document.parsed(), &operation.node);
        let operation_of_plan = root_fields.first();
        let kind = kind_of(&operation.node);
        let plan = compile(&operation.node)
            .map(|plan| Arc::new(Planned { plan, operation: operation_of_plan, kind }));
        // Only now, since what is wrong with a number is first that no number belongs there.
        if let Some(error) = parsed.inexact {
            return Err(one(error));
        }
        let (document, operation_name) = (parsed.document, key.1.clone());
        let prepared = Arc::new(Prepared { document, operation_name, lists, root_fields, plan });
        if key.0.len() <= TEXT_BYTES_MAX_EACH {
            self.0.insert(key, Arc::clone(&prepared));
        }
        Ok(prepared)
    }
}

impl<Plan> Prepared<Plan> {
    pub(crate) fn operation(&self) -> Result<&Positioned<OperationDefinition>, ServerError> {
        self.document.operation(self.operation_name.as_deref())
    }

    pub(crate) fn operation_name(&self) -> Option<&String> {
        self.operation_name.as_ref()
    }

    /// Returns whether the operation selects lists.
    pub(crate) fn lists(&self) -> ListFields {
        self.lists
    }

    pub(crate) fn parsed(&self) -> &ExecutableDocument {
        self.document.parsed()
    }

    /// Returns the operation's plan, if it has one.
    pub(crate) fn plan(&self) -> Option<&Arc<Planned<Plan>>> {
        self.plan.as_ref()
    }

    pub(crate) fn root_fields(&self) -> &RootFields {
        &self.root_fields
    }
}

/// Returns the type of an operation, as spans have it. There are no subscriptions.
pub(crate) fn kind_of(operation: &OperationDefinition) -> OperationKind {
    match operation.ty {
        OperationType::Mutation => OperationKind::Mutation,
        OperationType::Query | OperationType::Subscription => OperationKind::Query,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepare(
        documents: &PreparedDocuments<()>,
        text: &str,
        name: Option<&str>,
    ) -> Arc<Prepared<()>> {
        let schema: ApiSchema<()> = ApiSchema::of_sdl("type Query { a: Int }".to_owned());
        let name = name.map(str::to_owned);
        documents.prepare(&schema, text.to_owned(), name, |_| None).unwrap()
    }

    #[test]
    fn a_text_that_comes_again_is_not_prepared_again() {
        let documents = PreparedDocuments::new();
        let text = "query one { a } query two { a }";
        let one = prepare(&documents, text, Some("one"));
        assert!(Arc::ptr_eq(&one, &prepare(&documents, text, Some("one"))));
        assert!(!Arc::ptr_eq(&one, &prepare(&documents, text, Some("two"))));
        assert!(!Arc::ptr_eq(&one, &prepare(&documents, &format!("{text} "), Some("one"))));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let documents = PreparedDocuments::new();
        for index in 0..200 {
            let text = format!("{{ a{index}: a }} # {}", "x".repeat(TEXT_BYTES_MAX_EACH / 2));
            prepare(&documents, &text, None);
        }
        assert!(documents.0.weight() <= TEXT_BYTES_MAX, "{}", documents.0.weight());
        let long = format!("{{ a }} # {}", "x".repeat(TEXT_BYTES_MAX_EACH));
        let first = prepare(&documents, &long, None);
        assert!(!Arc::ptr_eq(&first, &prepare(&documents, &long, None)));
    }
}
