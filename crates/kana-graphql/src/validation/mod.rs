//! Holds a document against the schema (GraphQL specification, "Validation"). A library has the
//! rules; what stands here is what it lets through, and the messages that name a value's place.

mod places;

use async_graphql::ServerError;
use bluejay_core::Value as _;
use bluejay_core::definition::SchemaDefinition;
use bluejay_core::executable::Field as _;
use bluejay_parser::ast::Value;
use bluejay_parser::ast::executable::ExecutableDocument;
use bluejay_validator::Path;
use bluejay_validator::executable::Cache;
use bluejay_validator::executable::document::{BuiltinRulesValidator, Error};
use bluejay_validator::value::input_coercion;

use crate::conversion::Given;
use crate::document::Parsed;
use crate::error::{ERRORS_MAX, refusal};
use crate::positions::Positions;
use crate::scalars::literal_kind;
use crate::schema::{expected, unknown_field};
use places::{Places, places};

/// How many errors are held at a time.
const HELD_MAX: usize = 1000;

/// Fields of introspection that the executor has and the library does not know: type, field.
const MORE_INTROSPECTION: [(&str, &str); 3] = [
    ("__InputValue", "isDeprecated"),
    ("__InputValue", "deprecationReason"),
    ("__Type", "isOneOf"),
];

/// Refuses a document that is not valid, whichever of its operations is executed. Must come after
/// the limits, since it follows every fragment wherever it is used.
pub(crate) fn check<S: SchemaDefinition>(
    schema: &S,
    parsed: &Parsed<'_>,
) -> Result<(), Vec<ServerError>> {
    let cache = Cache::new(&parsed.syntax, schema);
    let errors = BuiltinRulesValidator::validate(&parsed.syntax, schema, &cache);
    let errors = first_in_text(errors.filter(|error| !is_introspection(error)));
    if errors.is_empty() {
        return Ok(());
    }
    let mut positions = Positions::new(parsed.text);
    let mut refused = Vec::new();
    for ((first, second), error) in errors {
        let mut next = refusal(&message(parsed, error), None);
        next.locations.push(positions.at(first));
        next.locations.extend(second.map(|second| positions.at(second)));
        // The library finds some errors twice.
        if !refused.contains(&next) {
            refused.push(next);
        }
        if refused.len() == ERRORS_MAX {
            break;
        }
    }
    Err(refused)
}

/// Returns the first errors in the order of the text; the library has no order among the errors of a
/// rule. Holds few of them at a time, since every value of a document may be wrong.
fn first_in_text<'a, S: SchemaDefinition>(
    errors: impl Iterator<Item = Error<'a, ExecutableDocument<'a>, S>>,
) -> Vec<(Places, Error<'a, ExecutableDocument<'a>, S>)> {
    let mut first = Vec::new();
    for error in errors {
        if first.len() == HELD_MAX {
            first.sort_by_key(|(places, _)| *places);
            first.truncate(HELD_MAX / 2);
        }
        first.push((places(&error), error));
    }
    first.sort_by_key(|(places, _)| *places);
    first
}

