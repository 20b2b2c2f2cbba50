//! What the record of a request gets to know of its operations and errors.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use async_graphql::parser::types::{
    ExecutableDocument, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, PathSegment, Positioned, ServerError, Value};
use kana_telemetry::error_code;
use kana_telemetry::metrics::operations;
use kana_telemetry::operation::Operation;
use kana_telemetry::request::{self, Outcome};

/// The root fields of an operation: the name that each has in the answer, and what it is.
pub(crate) struct RootFields(Vec<(Name, Operation)>);

impl RootFields {
    /// Returns the root fields of a valid operation, those of its fragments included.
    pub(crate) fn of(document: &ExecutableDocument, operation: &OperationDefinition) -> Self {
        let mut fields = Self(Vec::new());
        let mut seen = HashSet::new();
        fields.add(document, &operation.selection_set, &mut seen);
        fields
    }

    fn add<'a>(
        &mut self,
        document: &'a ExecutableDocument,
        selected: &'a Positioned<SelectionSet>,
        seen: &mut HashSet<&'a Name>,
    ) {
        for selection in &selected.node.items {
            match &selection.node {
                Selection::Field(field) => {
                    let key = &field.node.response_key().node;
                    if self.0.iter().all(|(known, _)| known != key) {
                        self.0.push((key.clone(), operation(&field.node.name.node)));
                    }
                }
                Selection::InlineFragment(inline) => {
                    self.add(document, &inline.node.selection_set, seen);
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if seen.insert(name)
                        && let Some(fragment) = document.fragments.get(name)
                    {
                        self.add(document, &fragment.node.selection_set, seen);
                    }
                }
            }
        }
    }

    /// Returns the operation of the first field.
    pub(crate) fn first(&self) -> Operation {
        self.0.first().map_or(Operation::OTHER, |(_, operation)| *operation)
    }

    /// Notes what became of each field, and how long the document took.
    pub(crate) fn note(&self, errors: &[ServerError], since: Instant) {
        let duration = since.elapsed();
        for (key, operation) in &self.0 {
            operations::took(*operation, duration);
            let is_of_field = |error: &&ServerError| match error.path.first() {
                Some(PathSegment::Field(field)) => field == key.as_str(),
                Some(PathSegment::Index(_)) | None => true,
            };
            let outcomes = errors.iter().filter(is_of_field).map(outcome_of);
            request::note_operation(*operation, outcomes.max().unwrap_or(Outcome::Ok));
        }
    }
}

/// Adds the fields of a schema to the operations that are known.
pub(crate) fn know<'a>(fields: impl Iterator<Item = &'a str>) {
    for field in fields {
        let _ = operation(field);
    }
}

fn operation(field: &str) -> Operation {
    // What GraphQL itself has is none of ours.
    if field.starts_with("__") { Operation::OTHER } else { Operation::of_field(field) }
}

/// Notes what became of the only field of an operation, and how long it took.
pub(crate) fn note_only(operation: Operation, errors: &[ServerError], duration: Duration) {
    operations::took(operation, duration);
    let outcome = errors.iter().map(outcome_of).max().unwrap_or(Outcome::Ok);
    request::note_operation(operation, outcome);
}

/// Notes a request that was refused as a whole, so that no field was executed.
pub(crate) fn note_refused(errors: &[ServerError]) {
    let outcome = errors.iter().map(outcome_of).max().unwrap_or(Outcome::Refused);
    request::count_refused(outcome);
    note_errors(errors);
}

/// Notes the errors of an answer.
pub(crate) fn note_errors(errors: &[ServerError]) {
    errors.iter().for_each(|error| request::note_error(code_of(error)));
}

fn outcome_of(error: &ServerError) -> Outcome {
    Outcome::of_code(code_of(error))
}

fn code_of(error: &ServerError) -> &'static str {
    match error.extensions.as_ref().and_then(|extensions| extensions.get("code")) {
        Some(Value::String(code)) => error_code::of(code),
        _ => error_code::of(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<(String, &'static str)> {
        let document = async_graphql::parser::parse_query(text).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let fields = RootFields::of(&document, &operation.node);
        fields.0.iter().map(|(key, operation)| (key.to_string(), operation.name())).collect()
    }

    #[test]
    fn root_fields_are_found_by_their_own_names_wherever_they_stand() {
        know(["features", "packages"].into_iter());
        let text = "{ one: features { id } ... { packages { id } } ...rest __typename }
            fragment rest on Query { features { name } one: features { name } ...rest }";
        let name = |name: &str| name.to_owned();
        assert_eq!(
            fields(text),
            [
                (name("one"), "features"),
                (name("packages"), "packages"),
                (name("features"), "features"),
                (name("__typename"), "other"),
            ]
        );
    }
}
