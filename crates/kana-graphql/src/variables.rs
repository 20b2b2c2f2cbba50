//! Variables are coerced before anything is executed (GraphQL specification, "Coercing Variable
//! Values"), so that a mutation of several fields never runs its first when the second cannot be
//! read, and so that an unknown field in a variable is never dropped in silence.

use async_graphql::parser::types::{BaseType, OperationDefinition, Type};
use async_graphql::{Positioned, ServerError};
use serde_json::{Map, Value};

use crate::error::ErrorBody;
use crate::error::{refusal, server_error};
use crate::exact::{self, Problem};
use crate::scalars::json_kind;
use crate::schema::{InputField, InputType, SchemaTypes, expected, unknown_field};

/// The variables that the operation declares. What it does not declare is left out.
pub(crate) fn coerce(
    types: &SchemaTypes,
    operation: &Positioned<OperationDefinition>,
    mut given: Map<String, Value>,
) -> Result<Map<String, Value>, Vec<ServerError>> {
    let mut coerced = Map::new();
    let mut errors = Vec::new();
    for definition in &operation.node.variable_definitions {
        let name = definition.node.name.node.as_str();
        let ty = &definition.node.var_type.node;
        let problem = match given.remove(name) {
            None if ty.nullable || definition.node.default_value.is_some() => None,
            None => Some(format!("Variable \"${name}\" of type \"{ty}\" is missing")),
            Some(mut value) => {
                let problem = problem(types, &mut value, ty, &mut vec![name.to_owned()]);
                coerced.insert(name.to_owned(), value);
                problem.map(|problem| format!("Variable \"${name}\" is invalid: {problem}"))
            }
        };
        errors.extend(problem.map(|problem| refusal(&problem, Some(definition.pos))));
    }
    if errors.is_empty() { Ok(coerced) } else { Err(errors) }
}

/// Adds the defaults of variables that have no value. What is executed applies them to arguments, but not
/// to the directives `@skip` and `@include`.
pub(crate) fn add_defaults(operation: &OperationDefinition, variables: &mut Map<String, Value>) {
    for definition in &operation.variable_definitions {
        let name = definition.node.name.node.as_str();
        if !variables.contains_key(name)
            && let Some(default) = &definition.node.default_value
            && let Ok(default) = default.node.clone().into_json()
        {
            variables.insert(name.to_owned(), default);
        }
    }
}

/// Why the value, which stands at `path`, is none of the type; `None` when it is one, and then as
/// the type has it.
fn problem(
    types: &SchemaTypes,
    value: &mut Value,
    ty: &Type,
    path: &mut Vec<String>,
) -> Option<String> {
    if value.is_null() {
        let problem = || expected(path, &ty.to_string(), "null");
        return (!ty.nullable).then(problem);
    }
    match (&ty.base, value) {
        (BaseType::List(inner), Value::Array(items)) => {
            items.iter_mut().enumerate().find_map(|(index, item)| {
                path.push(index.to_string());
                let problem = problem(types, item, inner, path);
                path.pop();
                problem
            })
        }
        // A single value where a list belongs is a list of one.
        (BaseType::List(inner), single) => problem(types, single, inner, path),
        (BaseType::Named(name), value) => problem_with_named(types, value, name.as_str(), path),
    }
}

fn problem_with_named(
    types: &SchemaTypes,
    value: &mut Value,
    type_name: &str,
    path: &mut Vec<String>,
) -> Option<String> {
    match (types.input(type_name), value) {
        // A type that is no input type is for validation to complain about.
        (None, _) => None,
        (Some(InputType::Scalar(scalar)), value) => {
            if type_name == "Int" {
                make_int(value);
            }
            let accepted = (scalar.accepts)(value);
            (!accepted).then(|| expected(path, type_name, &scalar.describe(value)))
        }
        (Some(InputType::Enum(names)), Value::String(name)) => (!names.contains(name.as_str()))
            .then(|| expected(path, type_name, "a string that is none of its values")),
        (Some(InputType::Object(fields)), Value::Object(given)) => {
            problem_with_fields(types, fields, given, type_name, path)
        }
        (Some(InputType::Enum(_) | InputType::Object(_)), value) => {
            Some(expected(path, type_name, json_kind(value)))
        }
    }
}

fn problem_with_fields(
    types: &SchemaTypes,
    fields: &[InputField],
    given: &mut Map<String, Value>,
    type_name: &str,
    path: &mut Vec<String>,
) -> Option<String> {
    let unknown = given.keys().find(|name| fields.iter().all(|field| field.name != **name));
    if let Some(unknown) = unknown {
        return Some(unknown_field(path, unknown, type_name));
    }
    fields.iter().find_map(|field| {
        path.push(field.name.clone());
        let problem = match given.get_mut(&field.name) {
            Some(value) => problem(types, value, &field.ty, path),
            None if field.ty.nullable || field.has_default => None,
            None => Some(expected(path, &field.ty.to_string(), "nothing")),
        };
        path.pop();
        problem
    })
}

/// Replaces a number like `2.0`, `2e0` or `-0`, which the JSON parser reads as a double, by an
/// integer.
fn make_int(value: &mut Value) {
    if let Value::Number(number) = value
        && let Some(int) = exact::whole_as_read(number)
    {
        *number = int.into();
    }
}

