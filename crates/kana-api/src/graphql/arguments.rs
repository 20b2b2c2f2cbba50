//! The arguments in a document, held against the schema once and for all (GraphQL specification,
//! "Values of Correct Type" and "All Variable Usages Are Allowed").
//!
//! The library looks at arguments with the variables of a request filled in: an argument beside a
//! variable that is missing is skipped, and a variable's type is never held against its place.
//! What is checked here does not depend on the variables, and so needs to be checked only once for
//! a document.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    BaseType, Directive, ExecutableDocument, OperationDefinition, OperationType, Selection,
    SelectionSet, Type, VariableDefinition,
};
use async_graphql::{Name, Pos, Positioned, ServerError};
use async_graphql_value::Value;

use super::refusal;
use super::schema_types::{InputField, InputType, SchemaTypes, expected, unfit, unknown_field};

/// Refuses an operation of which an argument is wrong. What is wrong with anything else, like an
/// unknown field, is for the library to find.
pub(super) fn check(
    types: &SchemaTypes,
    document: &ExecutableDocument,
    operation: &Positioned<OperationDefinition>,
) -> Result<(), ServerError> {
    let definitions = &operation.node.variable_definitions;
    let variables =
        definitions.iter().map(|definition| (definition.node.name.node.as_str(), &definition.node));
    let mut walk = Walk { types, document, variables: variables.collect(), seen: HashSet::new() };
    for definition in definitions {
        walk.check_default(&definition.node, definition.pos)?;
    }
    let root = match operation.node.ty {
        OperationType::Query => Some(types.query.as_str()),
        OperationType::Mutation => types.mutation.as_deref(),
        OperationType::Subscription => None,
    };
    match root {
        Some(root) => walk.check_selections(&operation.node.selection_set.node, root),
        None => Ok(()),
    }
}

