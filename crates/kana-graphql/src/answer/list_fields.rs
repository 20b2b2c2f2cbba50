//! Finds the lists that an operation selects, and merges those that are selected twice.
//!
//! A list is written as JSON as soon as it is resolved, so two of them cannot be merged afterwards.
//! If a document selects a list field twice in one place, the fields are merged before the
//! execution (GraphQL specification, "Field Selection Merging").

use std::collections::HashSet;

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType,
    Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};
use async_graphql_value::Value;
use indexmap::IndexMap;
use serde_json::Map;

use crate::schema::SchemaTypes;

/// Whether an operation selects lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ListFields {
    /// Whether it selects any list.
    pub(crate) any: bool,
    /// Whether it selects a list twice in one place.
    pub(crate) must_be_merged: bool,
}

impl ListFields {
    pub(crate) fn of(
        types: &SchemaTypes,
        document: &ExecutableDocument,
        operation: &OperationDefinition,
    ) -> Self {
        let root = match operation.ty {
            OperationType::Query => Some(types.query.as_str()),
            OperationType::Mutation => types.mutation.as_deref(),
            OperationType::Subscription => None,
        };
        let mut found = Self::default();
        found.look(types, document, root.unwrap_or_default(), &[&operation.selection_set.node]);
        found
    }

    /// Adds the selections of one place, on the type `object`.
    fn look(
        &mut self,
        types: &SchemaTypes,
        document: &ExecutableDocument,
        object: &str,
        selections: &[&SelectionSet],
    ) {
        // Without variables, so that a field that may be skipped counts.
        for fields in (Place { document, variables: None }).fields(selections).values() {
            let known = fields.first().and_then(|field| types.field(object, &field.node.name.node));
            let Some(known) = known else {
                continue;
            };
            self.any |= known.is_list;
            self.must_be_merged |= known.is_list && fields.len() > 1;
            self.look(types, document, &known.type_name, &below(fields));
        }
    }
}

/// Merges the operation's fields that have the same response key in one place. Removes fragments
/// and directives.
pub(crate) fn merge(
    document: &mut ExecutableDocument,
    operation: &OperationDefinition,
    operation_name: Option<&str>,
    variables: &Map<String, serde_json::Value>,
) {
    let variables = Variables { operation, given: variables };
    let merged = {
        let place = Place { document, variables: Some(variables) };
        place.merged(&[&operation.selection_set.node])
    };
    let executed = match &mut document.operations {
        DocumentOperations::Single(operation) => Some(operation),
        DocumentOperations::Multiple(operations) => match operation_name {
            Some(name) => operations.get_mut(name),
            // Only the one operation of a document need not be named.
            None => operations.values_mut().next(),
        },
    };
    if let Some(executed) = executed {
        executed.node.selection_set.node = merged;
    }
}

type SameFields<'a> = Vec<&'a Positioned<Field>>;

fn below<'a>(fields: &SameFields<'a>) -> Vec<&'a SelectionSet> {
    fields.iter().map(|field| &field.node.selection_set.node).collect()
}

/// The variables that `@skip` and `@include` depend on.
#[derive(Clone, Copy)]
struct Variables<'a> {
    operation: &'a OperationDefinition,
    given: &'a Map<String, serde_json::Value>,
}

#[derive(Clone, Copy)]
struct Place<'a> {
    document: &'a ExecutableDocument,
    variables: Option<Variables<'a>>,
}

impl<'a> Place<'a> {
    /// Returns the fields of one place by response key, in the order of the text.
    fn fields(self, selections: &[&'a SelectionSet]) -> IndexMap<&'a str, SameFields<'a>> {
        let (mut fields, mut fragments) = (IndexMap::new(), HashSet::new());
        for selection in selections {
            self.add(selection, &mut fields, &mut fragments);
        }
        fields
    }

    fn add(
        self,
        selections: &'a SelectionSet,
        fields: &mut IndexMap<&'a str, SameFields<'a>>,
        fragments: &mut HashSet<&'a str>,
    ) {
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) => {
                    if self.includes(&field.node.directives) {
                        let name = field.node.response_key().node.as_str();
                        fields.entry(name).or_default().push(field);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    if self.includes(&fragment.node.directives) {
                        self.add(&fragment.node.selection_set.node, fields, fragments);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    if self.includes(&spread.node.directives)
                        && let Some(fragment) = self.document.fragments.get(name)
                        && fragments.insert(name)
                    {
                        self.add(&fragment.node.selection_set.node, fields, fragments);
                    }
                }
            }
        }
    }

    fn merged(self, selections: &[&'a SelectionSet]) -> SelectionSet {
        let fields = self.fields(selections).into_values().filter_map(|fields| {
            let Positioned { pos, node: first } = fields.first()?;
            let selection_set = &first.selection_set;
            let merged = Field {
                alias: first.alias.clone(),
                name: first.name.clone(),
                arguments: first.arguments.clone(),
                directives: Vec::new(),
                selection_set: Positioned::new(self.merged(&below(&fields)), selection_set.pos),
            };
            Some(Positioned::new(Selection::Field(Positioned::new(merged, *pos)), *pos))
        });
        SelectionSet { items: fields.collect() }
    }

    fn includes(self, directives: &[Positioned<Directive>]) -> bool {
        let Some(variables) = self.variables else {
            return true;
        };
        directives.iter().all(|directive| {
            let condition = directive.node.get_argument("if").map(|value| &value.node);
            let holds = condition.is_some_and(|condition| variables.holds(condition));
            match directive.node.name.node.as_str() {
                "skip" => !holds,
                "include" => holds,
                _ => true,
            }
        })
    }
}

impl Variables<'_> {
    fn holds(self, condition: &Value) -> bool {
        match condition {
            Value::Boolean(holds) => *holds,
            Value::Variable(name) => match self.given.get(name.as_str()) {
                Some(given) => *given == serde_json::Value::Bool(true),
                None => self.default_of(name) == Some(&async_graphql::Value::Boolean(true)),
            },
            _ => false,
        }
    }

    fn default_of(&self, name: &Name) -> Option<&async_graphql::Value> {
        let mut definitions = self.operation.variable_definitions.iter();
        let definition = definitions.find(|definition| definition.node.name.node == *name)?;
        definition.node.default_value.as_ref().map(|default| &default.node)
    }
}
