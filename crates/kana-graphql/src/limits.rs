//! What a document may cost (contract: `admin-api.md`, "Requests").
//!
//! The limits are held before the document is validated, since validation itself follows every
//! fragment wherever it is used, and takes as long as the document expands to.

use std::collections::HashMap;

use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned, ServerError};
use async_graphql_value::Value;

use crate::document::Document;
use crate::error::refusal;

/// How deep fields may be nested.
const DEPTH_MAX: usize = 15;
/// How many fields an operation may have, with fragments expanded and every alias counted.
const FIELDS_MAX: usize = 1000;
/// How many fields and fragments all operations of a document may have together, with fragments
/// expanded, and all its fragments: every one of them is validated, whichever is executed.
const SELECTIONS_MAX: usize = 20_000;
/// How many values they may have together in their arguments, with fragments expanded. The largest
/// batch fits. Validation may find an error in each.
const VALUES_MAX: usize = 200_000;
/// How deep selections may nest, with fragments expanded. Whatever follows them recurses.
const LEVELS_MAX: usize = 100;
/// How many variables an operation may declare. Validation takes the square of their number.
const VARIABLES_MAX: usize = 256;
/// How many arguments a field or directive may have, for the same reason.
const ARGUMENTS_MAX: usize = 256;
/// How many directives may stand in one place, for the same reason.
const DIRECTIVES_MAX: usize = 256;

/// Refuses a document that is too deep or too large once its fragments are expanded. Operations
/// that are not executed, and fragments that none uses, are held against the same limits, since
/// they are validated too.
pub(crate) fn check(document: &Document) -> Result<(), ServerError> {
    let (operations, definitions) = (document.operations(), document.fragments());
    for (_, operation) in &operations {
        check_definition(&operation.node)?;
    }
    let mut fragments = FragmentExtents::new(document.parsed());
    let (mut largest, mut in_operations, mut in_fragments) = Default::default();
    for (_, operation) in operations {
        let extent = fragments.of_selections(&operation.node.selection_set.node)?;
        add(&mut largest, &mut in_operations, extent);
    }
    for (name, definition) in definitions {
        check_directives(&definition.node.directives)?;
        add(&mut largest, &mut in_fragments, fragments.of_fragment(name)?);
    }
    if largest.depth > DEPTH_MAX {
        return refuse(&format!("The document nests fields deeper than {DEPTH_MAX}"));
    }
    if largest.fields > FIELDS_MAX {
        return refuse(&format!(
            "The operation has more than {FIELDS_MAX} fields, with fragments expanded and every \
             alias counted"
        ));
    }
    check_together("operations", in_operations)?;
    check_together("fragments", in_fragments)
}

fn add(largest: &mut Extent, together: &mut Extent, extent: Extent) {
    *largest = largest.or_larger(extent);
    *together = together.and(extent);
}

/// Checks what all operations, or all fragments, come to.
fn check_together(what: &str, together: Extent) -> Result<(), ServerError> {
    if together.selections > SELECTIONS_MAX {
        return refuse(&format!(
            "The {what} of the document have more than {SELECTIONS_MAX} fields and fragments \
             together, with fragments expanded"
        ));
    }
    if together.values > VALUES_MAX {
        return refuse(&format!(
            "The {what} of the document have more than {VALUES_MAX} values together, with \
             fragments expanded"
        ));
    }
    Ok(())
}

fn refuse<T>(message: &str) -> Result<T, ServerError> {
    Err(refusal(message, None))
}

/// Checks what an operation has beside its selections.
fn check_definition(operation: &OperationDefinition) -> Result<(), ServerError> {
    if operation.variable_definitions.len() > VARIABLES_MAX {
        return refuse(&format!("An operation declares more than {VARIABLES_MAX} variables"));
    }
    check_directives(&operation.directives)?;
    for definition in &operation.variable_definitions {
        check_directives(&definition.node.directives)?;
    }
    Ok(())
}

fn check_directives(directives: &[Positioned<Directive>]) -> Result<(), ServerError> {
    if directives.len() > DIRECTIVES_MAX {
        return refuse(&format!("More than {DIRECTIVES_MAX} directives stand in one place"));
    }
    Ok(())
}