/// Returns true if the error is about a field of introspection that the executor has. None of them
/// has arguments, and all are scalars.
fn is_introspection<S: SchemaDefinition>(error: &Error<'_, ExecutableDocument<'_>, S>) -> bool {
    let Error::FieldDoesNotExistOnType { field, r#type } = error else {
        return false;
    };
    field.arguments().is_none()
        && field.selection_set().is_none()
        && MORE_INTROSPECTION.contains(&(r#type.name(), field.name().as_str()))
}

/// Says what is wrong.
fn message<'a, S: SchemaDefinition>(
    parsed: &Parsed<'_>,
    error: Error<'a, ExecutableDocument<'a>, S>,
) -> String {
    match error {
        Error::InvalidConstValue(error) => of_value(parsed, &error),
        Error::InvalidVariableValue(error) => of_value(parsed, &error),
        Error::FieldSelectionsDoNotMergeIncompatibleTypes { field_a, .. }
        | Error::FieldSelectionsDoNotMergeDifferingNames { field_a, .. }
        | Error::FieldSelectionsDoNotMergeDifferingArguments { field_a, .. } => format!(
            "The fields \"{}\" conflict: they have one name in the answer and ask for different \
             things; give one of them an alias",
            field_a.response_name()
        ),
        other => bluejay_parser::Error::from(other).message().to_owned(),
    }
}

/// Says what is wrong with a value, by the name of the argument or variable that it is given to.
fn of_value<const CONST: bool>(
    parsed: &Parsed<'_>,
    error: &input_coercion::Error<'_, CONST, Value<'_, CONST>>,
) -> String {
    let (what, name) = match parsed.named_values.around(places::of_value(error)) {
        Some(Given::ToVariable(name)) => ("Variable", name),
        Some(Given::ToArgument(name)) => ("Argument", name),
        None => ("Argument", ""),
    };
    let mut path = vec![name.to_owned()];
    path.extend(path_of(error).to_vec::<String>());
    format!("{what} {name:?} is invalid: {}", problem(error, &path))
}

/// Returns the path of a wrong value within the argument or the variable's default.
fn path_of<'e, const CONST: bool>(
    error: &'e input_coercion::Error<'_, CONST, Value<'_, CONST>>,
) -> &'e Path<'e> {
    use input_coercion::Error as Of;
    match error {
        Of::NullValueForRequiredType { path, .. }
        | Of::NoImplicitConversion { path, .. }
        | Of::IntegerOutOfRange { path, .. }
        | Of::NonFiniteFloat { path, .. }
        | Of::NoEnumMemberWithName { path, .. }
        | Of::NoValueForRequiredFields { path, .. }
        | Of::NonUniqueFieldNames { path, .. }
        | Of::NoInputFieldWithName { path, .. }
        | Of::CustomScalarInvalidValue { path, .. } => path,
    }
}

