//! Converts a parsed document to the form that the executor takes.

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

#[cfg(test)]
mod tests {
    use async_graphql::parser::types::Selection;
    use async_graphql_value::Value;
    use proptest::prelude::*;

    use super::Given;
    use crate::document::parse;
    use crate::escapes::join_surrogates;

    /// The values of the arguments of the first field, and the column and line of its last.
    fn read(text: &str) -> Option<(Vec<Value>, async_graphql::Pos)> {
        let document = parse(&join_surrogates(text)).ok()?.document;
        let operation = &document.operation(None).ok()?;
        let Selection::Field(field) = &operation.node.selection_set.node.items.first()?.node else {
            return None;
        };
        let arguments = &field.node.arguments;
        let values = arguments.iter().map(|(_, value)| value.node.clone()).collect();
        Some((values, arguments.last()?.0.pos))
    }

    /// The value that a literal is read as; `None` when it is refused.
    fn value_of(literal: &str) -> Option<Value> {
        let (mut values, _) = read(&format!("{{ a(b: {literal}, c: 1) }}"))?;
        Some(values.remove(0))
    }

    fn string_of(literal: &str) -> Option<String> {
        match value_of(literal)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    #[test]
    fn escapes_beyond_16_bits_are_read() {
        for (literal, value) in [
            (r#""\uD83D\uDE00""#, "\u{1f600}"),
            (r#""a\ud83d\ude00b\u00e9""#, "a\u{1f600}bé"),
            (r#""\u{1F600}""#, "\u{1f600}"),
            (r#""\u{0}\u{41}\u{00000041}\u{10FFFF}""#, "\0AA\u{10ffff}"),
            (r#""\u00e9\ud83d\ude00""#, "é\u{1f600}"),
            (r#""\u{22}\u{5c}\u{A}\u{d}\u{2028}""#, "\"\\\n\r\u{2028}"),
            (r#""\\u{41}\\\u{41}\"\u{41}""#, "\\u{41}\\A\"A"),
            (r#""\u0041\n\/\b""#, "A\n/\u{8}"),
            (r#""\u0041\u{41}\uFFFF""#, "AA\u{ffff}"),
            ("\"é\\u{e9}é\"", "ééé"),
        ] {
            assert_eq!(string_of(literal).as_deref(), Some(value), "{literal}");
        }
    }

    #[test]
    fn escapes_that_name_no_character_are_refused() {
        for literal in [
            r#""\uD83D""#,
            r#""\uDE00\uD83D""#,
            r#""\uD83Dx\uDE00""#,
            r#""\uD83D\u0041""#,
            r#""\uD83D\u{DE00}""#,
            r#""\u{D83D}\u{DE00}""#,
            r#""\u{110000}""#,
            r#""\u{100000041}""#,
            r#""\u{}""#,
            r#""\u{41""#,
            r#""\u{ 41}""#,
            r#""\u{+41}""#,
            r#""\u+041""#,
            r#""\u{4é}""#,
            r#""\u00é""#,
            r#""\x""#,
            r#""\u{41}\""#,
            "\"\\u{41}\n\"",
            "\"\\u{41}\\\n\"",
            r#""""\u{41}\""""#,
        ] {
            assert_eq!(value_of(literal), None, "{literal}");
        }
    }

    #[test]
    fn a_block_string_is_read_as_the_specification_says() {
        for (literal, value) in [
            (r#""""x \""" y""""#, "x \"\"\" y"),
            (r#""""\"""""""#, "\"\"\""),
            (r#""""a\\""" \" \n\u{41}""""#, "a\\\"\"\" \\\" \\n\\u{41}"),
            ("\"\"\"\"\"\"", ""),
            ("\"\"\" \n \n \"\"\"", ""),
            (
                "\"\"\"\n    Hello,\n      World!\n\n    Yours,\n      GraphQL.\n  \"\"\"",
                "Hello,\n  World!\n\nYours,\n  GraphQL.",
            ),
            ("\"\"\"  a\n   b\n  c\"\"\"", "  a\n b\nc"),
            ("\"\"\"\n    a\n  \n    b\n\"\"\"", "a\n\nb"),
            ("\"\"\"a\r\nb\rc\n\n\r\n\"\"\"", "a\nb\nc"),
            ("\"\"\"\n\t\ta\n\té\"\"\"", "\ta\né"),
        ] {
            assert_eq!(string_of(literal).as_deref(), Some(value), "{literal}");
        }
    }

    #[test]
    fn minus_zero_is_the_whole_number_zero() {
        assert_eq!(value_of("-0"), Some(Value::Number(0.into())));
        assert_eq!(value_of("[-0-0,-0]"), Some(Value::List(vec![Value::Number(0.into()); 3])));
        for (literal, kept) in [("-0.0", "-0.0"), ("-10", "-10"), ("\"-0\"", "\"-0\"")] {
            assert_eq!(value_of(literal).unwrap().to_string(), kept);
        }
        for literal in ["-0a", "-00", "-0.", "-0e"] {
            assert_eq!(value_of(literal), None, "{literal}");
        }
    }

    #[test]
    fn what_follows_keeps_its_place() {
        for literal in [
            r#""\u{1F600}\uD83D\uDE00""#,
            r#""\u{5c}\u{41}é""#,
            r#""""x""""#,
            r#""""x \""" y""""#,
            "\"\"\"\n\n  x \\\"\"\"\\\"\"\"\\\"\"\"\\\"\"\"\n é \"\"\"",
            "\"\"\"a\rb\"\"\"",
            "\"\"\"a\r\nb\n\"\"\"",
            "-0",
        ] {
            let second = format!("b: {literal}, c: \"é\", ");
            let (_, found) = read(&format!("{{ a(a: {literal}, # é\n{second}d: 1) }}")).unwrap();
            let last_line = second.rsplit(['\n', '\r']).next().unwrap();
            let ends = |literal: &str| literal.replace("\r\n", "\n").matches(['\n', '\r']).count();
            let expected = (2 + 2 * ends(literal), last_line.chars().count() + 1);
            assert_eq!((found.line, found.column), expected, "{literal}");
        }
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for (literal, number) in
            [("1", "1"), ("-12", "-12"), ("1.50", "1.5"), ("1e2", "100.0"), ("-0.0", "-0.0")]
        {
            assert_eq!(value_of(literal).unwrap().to_string(), number);
        }
        let max = "18446744073709551615";
        assert_eq!(value_of(max).unwrap().to_string(), max);
        for literal in ["01", "00", "-01", "1.", ".5", "1e", "+1", "0x1", "1_0", "1a", "1.5.5"] {
            assert_eq!(value_of(literal), None, "{literal}");
        }
        for literal in ["18446744073709551616", "1e999", "[1, {a: 0.30000000000000000001}]"] {
            let text = format!("{{ a(b: {literal}) }}");
            let parsed = parse(&text).unwrap();
            let error = parsed.inexact.unwrap();
            assert!(error.message.contains("send it as a string"), "{}", error.message);
        }
    }

    #[test]
    fn the_same_field_twice_in_an_object_is_refused() {
        for text in [
            "{ a(b: { x: 1, x: 2 }) }",
            "{ a(b: { x: 1 y: { x: 2 } x # :\n , : 3 }) }",
            "{ a(b: [{ y: { z: 1 } }, { y: 1, y: 2 }]) }",
            "query ($v: Box = { x: 1, x: 1 }) { a(b: $v) }",
            "{ a { a @include(if: { x: 1, x: 1 }) } }",
        ] {
            let error = parse(text).err().unwrap();
            assert!(error.message.ends_with("more than once"), "{text}: {}", error.message);
            assert_eq!(error.locations.len(), 1);
        }
        let text = "{ x: a x: a a(x: 1, y: [{ x: 1 }, { x: 1 }], z: { x: { x: 1 } }) { x: a } }";
        assert!(parse(text).is_ok());
    }

    #[test]
    fn a_value_is_found_by_its_place() {
        let text = "query ($v: Box = { a: 1 }) { a(b: [2], c: { d: 3 }) @skip(if: 4) }";
        let named_values = parse(text).unwrap().named_values;
        for (found, given) in [
            ("1", Some(Given::ToVariable("v"))),
            ("2", Some(Given::ToArgument("b"))),
            ("3", Some(Given::ToArgument("c"))),
            ("4", Some(Given::ToArgument("if"))),
            ("a(", None),
            ("query", None),
        ] {
            assert_eq!(named_values.around(text.find(found).unwrap()), given, "{found}");
        }
    }

    /// One character of a string, as a literal may write it.
    fn spelled() -> impl Strategy<Value = (char, String)> {
        let c = prop_oneof![any::<char>(), proptest::char::range(' ', '~')];
        (c, 0..4_usize).prop_map(|(c, way)| {
            let mut units = [0; 2];
            let spelling = match way {
                0 => format!("\\u{{{:x}}}", u32::from(c)),
                1 => format!("\\u{{{:08X}}}", u32::from(c)),
                2 if c >= ' ' && !matches!(c, '"' | '\\') => c.to_string(),
                _ => {
                    c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
                }
            };
            (c, spelling)
        })
    }

    /// What graphql-js does, line by line, as an opinion of its own.
    fn dedented(raw: &str) -> String {
        let unescaped = raw.replace("\\\"\"\"", "\"\"\"");
        let text = unescaped.replace("\r\n", "\n").replace('\r', "\n");
        let mut lines: Vec<Vec<char>> =
            text.split('\n').map(|line| line.chars().collect()).collect();
        let leading = |line: &[char]| line.iter().take_while(|c| matches!(c, ' ' | '\t')).count();
        let mut common = usize::MAX;
        for line in &lines[1..] {
            if leading(line) < line.len() {
                common = common.min(leading(line));
            }
        }
        for line in &mut lines[1..] {
            line.drain(..common.min(line.len()));
        }
        while lines.first().is_some_and(|line| leading(line) == line.len()) {
            lines.remove(0);
        }
        while lines.last().is_some_and(|line| leading(line) == line.len()) {
            lines.pop();
        }
        lines.into_iter().map(String::from_iter).collect::<Vec<_>>().join("\n")
    }

    proptest! {
        #[test]
        fn every_string_is_read_however_it_is_spelled(
            spelled in proptest::collection::vec(spelled(), 0..12),
        ) {
            let value: String = spelled.iter().map(|(c, _)| c).collect();
            let literal: String = spelled.iter().map(|(_, spelling)| spelling.as_str()).collect();
            prop_assert_eq!(string_of(&format!("\"{literal}\"")), Some(value));
        }

        #[test]
        fn every_block_string_has_its_value(
            parts in proptest::collection::vec("[ \t\n\r]{1,3}|[a\\\\é]|\\\\\"\"\"", 0..16),
        ) {
            let raw = parts.concat();
            // A backslash at the end would escape the quotes.
            let raw = raw.trim_end_matches('\\');
            prop_assert_eq!(string_of(&format!("\"\"\"{raw}\"\"\"")), Some(dedented(raw)));
        }

    }
}
