//! Converts a parsed document to the form that the executor takes.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Range;

use async_graphql::parser::types::{
    BaseType, Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition,
    FragmentSpread, InlineFragment, OperationDefinition, OperationType, Selection, SelectionSet,
    Type, TypeCondition, VariableDefinition,
};
use async_graphql::{Name, Positioned, ServerError};
use async_graphql_value::{Number, Value};
use bluejay_core::executable::{
    ExplicitOperationDefinition as _, Field as _, FragmentDefinition as _, FragmentSpread as _,
    InlineFragment as _, OperationDefinition as _, VariableDefinition as _,
};
use bluejay_core::{AsIter as _, Directive as _, Value as _, ValueReference};
use bluejay_parser::HasSpan;
use bluejay_parser::ast::executable as parsed;
use indexmap::IndexMap;

use crate::error::{ErrorBody, refusal, server_error};
use crate::exact;
use crate::positions::Positions;

/// A converted document, and what its converted form does not show.
pub(crate) struct Converted<'t> {
    pub(crate) document: ExecutableDocument,
    pub(crate) named_values: NamedValues<'t>,
    /// The error of the first number that would be rounded.
    pub(crate) inexact: Option<ServerError>,
}

/// Converts a document. Fails if two operations or fragments have one name, or if an object has a
/// field twice, since the converted form can hold only one of them.
pub(crate) fn convert<'t>(
    text: &'t str,
    document: &parsed::ExecutableDocument<'t>,
) -> Result<Converted<'t>, ServerError> {
    let mut conversion = Conversion {
        text,
        positions: Positions::new(text),
        named_values: NamedValues::default(),
        inexact: None,
        twice: None,
    };
    let operations = conversion.operations(document.operation_definitions())?;
    let fragments = conversion.fragments(document.fragment_definitions())?;
    match conversion.twice {
        Some(error) => Err(error),
        None => Ok(Converted {
            document: ExecutableDocument { operations, fragments },
            named_values: conversion.named_values,
            inexact: conversion.inexact,
        }),
    }
}

/// The values of arguments and the defaults of variables, in the order of the text.
#[derive(Default)]
pub(crate) struct NamedValues<'t>(Vec<NamedValue<'t>>);

/// What a value is given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given<'t> {
    ToArgument(&'t str),
    ToVariable(&'t str),
}

struct NamedValue<'t> {
    bytes: Range<usize>,
    given: Given<'t>,
}

impl<'t> NamedValues<'t> {
    /// Returns what the value is given to that stands at `offset`, or around it.
    pub(crate) fn around(&self, offset: usize) -> Option<Given<'t>> {
        let after = self.0.partition_point(|value| value.bytes.start <= offset);
        let value = self.0.get(after.checked_sub(1)?)?;
        value.bytes.contains(&offset).then_some(value.given)
    }
}

struct Conversion<'t> {
    text: &'t str,
    positions: Positions<'t>,
    named_values: NamedValues<'t>,
    inexact: Option<ServerError>,
    /// The error of the first field that an object has twice.
    twice: Option<ServerError>,
}

type Arguments = Vec<(Positioned<Name>, Positioned<Value>)>;
type Directives = Vec<Positioned<Directive>>;

