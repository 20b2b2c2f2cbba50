//! The arguments in a document, of fields and of directives, held against the schema once and for
//! all (GraphQL specification, "Values of Correct Type" and "All Variable Usages Are Allowed").
//!
//! The library looks at arguments with the variables of a request filled in: an argument beside a
//! variable that is missing is skipped, and a variable's type is never held against its place.
//! What is checked here does not depend on the variables, and so needs to be checked only once for
//! a document.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    BaseType, Directive, Field, FragmentDefinition, OperationDefinition, OperationType, Selection,
    SelectionSet, Type, VariableDefinition,
};
use async_graphql::{Name, Pos, Positioned, ServerError};
use async_graphql_value::Value;

use crate::document::Document;
use crate::error::refusal;
use crate::schema_types::{InputField, InputType, SchemaTypes, expected, unfit, unknown_field};

/// Refuses a document of which an argument is wrong, whichever of its operations is executed. What
/// is wrong with anything else, like an unknown field, is for the library to find.
pub(crate) fn check(types: &SchemaTypes, document: &Document) -> Result<(), ServerError> {
    let mut used = HashSet::new();
    for (name, operation) in document.operations() {
        let mut walk = Walk::new(types, document);
        walk.check_operation(name, &operation.node)?;
        used.extend(walk.seen);
    }
    // A fragment that none uses is invalid anyway; so its arguments are body of here, too.
    let mut walk = Walk { seen: used, ..Walk::new(types, document) };
    for (name, fragment) in document.fragments() {
        walk.check_fragment(name, &fragment.node)?;
    }
    Ok(())
}

struct Walk<'a> {
    types: &'a SchemaTypes,
    document: &'a Document,
    operation_name: Option<&'a Name>,
    /// What the operation declares; `None` without an operation.
    variables: Option<HashMap<&'a str, &'a VariableDefinition>>,
    /// The fragments that were walked already.
    seen: HashSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn new(types: &'a SchemaTypes, document: &'a Document) -> Self {
        Self { types, document, operation_name: None, variables: None, seen: HashSet::new() }
    }

    fn check_operation(
        &mut self,
        name: Option<&'a Name>,
        operation: &'a OperationDefinition,
    ) -> Result<(), ServerError> {
        self.operation_name = name;
        let definitions = operation.variable_definitions.iter();
        let named = |definition: &'a Positioned<VariableDefinition>| {
            (definition.node.name.node.as_str(), &definition.node)
        };
        self.variables = Some(definitions.clone().map(named).collect());
        for definition in definitions {
            check_no_directives(&definition.node.directives, "a variable")?;
            self.check_default(&definition.node, definition.pos)?;
        }
        check_no_directives(&operation.directives, "an operation")?;
        let root = match operation.ty {
            OperationType::Query => Some(self.types.query.as_str()),
            OperationType::Mutation => self.types.mutation.as_deref(),
            OperationType::Subscription => None,
        };
        match root {
            Some(root) => self.check_selections(&operation.selection_set.node, root),
            None => Ok(()),
        }
    }

    /// A fragment needs to be looked at once for an operation.
    fn check_fragment(
        &mut self,
        name: &'a str,
        fragment: &'a FragmentDefinition,
    ) -> Result<(), ServerError> {
        if !self.seen.insert(name) {
            return Ok(());
        }
        check_no_directives(&fragment.directives, "the definition of a fragment")?;
        let object = &fragment.type_condition.node.on.node;
        self.check_selections(&fragment.selection_set.node, object)
    }

    fn check_default(&self, definition: &VariableDefinition, pos: Pos) -> Result<(), ServerError> {
        let Some(default) = &definition.default_value else {
            return Ok(());
        };
        // The library panics if this is the type of the items of a list and does not exist.
        let named = innermost(&definition.var_type.node.base);
        if self.types.input(named).is_none() {
            let problem = format!("{named:?} is no input type");
            return Err(refuse("Variable", &definition.name.node, &problem, pos));
        }
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
                    if field.node.name.node == "__typename" {
                        check_typename(field, object)?;
                    }
                    self.check_declared(&field.node.arguments)?;
                    let known = self.types.field(object, &field.node.name.node);
                    if let Some(known) = known {
                        self.check_arguments(&field.node.arguments, &known.arguments, field.pos)?;
                    }
                    // Below a field that does not exist, none is known either.
                    let object = known.map_or("", |known| &known.type_name);
                    self.check_selections(&field.node.selection_set.node, object)?;
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
                    if let Some(fragment) = self.document.parsed().fragments.get(name) {
                        self.check_fragment(name, &fragment.node)?;
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
            if !matches!(name, "skip" | "include") {
                let message = format!("Unknown directive \"@{name}\"");
                return Err(refusal(&message, Some(directive.pos)));
            }
            if directives[..index].iter().any(|earlier| earlier.node.name.node == name) {
                let message = format!("The directive \"@{name}\" stands here more than once");
                return Err(refusal(&message, Some(directive.pos)));
            }
            self.check_declared(&directive.node.arguments)?;
            self.check_arguments(&directive.node.arguments, &condition, directive.pos)?;
        }
        Ok(())
    }

    /// Refuses a variable that the operation does not declare, also where anything may stand.
    fn check_declared(
        &self,
        given: &[(Positioned<Name>, Positioned<Value>)],
    ) -> Result<(), ServerError> {
        let Some(variables) = &self.variables else {
            return Ok(());
        };
        let undeclared = given
            .iter()
            .find_map(|(name, value)| Some((name, undeclared(&value.node, variables)?)));
        let Some((argument, variable)) = undeclared else {
            return Ok(());
        };
        let message = match self.operation_name {
            Some(name) => {
                format!("Variable \"${variable}\" is not defined by operation \"{name}\"")
            }
            None => format!("Variable \"${variable}\" is not defined"),
        };
        Err(refusal(&message, Some(argument.pos)))
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
                // That a variable is not declared was body already.
                let definition = self.variables.as_ref()?.get(name.as_str())?;
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
            // Within a scalar that takes anything, variables may stand anywhere.
            (InputType::Scalar(_), _) if type_name == "JSON" => None,
            (InputType::Scalar(scalar), value) => match constant(value) {
                Some(value) if (scalar.accepts)(&value) => None,
                Some(value) => Some(expected(path, type_name, &unfit(scalar, &value))),
                None => Some(expected(path, type_name, kind(value))),
            },
            (InputType::Enum(_) | InputType::Object(_), value) => {
                Some(expected(path, type_name, kind(value)))
            }
        }
    }
}