/// Says what is wrong with the value at `path`.
fn problem<const CONST: bool>(
    error: &input_coercion::Error<'_, CONST, Value<'_, CONST>>,
    path: &[String],
) -> String {
    use input_coercion::Error as Of;
    match error {
        Of::NullValueForRequiredType { input_type_name, .. } => {
            expected(path, input_type_name, "null")
        }
        Of::NoImplicitConversion { value, input_type_name, .. } => {
            let type_name = input_type_name.trim_end_matches('!');
            expected(path, type_name, literal_kind(&value.as_ref()))
        }
        Of::IntegerOutOfRange { .. } => expected(path, "Int", "a number"),
        Of::NoEnumMemberWithName { enum_type_name, .. } => {
            expected(path, enum_type_name, "a name that is none of its values")
        }
        Of::CustomScalarInvalidValue { custom_scalar_type_name, message, .. } => {
            expected(path, custom_scalar_type_name, message)
        }
        Of::NoValueForRequiredFields { field_names, input_object_type_name, .. } => {
            let (path, names) = (path.join("."), field_names.join("\", \""));
            format!("\"{path}\" lacks \"{names}\", which {input_object_type_name} requires")
        }
        Of::NoInputFieldWithName { field, input_object_type_name, .. } => {
            // The path leads to the field itself.
            let object = path.split_last().map_or(path, |(_, object)| object);
            unknown_field(object, field.as_ref(), input_object_type_name)
        }
        other => format!("\"{}\": {}", path.join("."), other.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse;
    use crate::scalars::{CustomScalar, Scalars};
    use crate::schema::ApiSchema;

    const SDL: &str = "
        scalar JSON
        scalar DateTime
        enum Color { RED GREEN }
        input Box { id: String! size: Int = 1 color: Color tags: [String!] at: DateTime more: JSON }
        type Thing { part(id: String!, size: Int): Thing name: String }
        type Query { a(box: Box, ids: [String!]!, size: Int! = 1): Thing b: Thing }
        schema { query: Query }";

    #[derive(Debug)]
    struct Dates;

    impl Scalars for Dates {
        const CHECKED: &'static [CustomScalar] = &[CustomScalar {
            name: "DateTime",
            accepts: |value| value.as_str().is_some_and(|text| text.starts_with("20")),
            format: Some("an instant"),
        }];
    }

    fn errors_in(text: &str) -> Vec<String> {
        let schema: ApiSchema<Dates> = ApiSchema::of_sdl(SDL.to_owned());
        let found = check(&schema.definition, &parse(text).unwrap());
        found.err().unwrap_or_default().into_iter().map(|error| error.message).collect()
    }

    #[test]
    fn a_valid_document_is_taken() {
        for text in [
            "{ a(ids: []) { __typename } }",
            "{ a(ids: \"one\", box: { id: \"1\", color: RED, tags: \"x\" }) { name } }",
            "query ($i: String!) { a(ids: [$i], box: { id: $i }) { part(id: $i) { name } } }",
            "query ($i: String = \"x\") { a(ids: [], box: { id: $i }) { name } }",
            "query ($s: Int) { a(ids: [], size: $s) { name } }",
            "query ($j: JSON, $c: Color) { a(ids: [], box: { id: \"\", more: { a: $j, b: RED }, color: $c }) { name } }",
            "query ($j: Boolean!) { a(ids: [], box: { id: \"\", more: [$j, { a: [$j] }] }) { name } }",
            "query ($b: Box, $t: [String!]!) { a(ids: $t, box: $b) { name } }",
            "query ($if: Boolean!) { a(ids: []) @include(if: $if) { name @skip(if: false) } }",
            "{ a(ids: []) { __typename @skip(if: false) @include(if: true) } }",
            "{ __schema { types { name } } __type(name: \"A\") { name } }",
            "query ($n: String!, $d: Boolean) { __type(name: $n) { fields(includeDeprecated: $d) { name } } }",
            "query one { a(ids: []) { name } } query two ($i: String!) { a(ids: [$i]) { name } }",
            "{ a(ids: [], size: -0, box: { id: \"\", size: -0 }) { name } }",
            "query ($t: [ String ! ] # c\n !) { a(ids: $t) { name } }",
            "{ ... on # c\n Query { b { name } } }",
            "{ a(ids: [], size: 2, box: { id: \"\", more: [truex, nullx, {null: falsex}] }) { name } }",
            "{ b { name } b { name: name ...f } } fragment f on Thing { name }",
            "{ b { ...f ...f } b { ...f } } fragment f on Thing { part(id: \"\") { name } }",
        ] {
            assert_eq!(errors_in(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn introspection_has_what_the_executor_has() {
        let text = "{ __schema { types { isOneOf inputFields { isDeprecated deprecationReason } \
            fields { args(includeDeprecated: true) { isDeprecated defaultValue } } } } }";
        assert_eq!(errors_in(text), [""; 0]);
        for text in [
            "{ __schema { types { isDeprecated } } }",
            "{ __schema { types { isOneOf { name } } } }",
            "{ __schema { types { isOneOf(x: 1) } } }",
        ] {
            assert_eq!(errors_in(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_wrong_value_is_named() {
        for (text, message) in [
            ("{ a(ids: null) { name } }", "\"ids\" expects type [String!]! and got null"),
            ("{ a(ids: [1]) { name } }", "\"ids.0\" expects type String and got a number"),
            ("{ a(ids: A) { name } }", "\"ids\" expects type String and got a name"),
            ("{ a(ids: [[\"\"]]) { name } }", "\"ids.0\" expects type String and got a list"),
            (
                "{ a(ids: [], size: 2147483648) { name } }",
                "\"size\" expects type Int and got a number",
            ),
            ("{ a(ids: [], size: -0.0) { name } }", "\"size\" expects type Int and got a number"),
            ("{ a(ids: [], size: {}) { name } }", "\"size\" expects type Int and got an object"),
            ("{ a(ids: [], box: \"x\") { name } }", "\"box\" expects type Box and got a string"),
            ("{ a(ids: [], box: {}) { name } }", "\"box\" lacks \"id\", which Box requires"),
            (
                "{ a(ids: [], box: { id: \"1\", no: 1 }) { name } }",
                "\"box\" has a field \"no\", which Box has not",
            ),
            (
                "{ a(ids: [], box: { id: \"1\", color: \"RED\" }) { name } }",
                "\"box.color\" expects type Color and got a string",
            ),
            (
                "{ a(ids: [], box: { id: \"1\", color: BLUE }) { name } }",
                "\"box.color\" expects type Color and got a name that is none of its values",
            ),
            (
                "{ a(ids: [], box: { id: \"1\", at: \"now\" }) { name } }",
                "\"box.at\" expects type DateTime and got a string that is not an instant",
            ),
            (
                "query ($x: DateTime) { a(ids: [], box: { id: \"\", at: [$x] }) { name } }",
                "\"box.at\" expects type DateTime and got a list",
            ),
            (
                "query ($x: String!) { a(ids: [], box: { id: { a: $x } }) { name } }",
                "\"box.id\" expects type String and got an object",
            ),
            (
                "query ($x: Boolean!) { b @skip(if: [$x]) { name } }",
                "\"if\" expects type Boolean and got a list",
            ),
            (
                "{ __schema { types { fields(includeDeprecated: 1) { name } } } }",
                "\"includeDeprecated\" expects type Boolean and got a number",
            ),
            (
                "{ b { name } } fragment unused on Query { a(ids: 1) { name } }",
                "\"ids\" expects type String and got a number",
            ),
        ] {
            let message = format!("is invalid: {message}");
            let found = errors_in(text);
            assert!(found.iter().any(|found| found.ends_with(&message)), "{text}: {found:?}");
        }
        assert_eq!(
            errors_in("query ($i: Int = \"x\") { a(ids: [], size: $i) { name } }"),
            ["Variable \"i\" is invalid: \"i\" expects type Int and got a string"]
        );
    }

    #[test]
    fn what_is_wrong_beside_a_value_is_found() {
        for (text, message) in [
            ("{ a { name } }", "missing argument(s): ids"),
            ("{ nothing }", "`nothing` does not exist on type `Query`"),
            ("{ b { part(size: 1) { name } } }", "missing argument(s): id"),
            ("{ b { name(x: 1) } }", "does not define an argument named `x`"),
            ("{ b { __typename(x: 1) } }", "does not define an argument named `x`"),
            ("{ b { __typename { x } } }", "leaf type `String!` was not empty"),
            ("{ b }", "No selection on field of non-leaf type `Thing`"),
            ("{ b { name @skip(if: false) @skip(if: true) } }", "skip"),
            ("{ b { name @other } }", "`@other`"),
            ("query @skip(if: true) { b { name } }", "QUERY"),
            ("{ ...f } fragment f on Query @skip(if: true) { b { name } }", "FRAGMENT_DEFINITION"),
            ("query ($v: Boolean! @skip(if: true)) { b @skip(if: $v) { name } }", "VARIABLE_"),
            ("{ a(ids: [$x]) { name } }", "$x not defined in anonymous operation"),
            (
                "query q { a(ids: [], box: { id: \"\", more: [{ a: $x }] }) { name } }",
                "$x not defined in operation q",
            ),
            ("query ($x: Int) { b { name } }", "$x not used"),
            ("query ($x: Box, $x: Box) { a(ids: [], box: $x) { name } }", "named $x"),
            ("query ($x: Thing) { a(ids: [], box: $x) { name } }", "not an input type"),
            (
                "query ($i: Int) { a(ids: [], box: { id: $i }) { name } }",
                "$i of type Int cannot be used here, where String! is expected",
            ),
            (
                "query ($i: String) { a(ids: [$i]) { name } }",
                "$i of type String cannot be used here, where String! is expected",
            ),
            (
                "query ($i: String = null) { a(ids: [$i]) { name } }",
                "$i of type String cannot be used here, where String! is expected",
            ),
            (
                "query ($i: [String]!) { a(ids: $i) { name } }",
                "$i of type [String]! cannot be used here, where [String!]! is expected",
            ),
            ("{ ...nothing }", "`nothing`"),
            ("{ b { ...f } } fragment f on Query { b { name } }", "cannot be spread"),
            ("subscription { x }", "subscription"),
        ] {
            let found = errors_in(text);
            assert!(found.iter().any(|found| found.contains(message)), "{text}: {found:?}");
        }
    }

    #[test]
    fn fields_that_merge_and_differ_are_refused() {
        for text in [
            "{ b { name } x: a(ids: \"1\") { name } x: b { name } }",
            "{ b { part(id: \"\") { x: name } } b { part(id: \"\") { x: __typename } } }",
            "{ b { part(id: \"1\") { name } } b { part(id: \"2\") { name } } }",
            "{ b { ...f } b { x: name } } fragment f on Thing { x: __typename }",
            "{ ... { b { x: name } } ...g } fragment g on Query { b { x: __typename } }",
            "query one { b { name } } query two { b { x: name } b { x: __typename } }",
        ] {
            let found = errors_in(text);
            assert!(found.iter().any(|found| found.contains("conflict")), "{text}: {found:?}");
        }
    }

    #[test]
    fn the_first_errors_come_first() {
        let fields: String = (0..100).map(|n| format!(" x{n}: nothing{n}")).collect();
        let conflicts: String = (0..50).map(|n| format!(" c{n}: name c{n}: __typename")).collect();
        let text = format!("{{ b {{ {conflicts} }} {fields} }}");
        let found = errors_in(&text);
        assert_eq!(found.len(), ERRORS_MAX);
        assert!(found[0].contains("\"c0\" conflict"), "{}", found[0]);
        for _ in 0..12 {
            assert_eq!(errors_in(&text), found);
        }
    }
}
