//! Documents that were seen before. A text that comes again, with the same operation name, is
//! neither parsed nor validated again.

use std::sync::{Arc, OnceLock};

use async_graphql::parser::types::{ExecutableDocument, OperationDefinition};
use async_graphql::{Positioned, ServerError};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Weighter};

use crate::answer::ListFields;
use crate::arguments;
use crate::document::Document;
use crate::schema_types::SchemaTypes;
use crate::{limits, merging, text};

/// The most bytes of text that are remembered together. A parsed document takes some tens of
/// times the memory of its text.
const TEXT_BYTES_MAX: u64 = 1024 * 1024;
/// A longer text is not remembered: it would push out many that come more often.
const TEXT_BYTES_MAX_EACH: usize = 16 * 1024;
/// How many documents are expected.
const DOCUMENTS: usize = 1024;

type Key = (String, Option<String>);

/// A document, parsed and held against everything that does not depend on a request's variables,
/// but for the library's own validation.
pub(crate) struct Prepared<Plan> {
    document: Document,
    operation_name: Option<String>,
    lists: ListFields,
    /// Set once the library has validated it: the plan, where the operation has one.
    validated: OnceLock<Option<Arc<Plan>>>,
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

    /// The document of this text, made ready to execute the operation with this name.
    pub(crate) fn prepare(
        &self,
        types: &SchemaTypes,
        text: String,
        operation_name: Option<String>,
    ) -> Result<Arc<Prepared<Plan>>, ServerError> {
        let key = (text, operation_name);
        if let Some(known) = self.0.get(&key) {
            return Ok(known);
        }
        let document = Document::parse(&key.0)?;
        let operation = document.operation(key.1.as_deref())?;
        limits::check(&document)?;
        merging::check(&document)?;
        arguments::check(types, &document)?;
        // Only now, since what is wrong with a number is first that no number belongs there.
        text::check_numbers(&key.0)?;
        let lists = ListFields::of(types, document.parsed(), &operation.node);
        let prepared = Arc::new(Prepared {
            document,
            lists,
            operation_name: key.1.clone(),
            validated: OnceLock::new(),
        });
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

    /// The operation's plan, if it has one; `None` until the document has been validated.
    pub(crate) fn validated(&self) -> Option<Option<&Arc<Plan>>> {
        self.validated.get().map(Option::as_ref)
    }

    pub(crate) fn set_validated(&self, plan: Option<Plan>) {
        // Whoever comes second has found the same.
        let _ = self.validated.set(plan.map(Arc::new));
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
        let types = SchemaTypes::of_schema("type Query { a: Int }", &[]);
        documents.prepare(&types, text.to_owned(), name.map(str::to_owned)).unwrap()
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