/// The first variable in the value that is not among these.
fn undeclared<'v>(
    value: &'v Value,
    variables: &HashMap<&str, &VariableDefinition>,
) -> Option<&'v Name> {
    match value {
        Value::Variable(name) => (!variables.contains_key(name.as_str())).then_some(name),
        Value::List(items) => items.iter().find_map(|item| undeclared(item, variables)),
        Value::Object(fields) => fields.values().find_map(|field| undeclared(field, variables)),
        _ => None,
    }
}

/// Neither `@skip` nor `@include` may stand in this place.
fn check_no_directives(
    directives: &[Positioned<Directive>],
    place: &str,
) -> Result<(), ServerError> {
    let Some(directive) = directives.first() else {
        return Ok(());
    };
    let name = &directive.node.name.node;
    let message = format!("The directive \"@{name}\" may not be used on {place}");
    Err(refusal(&message, Some(directive.pos)))
}

/// The value as JSON, if it is one that any scalar but JSON could take.
fn constant(value: &Value) -> Option<serde_json::Value> {
    match value {
        Value::Boolean(_) | Value::Number(_) | Value::String(_) => {
            value.clone().into_const()?.into_json().ok()
        }
        _ => None,
    }
}

/// What a literal is, for people.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Variable(_) => "a variable",
        Value::Null => "null",
        Value::Boolean(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Enum(_) => "a name",
        Value::List(_) => "a list",
        Value::Object(_) => "an object",
        Value::Binary(_) => "another value",
    }
}

