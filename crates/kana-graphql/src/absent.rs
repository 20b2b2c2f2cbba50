//! Variables that were not given. What is given by such a variable is not given either, which is
//! not the same as null (GraphQL specification, "Coercing Field Arguments" and "Input Objects").
//! The library takes it for null, and an update would clear what it should keep.

use std::collections::HashSet;

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};
use async_graphql_value::Value;
use serde_json::Map;

/// The declared variables that have neither a value nor a default.
pub(crate) fn not_given<'a>(
    operation: &'a OperationDefinition,
    given: &Map<String, serde_json::Value>,
) -> HashSet<&'a str> {
    operation
        .variable_definitions
        .iter()
        .filter(|definition| definition.node.default_value.is_none())
        .map(|definition| definition.node.name.node.as_str())
        .filter(|name| !given.contains_key(*name))
        .collect()
}

/// Leaves out every argument and every field of an input object that one of these variables was to
/// give. The document must have been validated: this can leave variables unused.
pub(crate) fn leave_out(document: &mut ExecutableDocument, absent: &HashSet<&str>) {
    if absent.is_empty() {
        return;
    }
    match &mut document.operations {
        DocumentOperations::Single(operation) => {
            in_selections(&mut operation.node.selection_set.node, absent);
        }
        DocumentOperations::Multiple(operations) => {
            for operation in operations.values_mut() {
                in_selections(&mut operation.node.selection_set.node, absent);
            }
        }
    }
    for fragment in document.fragments.values_mut() {
        in_selections(&mut fragment.node.selection_set.node, absent);
    }
}

type Arguments = Vec<(Positioned<Name>, Positioned<Value>)>;

fn in_selections(selections: &mut SelectionSet, absent: &HashSet<&str>) {
    for selection in &mut selections.items {
        match &mut selection.node {
            Selection::Field(field) => {
                in_arguments(&mut field.node.arguments, absent);
                in_directives(&mut field.node.directives, absent);
                in_selections(&mut field.node.selection_set.node, absent);
            }
            Selection::InlineFragment(fragment) => {
                in_directives(&mut fragment.node.directives, absent);
                in_selections(&mut fragment.node.selection_set.node, absent);
            }
            Selection::FragmentSpread(spread) => {
                in_directives(&mut spread.node.directives, absent);
            }
        }
    }
}

fn in_directives(directives: &mut [Positioned<Directive>], absent: &HashSet<&str>) {
    for directive in directives {
        in_arguments(&mut directive.node.arguments, absent);
    }
}

fn in_arguments(arguments: &mut Arguments, absent: &HashSet<&str>) {
    arguments.retain(|(_, value)| !is_absent(&value.node, absent));
    for (_, value) in arguments {
        in_value(&mut value.node, absent);
    }
}

fn in_value(value: &mut Value, absent: &HashSet<&str>) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !is_absent(value, absent));
            fields.values_mut().for_each(|value| in_value(value, absent));
        }
        // In a list, a variable that was not given is null.
        Value::List(items) => items.iter_mut().for_each(|value| in_value(value, absent)),
        _ => {}
    }
}

fn is_absent(value: &Value, absent: &HashSet<&str>) -> bool {
    matches!(value, Value::Variable(name) if absent.contains(name.as_str()))
}