struct Walk<'a> {
    types: &'a SchemaTypes,
    document: &'a ExecutableDocument,
    variables: HashMap<&'a str, &'a VariableDefinition>,
    /// The fragments that were walked already.
    seen: HashSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn check_default(&self, definition: &VariableDefinition, pos: Pos) -> Result<(), ServerError> {
        let Some(default) = &definition.default_value else {
            return Ok(());
        };
        let value = default.node.clone().into_value();
        let mut path = vec![definition.name.node.to_string()];
        match self.problem(&value, &definition.var_type.node, false, &mut path) {
            Some(problem) => Err(refuse("Variable", &definition.name.node, &problem, pos)),
            None => Ok(()),
        }
    }

    fn check_selections(
        &mut self,
        selections: &'a SelectionSet,
        object: &str,
    ) -> Result<(), ServerError> {
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) => {
                    self.check_directives(&field.node.directives)?;
                    let known = self.types.field(object, &field.node.name.node);
                    // A field of introspection has one argument at most, which the library checks.
                    let Some(known) = known else {
                        continue;
                    };
                    self.check_arguments(&field.node.arguments, &known.arguments, field.pos)?;
                    let inner = &field.node.selection_set.node;
                    self.check_selections(inner, &known.type_name)?;
                }
                Selection::InlineFragment(fragment) => {
                    self.check_directives(&fragment.node.directives)?;
                    let condition = fragment.node.type_condition.as_ref();
                    let object = condition.map_or(object, |condition| &condition.node.on.node);
                    self.check_selections(&fragment.node.selection_set.node, object)?;
                }
                Selection::FragmentSpread(spread) => {
                    self.check_directives(&spread.node.directives)?;
                    let name = spread.node.fragment_name.node.as_str();
                    if let Some(fragment) = self.document.fragments.get(name)
                        && self.seen.insert(name)
                    {
                        let object = &fragment.node.type_condition.node.on.node;
                        self.check_selections(&fragment.node.selection_set.node, object)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// `@skip` and `@include`, which have one argument.
    fn check_directives(&self, directives: &[Positioned<Directive>]) -> Result<(), ServerError> {
        let condition = [InputField {
            name: "if".to_owned(),
            ty: Type { base: BaseType::Named(Name::new("Boolean")), nullable: false },
            has_default: false,
        }];
        for (index, directive) in directives.iter().enumerate() {
            let name = directive.node.name.node.as_str();
            // The library looks at no directive of `__typename`.
            if !matches!(name, "skip" | "include") {
                let message = format!("Unknown directive \"@{name}\"");
                return Err(refusal(&message, Some(directive.pos)));
            }
            if directives[..index].iter().any(|earlier| earlier.node.name.node == name) {
                let message = format!("The directive \"@{name}\" stands here more than once");
                return Err(refusal(&message, Some(directive.pos)));
            }
            self.check_arguments(&directive.node.arguments, &condition, directive.pos)?;
        }
        Ok(())
    }

    fn check_arguments(
        &self,
        given: &[(Positioned<Name>, Positioned<Value>)],
        known: &[InputField],
        pos: Pos,
    ) -> Result<(), ServerError> {
        for argument in known {
            let found = given.iter().find(|(name, _)| name.node.as_str() == argument.name);
            let mut path = vec![argument.name.clone()];
            let (problem, pos) = match found {
                Some((_, value)) => (
                    self.problem(&value.node, &argument.ty, argument.has_default, &mut path),
                    value.pos,
                ),
                None if argument.ty.nullable || argument.has_default => (None, pos),
                None => (Some(expected(&path, &argument.ty.to_string(), "nothing")), pos),
            };
            if let Some(problem) = problem {
                return Err(refuse("Argument", &argument.name, &problem, pos));
            }
        }
        Ok(())
    }

    /// Why the value, which stands at `path`, is none of the type; `None` when it is one.
    fn problem(
        &self,
        value: &Value,
        ty: &Type,
        has_default: bool,
        path: &mut Vec<String>,
    ) -> Option<String> {
        match (value, &ty.base) {
            (Value::Variable(name), _) => {
                // A variable that is not declared is for the library to complain about.
                let definition = self.variables.get(name.as_str())?;
                (!is_allowed(definition, ty, has_default)).then(|| {
                    let found = format!("variable \"${name}\" of type {}", definition.var_type);
                    expected(path, &ty.to_string(), &found)
                })
            }
            (Value::Null, _) => (!ty.nullable).then(|| expected(path, &ty.to_string(), "null")),
            (Value::List(items), BaseType::List(inner)) => {
                items.iter().enumerate().find_map(|(index, item)| {
                    path.push(index.to_string());
                    let problem = self.problem(item, inner, false, path);
                    path.pop();
                    problem
                })
            }
            // A single value where a list belongs is a list of one.
            (single, BaseType::List(inner)) => self.problem(single, inner, false, path),
            (value, BaseType::Named(name)) => self.problem_with_named(value, name, path),
        }
    }

    fn problem_with_named(
        &self,
        value: &Value,
        type_name: &str,
        path: &mut Vec<String>,
    ) -> Option<String> {
        match (self.types.input(type_name)?, value) {
            (InputType::Enum(names), Value::Enum(name)) => (!names.contains(name.as_str()))
                .then(|| expected(path, type_name, "a name that is none of its values")),
            (InputType::Object(fields), Value::Object(given)) => {
                let unknown = given
                    .keys()
                    .find(|name| fields.iter().all(|field| field.name != name.as_str()));
                if let Some(unknown) = unknown {
                    return Some(unknown_field(path, unknown, type_name));
                }
                fields.iter().find_map(|field| {
                    path.push(field.name.clone());
                    let problem = match given.get(field.name.as_str()) {
                        Some(value) => self.problem(value, &field.ty, field.has_default, path),
                        None if field.ty.nullable || field.has_default => None,
                        None => Some(expected(path, &field.ty.to_string(), "nothing")),
                    };
                    path.pop();
                    problem
                })
            }
            (InputType::Scalar(_), Value::Enum(_)) => {
                // Only a scalar that takes anything takes a bare name.
                (type_name != "JSON").then(|| expected(path, type_name, "a name"))
            }
            (InputType::Scalar(accepts), value) => {
                // Within a scalar that takes anything, variables may stand anywhere.
                let value = value.clone().into_const_with(|_| Err(())).ok()?.into_json().ok()?;
                (!accepts(&value)).then(|| expected(path, type_name, &unfit(type_name, &value)))
            }
            (InputType::Enum(_) | InputType::Object(_), value) => {
                let found = match value {
                    Value::Enum(_) => "a name",
                    Value::String(_) => "a string",
                    Value::Number(_) => "a number",
                    Value::List(_) => "a list",
                    Value::Object(_) => "an object",
                    _ => "another value",
                };
                Some(expected(path, type_name, found))
            }
        }
    }
}

/// Whether a variable may stand in a place of the type `place`.
fn is_allowed(definition: &VariableDefinition, place: &Type, place_has_default: bool) -> bool {
    let ty = &definition.var_type.node;
    if !place.nullable && ty.nullable {
        let default = definition.default_value.as_ref();
        let has_value =
            default.is_some_and(|default| !matches!(default.node, async_graphql::Value::Null));
        return (has_value || place_has_default) && same_base(&ty.base, &place.base);
    }
    same_base(&ty.base, &place.base)
}

/// Whether every value of one base is one of the other.
fn same_base(ty: &BaseType, place: &BaseType) -> bool {
    match (ty, place) {
        (BaseType::Named(ty), BaseType::Named(place)) => ty == place,
        (BaseType::List(ty), BaseType::List(place)) => {
            (place.nullable || !ty.nullable) && same_base(&ty.base, &place.base)
        }
        _ => false,
    }
}

fn refuse(what: &str, name: &str, problem: &str, pos: Pos) -> ServerError {
    refusal(&format!("{what} {name:?} is invalid: {problem}"), Some(pos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::document::Document;

    const SDL: &str = "
        scalar JSON
        scalar DateTime
        enum Color { RED GREEN }
        input Box { id: String! size: Int = 1 color: Color tags: [String!] at: DateTime more: JSON }
        type Thing { part(id: String!, size: Int): Thing }
        type Query { a(box: Box, ids: [String!]!, size: Int! = 1): Thing }
        schema { query: Query }";

    fn check_in(text: &str) -> Result<(), String> {
        let document = Document::parse(text).unwrap();
        let operation = document.operation(None).unwrap();
        check(&SchemaTypes::of_schema(SDL), document.parsed(), operation)
            .map_err(|error| error.message)
    }

    #[test]
    fn what_fits_is_taken() {
        for text in [
            "{ a(ids: []) { __typename } }",
            "{ a(ids: \"one\", box: { id: \"1\", color: RED, tags: \"x\" }) { __typename } }",
            "query ($i: String!) { a(ids: [$i], box: { id: $i }) { part(id: $i) { __typename } } }",
            "query ($i: String = \"x\") { a(ids: [], box: { id: $i }) { __typename } }",
            "query ($s: Int) { a(ids: [], size: $s) { __typename } }",
            "query ($j: JSON, $c: Color) { a(ids: [], box: { id: \"\", more: { a: $j, b: RED }, color: $c }) { __typename } }",
            "query ($b: Box, $t: [String!]!) { a(ids: $t, box: $b) { __typename } }",
            "query ($if: Boolean!) { a(ids: []) @include(if: $if) { __typename @skip(if: false) } }",
            "{ a(ids: []) { __typename @skip(if: false) @include(if: true) } }",
            "{ a(ids: []) { unknown(x: 1) } __schema { types { name } } __type(name: \"A\") { name } }",
        ] {
            assert_eq!(check_in(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (text, problem) in [
            ("{ a }", "\"ids\" expects type [String!]! and got nothing"),
            ("{ a(ids: null) }", "\"ids\" expects type [String!]! and got null"),
            ("{ a(ids: [1]) }", "\"ids.0\" expects type String and got a number"),
            ("{ a(ids: A) }", "\"ids\" expects type String and got a name"),
            ("{ a(ids: [], size: 2147483648) }", "\"size\" expects type Int and got a number"),
            ("{ a(ids: [], box: \"x\") }", "\"box\" expects type Box and got a string"),
            ("{ a(ids: [], box: {}) }", "\"box.id\" expects type String! and got nothing"),
            (
                "{ a(ids: [], box: { id: \"1\", no: 1 }) }",
                "\"box\" has a field \"no\", which Box has not",
            ),
            (
                "{ a(ids: [], box: { id: \"1\", color: \"RED\" }) }",
                "\"box.color\" expects type Color and got a string",
            ),
            (
                "{ a(ids: [], box: { id: \"1\", color: BLUE }) }",
                "\"box.color\" expects type Color and got a name that is none of its values",
            ),
            (
                "{ a(ids: [], box: { id: \"1\", at: \"now\" }) }",
                "\"box.at\" expects type DateTime and got a string that is not an RFC 3339 instant \
                 with a time zone, like 2022-08-10T15:07:01.803Z",
            ),
            (
                "query ($n: Int) { a(ids: [], box: { id: 124, size: $n }) }",
                "\"box.id\" expects type String and got a number",
            ),
            (
                "query ($i: Int) { a(ids: [], box: { id: $i }) }",
                "\"box.id\" expects type String! and got variable \"$i\" of type Int",
            ),
            (
                "query ($i: String) { a(ids: [$i]) }",
                "\"ids.0\" expects type String! and got variable \"$i\" of type String",
            ),
            (
                "query ($i: [String]!) { a(ids: $i) }",
                "\"ids\" expects type [String!]! and got variable \"$i\" of type [String]!",
            ),
            (
                "query ($i: Int = \"x\") { a(ids: [], size: $i) }",
                "\"i\" expects type Int and got a string",
            ),
            ("{ a(ids: []) { part(size: 1) } }", "\"id\" expects type String! and got nothing"),
            (
                "{ ...f } fragment f on Query { a(ids: 1) }",
                "\"ids\" expects type String and got a number",
            ),
            ("{ ... on Query { a(ids: 1) } }", "\"ids\" expects type String and got a number"),
            (
                "{ a(ids: []) { __typename @skip(if: false) @skip(if: true) } }",
                "The directive \"@skip\" stands here more than once",
            ),
            ("{ a(ids: []) { __typename @other } }", "Unknown directive \"@other\""),
            ("{ a(ids: []) @skip(if: 1) }", "\"if\" expects type Boolean and got a number"),
        ] {
            let found = check_in(text).unwrap_err();
            assert!(found.ends_with(problem), "{text}: {found}");
        }
    }
}