/// What an operation or a fragment comes to when it is expanded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Extent {
    /// How deep its fields nest.
    depth: usize,
    /// How deep its selections nest, of fragments too.
    levels: usize,
    fields: usize,
    /// Its fields and fragments.
    selections: usize,
    /// The values in its arguments.
    values: usize,
}

impl Extent {
    /// The larger in each respect, so that the order in which extents come does not matter.
    fn or_larger(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            levels: self.levels.max(other.levels),
            fields: self.fields.max(other.fields),
            selections: self.selections.max(other.selections),
            values: self.values.max(other.values),
        }
    }

    /// Both, one beside the other.
    fn and(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            levels: self.levels.max(other.levels),
            fields: self.fields.saturating_add(other.fields),
            selections: self.selections.saturating_add(other.selections),
            values: self.values.saturating_add(other.values),
        }
    }
}

/// Computes each fragment once, so that fragments that use each other cost no more than their
/// text.
struct FragmentExtents<'a> {
    document: &'a ExecutableDocument,
    /// `None` while it is being computed: to meet it then is a cycle.
    known: HashMap<&'a str, Option<Extent>>,
    /// How deep the selections are that are being computed.
    level: usize,
}

impl<'a> FragmentExtents<'a> {
    fn new(document: &'a ExecutableDocument) -> Self {
        Self { document, known: HashMap::new(), level: 0 }
    }

    fn of_selections(&mut self, selections: &'a SelectionSet) -> Result<Extent, ServerError> {
        self.level += 1;
        self.check_level(0)?;
        let mut all = Extent::default();
        for selection in &selections.items {
            let extent = match &selection.node {
                Selection::Field(field) => self.of_field(&field.node)?,
                Selection::InlineFragment(fragment) => {
                    let inner = self.of_selections(&fragment.node.selection_set.node)?;
                    with_directives(inner, &fragment.node.directives)?
                }
                Selection::FragmentSpread(spread) => {
                    let inner = self.of_fragment(&spread.node.fragment_name.node)?;
                    with_directives(inner, &spread.node.directives)?
                }
            };
            all = all.and(extent).and(Extent { selections: 1, ..Extent::default() });
        }
        self.level -= 1;
        Ok(Extent { levels: all.levels + 1, ..all })
    }

    fn of_field(&mut self, field: &'a Field) -> Result<Extent, ServerError> {
        let inner = match &field.selection_set.node {
            none if none.items.is_empty() => Extent::default(),
            selections => self.of_selections(selections)?,
        };
        let values = values_of(&field.arguments)?;
        let field_itself = Extent { fields: 1, values, ..Extent::default() };
        let all = Extent { depth: inner.depth + 1, ..inner.and(field_itself) };
        with_directives(all, &field.directives)
    }

    fn of_fragment(&mut self, name: &'a str) -> Result<Extent, ServerError> {
        match self.known.get(name) {
            Some(Some(extent)) => {
                let extent = *extent;
                self.check_level(extent.levels)?;
                return Ok(extent);
            }
            Some(None) => return refuse(&format!("The fragment {name:?} contains itself")),
            None => {}
        }
        // A fragment that does not exist is for validation to complain about.
        let Some(fragment) = self.document.fragments.get(name) else {
            return Ok(Extent::default());
        };
        self.known.insert(name, None);
        let extent = self.of_selections(&fragment.node.selection_set.node)?;
        self.known.insert(name, Some(extent));
        Ok(extent)
    }

    /// Refuses so many levels more. Only fragments reach as deep: the parser stops before.
    fn check_level(&self, more: usize) -> Result<(), ServerError> {
        if self.level + more > LEVELS_MAX {
            return refuse(&format!("Fragments use each other more than {LEVELS_MAX} deep"));
        }
        Ok(())
    }
}

fn with_directives(
    mut extent: Extent,
    directives: &[Positioned<Directive>],
) -> Result<Extent, ServerError> {
    check_directives(directives)?;
    for directive in directives {
        let values = values_of(&directive.node.arguments)?;
        extent = extent.and(Extent { values, ..Extent::default() });
    }
    Ok(extent)
}