/// Returns the error for a variable with a number, at `path`, that cannot be kept exactly.
pub(crate) fn refuse_inexact(
    operation: &Positioned<OperationDefinition>,
    coerced: &Map<String, Value>,
    problem: &Problem,
    path: &[String],
) -> ServerError {
    let mut steps = path.iter();
    let name = steps.next().map_or("", String::as_str);
    let kept = steps.try_fold(coerced.get(name), |value, step| match value? {
        Value::Object(fields) => Some(fields.get(step)),
        Value::Array(items) => Some(step.parse().ok().and_then(|index: usize| items.get(index))),
        _ => None,
    });
    // A JSON scalar stays a double. An Int was rounded to an integer.
    if !matches!(kept, Some(Some(Value::Number(number))) if number.is_i64()) {
        return server_error(&ErrorBody::bad_request(problem.to_string()));
    }
    let definitions = &operation.node.variable_definitions;
    let definition = definitions.iter().find(|definition| definition.node.name.node == *name);
    let problem = expected(path, "Int", "a number");
    let message = format!("Variable \"${name}\" is invalid: {problem}");
    refusal(&message, definition.map(|definition| definition.pos))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::parse;
    use crate::scalars::{CustomScalar, Scalars};
    use crate::schema::ApiSchema;

    const SDL: &str = "
        scalar DateTime
        scalar JSON
        enum Color { RED GREEN }
        input Box { id: String! size: Int = 1 color: Color tags: [String!] at: DateTime more: JSON }
        type Query { a(box: Box): Int }";

    #[derive(Debug)]
    struct Dates;

    impl Scalars for Dates {
        const CHECKED: &'static [CustomScalar] = &[CustomScalar {
            name: "DateTime",
            accepts: |value| value.as_str().is_some_and(|text| text.starts_with("20")),
            format: Some("an instant"),
        }];
    }

    fn coerce_in(definitions: &str, given: &Value) -> Result<Map<String, Value>, Vec<String>> {
        let text = format!("query q({definitions}) {{ a }}");
        let document = parse(&text).unwrap().document;
        let operation = document.operation(Some("q")).unwrap();
        let given = given.as_object().unwrap().clone();
        coerce(&ApiSchema::<Dates>::of_sdl(SDL.to_owned()).types, operation, given)
            .map_err(|errors| errors.into_iter().map(|error| error.message).collect())
    }

    #[test]
    fn what_fits_is_taken_and_the_undeclared_is_left_out() {
        for value in [
            json!({ "id": "1" }),
            json!({ "id": "1", "size": null, "color": "RED", "tags": ["a"], "more": [1, {}] }),
            json!({ "id": "1", "tags": "a single one", "at": "2022-08-10T15:07:01Z" }),
        ] {
            let given = json!({ "box": value, "undeclared": 1 });
            let expected = json!({ "box": value });
            assert_eq!(coerce_in("$box: Box!", &given).unwrap(), *expected.as_object().unwrap());
        }
        assert!(coerce_in("$id: String", &json!({})).unwrap().is_empty());
        assert!(coerce_in("$id: String! = \"x\"", &json!({})).unwrap().is_empty());
    }

    #[test]
    fn a_whole_number_is_an_int_however_it_is_written() {
        for (size, int) in [("-0", "0"), ("0.0", "0"), ("1.0", "1"), ("-1e0", "-1")] {
            let given = format!(r#"{{"box": {{"id": "1", "size": {size}, "more": -0}}}}"#);
            let given = serde_json::from_str(&given).unwrap();
            let coerced = Value::Object(coerce_in("$box: Box!", &given).unwrap());
            let expected = format!(r#"{{"box":{{"id":"1","size":{int},"more":-0.0}}}}"#);
            assert_eq!(coerced.to_string(), expected);
        }
        for size in ["0.5", "2147483648.0", "1e10", "1e300"] {
            let given = format!(r#"{{"box": {{"id": "1", "size": {size}}}}}"#);
            let given = serde_json::from_str(&given).unwrap();
            assert!(coerce_in("$box: Box!", &given).is_err(), "{size}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let of_box = |value: Value| coerce_in("$box: Box!", &json!({ "box": value })).unwrap_err();
        for (value, problem) in [
            (json!({ "id": 124 }), "\"box.id\" expects type String and got a number"),
            (json!({ "id": null }), "\"box.id\" expects type String! and got null"),
            (json!({}), "\"box.id\" expects type String! and got nothing"),
            (
                json!({ "id": "1", "size": 2_147_483_648_i64 }),
                "\"box.size\" expects type Int and got a number",
            ),
            (json!({ "id": "1", "size": 1.5 }), "\"box.size\" expects type Int and got a number"),
            (json!({ "id": "1", "size": "1" }), "\"box.size\" expects type Int and got a string"),
            (
                json!({ "id": "1", "color": "BLUE" }),
                "\"box.color\" expects type Color and got a string that is none of its values",
            ),
            (
                json!({ "id": "1", "tags": ["a", 2] }),
                "\"box.tags.1\" expects type String and got a number",
            ),
            (
                json!({ "id": "1", "at": "now" }),
                "\"box.at\" expects type DateTime and got a string that is not an instant",
            ),
            (json!({ "id": "1", "other": 1 }), "\"box\" has a field \"other\", which Box has not"),
            (json!("text"), "\"box\" expects type Box and got a string"),
            (json!(null), "\"box\" expects type Box! and got null"),
        ] {
            assert_eq!(of_box(value), [format!("Variable \"$box\" is invalid: {problem}")]);
        }
        assert_eq!(
            coerce_in("$a: String!, $b: Int", &json!({ "b": true })).unwrap_err(),
            [
                "Variable \"$a\" of type \"String!\" is missing",
                "Variable \"$b\" is invalid: \"b\" expects type Int and got a boolean",
            ]
        );
    }
}