/// `__typename` takes no arguments and has no fields, which the library does not look at.
fn check_typename(field: &Positioned<Field>, object: &str) -> Result<(), ServerError> {
    if let Some((name, _)) = field.node.arguments.first() {
        let argument = &name.node;
        let message = format!(
            "Unknown argument \"{argument}\" on field \"__typename\" of type \"{object}\"."
        );
        return Err(refusal(&message, Some(name.pos)));
    }
    if !field.node.selection_set.node.items.is_empty() {
        let message =
            "Field \"__typename\" must not have a selection since type \"String\" has no subfields";
        return Err(refusal(message, Some(field.pos)));
    }
    Ok(())
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

/// The type of what is in a list, in the lists of a list, and so on.
fn innermost(ty: &BaseType) -> &str {
    let mut ty = ty;
    loop {
        match ty {
            BaseType::Named(name) => return name,
            BaseType::List(inner) => ty = &inner.base,
        }
    }
}

fn refuse(what: &str, name: &str, problem: &str, pos: Pos) -> ServerError {
    refusal(&format!("{what} {name:?} is invalid: {problem}"), Some(pos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custom_scalar::CustomScalar;

    const SDL: &str = "
        scalar JSON
        scalar DateTime
        enum Color { RED GREEN }
        input Box { id: String! size: Int = 1 color: Color tags: [String!] at: DateTime more: JSON }
        type Thing { part(id: String!, size: Int): Thing }
        type Query { a(box: Box, ids: [String!]!, size: Int! = 1): Thing }
        schema { query: Query }";

    const DATE: CustomScalar = CustomScalar {
        name: "DateTime",
        accepts: |value| value.as_str().is_some_and(|text| text.starts_with("20")),
        format: Some("an instant"),
    };

    fn check_in(text: &str) -> Result<(), String> {
        let document = Document::parse(text).unwrap();
        check(&SchemaTypes::of_schema(SDL, &[DATE]), &document).map_err(|error| error.message)
    }

    #[test]
    fn the_first_problem_is_the_one_that_is_told() {
        let operations: String = (1..20)
            .map(|number| format!(" query q{number} {{ a(ids: {number}, size: []) }}"))
            .collect();
        for text in [
            format!("query q0 {{ a(ids: {{}}) }} {operations}"),
            format!("query q0 {{ ...f }} {operations} fragment f on Query {{ a(ids: {{}}) }}"),
        ] {
            for _ in 0..12 {
                let found = check_in(&text).unwrap_err();
                assert!(found.ends_with("expects type String and got an object"), "{found}");
            }
        }
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
            "{ a(ids: []) { unknown(x: 1) { a } } __schema { types { name } } __type(name: \"A\") { name } }",
            "query ($n: String!, $d: Boolean) { __type(name: $n) { fields(includeDeprecated: $d) { name } } }",
            "query ($v: Boolean!) { a(ids: []) { __typename @include(if: $v) } }",
            "query one { a(ids: []) } query two ($i: String!) { a(ids: [$i]) }",
            "{ a(ids: [], size: -0, box: { id: \"\", size: -0 }) }",
        ] {
            assert_eq!(check_in(text), Ok(()), "{text}");
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "it is one table of cases")]
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
                "\"box.at\" expects type DateTime and got a string that is not an instant",
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
            (
                "query ($x: Boolean!) { a(ids: []) @skip(if: [$x]) }",
                "\"if\" expects type Boolean and got a list",
            ),
            (
                "query ($x: String!) { a(ids: [], box: { id: { a: $x } }) }",
                "\"box.id\" expects type String and got an object",
            ),
            (
                "query ($x: String!) { a(ids: [[$x]]) }",
                "\"ids.0\" expects type String and got a list",
            ),
            (
                "query ($x: DateTime) { a(ids: [], box: { id: \"\", at: [$x] }) }",
                "\"box.at\" expects type DateTime and got a list",
            ),
            ("{ a(ids: [], size: {}) }", "\"size\" expects type Int and got an object"),
            ("{ a(ids: [], size: -0.0) }", "\"size\" expects type Int and got a number"),
            (
                "{ a(ids: [], box: { id: \"\", color: [RED] }) }",
                "expects type Color and got a list",
            ),
            ("{ a(ids: [], box: true) }", "\"box\" expects type Box and got a boolean"),
            ("{ __typename { x } }", "type \"String\" has no subfields"),
            (
                "{ a(ids: []) { __typename(x: 1) } }",
                "\"x\" on field \"__typename\" of type \"Thing\".",
            ),
            (
                "query ($n: String) { __type(name: $n) { name } }",
                "\"name\" expects type String! and got variable \"$n\" of type String",
            ),
            (
                "query ($v: String!) { __schema { types { name @skip(if: $v) } } }",
                "\"if\" expects type Boolean! and got variable \"$v\" of type String!",
            ),
            (
                "{ __schema { types { fields(includeDeprecated: 1) { name } } } }",
                "\"includeDeprecated\" expects type Boolean and got a number",
            ),
            ("{ a(ids: [$x]) }", "Variable \"$x\" is not defined"),
            (
                "query q { a(ids: [], box: { id: \"\", more: [{ a: $x }] }) }",
                "Variable \"$x\" is not defined by operation \"q\"",
            ),
            (
                "query q { ...f } query r ($x: Int) { ...f } fragment f on Query { b { c(d: $x) } }",
                "Variable \"$x\" is not defined by operation \"q\"",
            ),
            ("{ a(ids: []) { __typename @skip(if: $x) } }", "Variable \"$x\" is not defined"),
            ("query @skip(if: true) { a(ids: []) }", "\"@skip\" may not be used on an operation"),
            (
                "{ ...f } fragment f on Query @nope(if: $x) { a(ids: []) }",
                "\"@nope\" may not be used on the definition of a fragment",
            ),
            (
                "query ($v: Boolean! @nope) { a(ids: []) @skip(if: $v) }",
                "The directive \"@nope\" may not be used on a variable",
            ),
            (
                "query ($v: Boolean! @skip(if: $v)) { a(ids: []) @skip(if: $v) }",
                "The directive \"@skip\" may not be used on a variable",
            ),
            (
                "query one { a(ids: []) } query two ($i: Int) { a(ids: [$i]) }",
                "\"ids.0\" expects type String! and got variable \"$i\" of type Int",
            ),
            (
                "{ a(ids: []) } fragment unused on Query { a(ids: 1) }",
                "\"ids\" expects type String and got a number",
            ),
        ] {
            let found = check_in(text).unwrap_err();
            assert!(found.ends_with(problem), "{text}: {found}");
        }
    }
}