/// How many values the arguments of one field or directive consist of.
fn values_of(arguments: &[(Positioned<Name>, Positioned<Value>)]) -> Result<usize, ServerError> {
    if arguments.len() > ARGUMENTS_MAX {
        return refuse(&format!("A field or directive has more than {ARGUMENTS_MAX} arguments"));
    }
    Ok(arguments.iter().map(|(_, value)| values_in(&value.node)).sum())
}

/// How many values a value consists of, itself included.
fn values_in(value: &Value) -> usize {
    let inner: usize = match value {
        Value::List(items) => items.iter().map(values_in).sum(),
        Value::Object(fields) => fields.values().map(values_in).sum(),
        _ => 0,
    };
    inner + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse;

    fn extent(text: &str) -> Result<Extent, ServerError> {
        let document = parse(text).unwrap().document;
        let (_, operation) = document.operations().remove(0);
        FragmentExtents::new(document.parsed()).of_selections(&operation.node.selection_set.node)
    }

    #[test]
    fn what_a_document_has_is_counted_as_it_expands() {
        for (text, [depth, levels, fields, selections, values]) in [
            ("{ a }", [1, 1, 1, 1, 0]),
            ("{ a b: a c: a }", [1, 1, 3, 3, 0]),
            ("{ a { b { c } } d }", [3, 3, 4, 4, 0]),
            ("{ ...f ...f } fragment f on Query { a { b } }", [2, 3, 4, 6, 0]),
            ("{ ... on Query { a } ... { b } }", [1, 2, 2, 4, 0]),
            ("{ ...missing }", [0, 1, 0, 1, 0]),
            ("{ a(b: [1, {c: $d}], e: []) @f(g: 1) ...f @f(g: 1) }", [1, 1, 1, 2, 7]),
            ("{ ... @f(g: 1) { a } }", [1, 2, 1, 2, 1]),
        ] {
            let expected = Extent { depth, levels, fields, selections, values };
            assert_eq!(extent(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn fragments_that_double_each_other_are_counted_without_being_expanded() {
        let mut text = "{ ...f0 }".to_owned();
        for index in 0..90 {
            let next = index + 1;
            text += &format!(" fragment f{index} on Query {{ ...f{next} ...f{next} }}");
        }
        text += " fragment f90 on Query { a }";
        assert_eq!(extent(&text).unwrap().fields, usize::MAX);
    }

    #[test]
    fn a_fragment_that_contains_itself_is_refused() {
        let text = "{ ...f } fragment f on Query { ...g } fragment g on Query { a { ...f } }";
        assert!(extent(text).unwrap_err().message.contains("contains itself"));
    }

    /// Fragments of which each uses the next, within some selections of its own.
    fn chain(length: usize, within: usize) -> String {
        let (open, close) = ("... { ".repeat(within), "} ".repeat(within));
        let fragment = |index| {
            let next = index + 1;
            format!(" fragment f{index} on Query {{ {open} ...f{next} {close} }}")
        };
        (0..length).map(fragment).collect::<String>()
            + &format!(" fragment f{length} on Query {{ a }}")
    }

    #[test]
    fn a_long_chain_of_fragments_is_refused() {
        for (length, within) in [(10_000, 0), (99, 0), (10, 10), (3, 40)] {
            let text = "{ ...f0 }".to_owned() + &chain(length, within);
            assert!(extent(&text).unwrap_err().message.contains("use each other"), "{length}");
        }
        for (length, within) in [(98, 0), (9, 9), (2, 40)] {
            assert!(extent(&("{ ...f0 }".to_owned() + &chain(length, within))).is_ok(), "{length}");
        }
    }

    #[test]
    fn a_long_chain_is_refused_though_its_end_is_known_before() {
        let ends: String = (0..100).rev().map(|end| format!("...f{} ", end * 50)).collect();
        let text = format!("{{ {ends} }}") + &chain(5000, 0);
        assert!(extent(&text).unwrap_err().message.contains("use each other"));
    }
}