impl<'t> Conversion<'t> {
    fn operations(
        &mut self,
        definitions: &[parsed::OperationDefinition<'t>],
    ) -> Result<DocumentOperations, ServerError> {
        let mut named: HashMap<Name, Positioned<OperationDefinition>> = HashMap::new();
        for definition in definitions {
            let operation = self.operation(definition);
            let Some(name) = definition.as_ref().name() else {
                if definitions.len() == 1 {
                    return Ok(DocumentOperations::Single(operation));
                }
                let message = "An operation without a name must be the only one of its document";
                return Err(refusal(message, Some(operation.pos)));
            };
            if let Some(first) = named.get(name) {
                let message = format!("There are two operations with the name \"{name}\"");
                return Err(two(&message, first, &operation));
            }
            named.insert(Name::new(name), operation);
        }
        if named.is_empty() {
            return Err(refusal("The document has no operation", None));
        }
        Ok(DocumentOperations::Multiple(named))
    }

    fn operation(
        &mut self,
        definition: &parsed::OperationDefinition<'t>,
    ) -> Positioned<OperationDefinition> {
        let pos = self.pos(definition);
        let parsed::OperationDefinition::Explicit(explicit) = definition else {
            let operation = OperationDefinition {
                ty: OperationType::Query,
                variable_definitions: Vec::new(),
                directives: Vec::new(),
                selection_set: self.selections(definition.selection_set()),
            };
            return Positioned::new(operation, pos);
        };
        let variables = explicit.variable_definitions();
        let operation = OperationDefinition {
            ty: match bluejay_core::OperationType::from(explicit.operation_type()) {
                bluejay_core::OperationType::Query => OperationType::Query,
                bluejay_core::OperationType::Mutation => OperationType::Mutation,
                bluejay_core::OperationType::Subscription => OperationType::Subscription,
            },
            variable_definitions: variables
                .map_or_else(Vec::new, |all| all.iter().map(|it| self.variable(it)).collect()),
            directives: self.directives(explicit.directives()),
            selection_set: self.selections(explicit.selection_set()),
        };
        Positioned::new(operation, pos)
    }

    fn fragments(
        &mut self,
        definitions: &[parsed::FragmentDefinition<'t>],
    ) -> Result<HashMap<Name, Positioned<FragmentDefinition>>, ServerError> {
        let mut fragments: HashMap<Name, Positioned<FragmentDefinition>> = HashMap::new();
        for definition in definitions {
            let pos = self.pos(definition);
            let fragment = FragmentDefinition {
                type_condition: self.type_condition(definition.type_condition()),
                directives: self.directives(definition.directives()),
                selection_set: self.selections(definition.selection_set()),
            };
            let fragment = Positioned::new(fragment, pos);
            let name = definition.name().as_str();
            if let Some(first) = fragments.get(name) {
                let message = format!("There are two fragments with the name \"{name}\"");
                return Err(two(&message, first, &fragment));
            }
            fragments.insert(Name::new(name), fragment);
        }
        Ok(fragments)
    }

    fn variable(
        &mut self,
        definition: &parsed::VariableDefinition<'t>,
    ) -> Positioned<VariableDefinition> {
        let variable = definition.variable();
        let name = self.slice(variable).trim_start_matches('$');
        let (pos, type_pos) = (self.pos(variable), self.pos(definition.r#type()));
        let default_value = definition.default_value().map(|default| {
            self.note_value(default, Given::ToVariable(name));
            self.positioned_value(default, name)
        });
        let variable = VariableDefinition {
            name: Positioned::new(Name::new(name), pos),
            var_type: Positioned::new(converted_type(definition.r#type()), type_pos),
            directives: self.directives(definition.directives()),
            // A default has no variables, which the parser refuses.
            default_value: default_value
                .and_then(|value| Some(Positioned::new(value.node.into_const()?, value.pos))),
        };
        Positioned::new(variable, pos)
    }

    fn selections(&mut self, selections: &parsed::SelectionSet<'_>) -> Positioned<SelectionSet> {
        let pos = self.pos(selections);
        let items = selections.iter().map(|selection| self.selection(selection)).collect();
        Positioned::new(SelectionSet { items }, pos)
    }

    fn selection(&mut self, selection: &parsed::Selection<'_>) -> Positioned<Selection> {
        match selection {
            parsed::Selection::Field(field) => {
                let field = self.field(field);
                let pos = field.pos;
                Positioned::new(Selection::Field(field), pos)
            }
            parsed::Selection::FragmentSpread(spread) => {
                let pos = self.pos(spread);
                let converted = FragmentSpread {
                    fragment_name: self.name(spread.name()),
                    directives: self.directives(spread.directives()),
                };
                Positioned::new(Selection::FragmentSpread(Positioned::new(converted, pos)), pos)
            }
            parsed::Selection::InlineFragment(fragment) => {
                let pos = self.pos(fragment);
                let condition = fragment.type_condition();
                let converted = InlineFragment {
                    type_condition: condition.map(|condition| self.type_condition(condition)),
                    directives: self.directives(fragment.directives()),
                    selection_set: self.selections(fragment.selection_set()),
                };
                Positioned::new(Selection::InlineFragment(Positioned::new(converted, pos)), pos)
            }
        }
    }

    fn field(&mut self, field: &parsed::Field<'_>) -> Positioned<Field> {
        let pos = self.pos(field);
        let name = self.name(field.name());
        let arguments = self.arguments(field.arguments());
        let directives = self.directives(field.directives());
        let selection_set = match field.selection_set() {
            Some(selections) => self.selections(selections),
            None => Positioned::new(SelectionSet { items: Vec::new() }, name.pos),
        };
        let alias = field.alias().map(|alias| Positioned::new(Name::new(alias), pos));
        Positioned::new(Field { alias, name, arguments, directives, selection_set }, pos)
    }

    fn type_condition(
        &mut self,
        condition: &parsed::TypeCondition<'_>,
    ) -> Positioned<TypeCondition> {
        let on = self.name(condition.named_type());
        let pos = on.pos;
        Positioned::new(TypeCondition { on }, pos)
    }

    fn directives<const CONST: bool>(
        &mut self,
        directives: Option<&bluejay_parser::ast::Directives<'_, CONST>>,
    ) -> Directives {
        let directives = directives.map_or_else(Vec::new, |all| all.iter().collect());
        directives
            .into_iter()
            .map(|directive| {
                let pos = self.pos(directive);
                let name = self.name(directive.name());
                let arguments = self.arguments(directive.arguments());
                Positioned::new(Directive { name, arguments }, pos)
            })
            .collect()
    }

    fn arguments<const CONST: bool>(
        &mut self,
        arguments: Option<&bluejay_parser::ast::Arguments<'_, CONST>>,
    ) -> Arguments {
        let arguments = arguments.map_or_else(Vec::new, |all| all.iter().collect());
        arguments
            .into_iter()
            .map(|argument| {
                let name = self.slice(argument.name());
                let positioned = self.name(argument.name());
                self.note_value(argument.value(), Given::ToArgument(name));
                (positioned, self.positioned_value(argument.value(), name))
            })
            .collect()
    }

    fn positioned_value<const CONST: bool>(
        &mut self,
        value: &bluejay_parser::ast::Value<'_, CONST>,
        name: &str,
    ) -> Positioned<Value> {
        let pos = self.pos(value);
        Positioned::new(self.value(value, name), pos)
    }

    /// Converts a value. `name` is the name of the argument, variable or field that has it.
    fn value<const CONST: bool>(
        &mut self,
        value: &bluejay_parser::ast::Value<'_, CONST>,
        name: &str,
    ) -> Value {
        match value.as_ref() {
            ValueReference::Variable(variable) => Value::Variable(Name::new(variable.name())),
            ValueReference::Integer(_) | ValueReference::Float(_) => self.number(value, name),
            ValueReference::String(text) => Value::String(text.to_owned()),
            ValueReference::Boolean(boolean) => Value::Boolean(boolean),
            ValueReference::Null => Value::Null,
            ValueReference::Enum(name) => Value::Enum(Name::new(name)),
            ValueReference::List(items) => {
                Value::List(items.iter().map(|item| self.value(item, name)).collect())
            }
            ValueReference::Object(fields) => {
                let mut object = IndexMap::new();
                for (key, value) in fields.iter() {
                    let name = key.as_str();
                    if object.insert(Name::new(name), self.value(value, name)).is_some()
                        && self.twice.is_none()
                    {
                        let message = format!("An object has the field \"{name}\" more than once");
                        self.twice = Some(refusal(&message, Some(self.pos(key))));
                    }
                }
                Value::Object(object)
            }
        }
    }

    fn number(&mut self, value: &impl HasSpan, name: &str) -> Value {
        let text = self.slice(value);
        if let Some(problem) = exact::problem_with_number(text)
            && self.inexact.is_none()
        {
            let problem = exact::Problem { path: vec![name.to_owned()], what: problem };
            let mut error = server_error(&ErrorBody::bad_request(problem.to_string()));
            error.locations.push(self.pos(value));
            self.inexact = Some(error);
        }
        // JSON has no whole number that is negative zero. A number that is out of range was noted.
        let text = if text == "-0" { "0" } else { text };
        Value::Number(serde_json::from_str(text).unwrap_or_else(|_| Number::from(0)))
    }

    fn note_value(&mut self, value: &impl HasSpan, given: Given<'t>) {
        self.named_values.0.push(NamedValue { bytes: value.span().byte_range(), given });
    }

    fn name(&mut self, name: &(impl HasSpan + AsRef<str>)) -> Positioned<Name> {
        Positioned::new(Name::new(name.as_ref()), self.pos(name))
    }

    fn slice(&self, part: &impl HasSpan) -> &'t str {
        self.text.get(part.span().byte_range()).unwrap_or_default()
    }

    fn pos(&mut self, part: &impl HasSpan) -> async_graphql::Pos {
        self.positions.at(part.span().byte_range().start)
    }
}

fn converted_type(ty: &parsed::VariableType<'_>) -> Type {
    match ty {
        parsed::VariableType::Named { name, is_required, .. } => {
            Type { base: BaseType::Named(Name::new(name)), nullable: !is_required }
        }
        parsed::VariableType::List { inner, is_required, .. } => {
            Type { base: BaseType::List(Box::new(converted_type(inner))), nullable: !is_required }
        }
    }
}

fn two<T>(message: &str, first: &Positioned<T>, second: &Positioned<T>) -> ServerError {
    let mut error = refusal(message, Some(first.pos));
    error.locations.push(second.pos);
    error
}
