//! Where an error of the library stands in the document.

use bluejay_core::definition::SchemaDefinition;
use bluejay_parser::HasSpan;
use bluejay_parser::ast::Value;
use bluejay_parser::ast::executable::ExecutableDocument;
use bluejay_validator::executable::document::{ArgumentError, DirectiveError, Error};
use bluejay_validator::value::input_coercion;

/// Offsets in the text of a document.
pub(super) type Places = (usize, Option<usize>);

/// Returns the first two places of an error, as offsets in the text.
pub(super) fn places<S: SchemaDefinition>(error: &Error<'_, ExecutableDocument<'_>, S>) -> Places {
    match error {
        Error::NonUniqueOperationNames { operations, .. } => starts(operations),
        Error::NotLoneAnonymousOperation { anonymous_operations } => starts(anonymous_operations),
        Error::NonUniqueFragmentDefinitionNames { fragment_definitions, .. } => {
            starts(fragment_definitions)
        }
        Error::SubscriptionRootNotSingleField { operation } => (start(*operation), None),
        Error::OperationTypeNotDefined { operation } => (start(*operation), None),
        Error::FieldDoesNotExistOnType { field, .. }
        | Error::NonLeafFieldSelectionEmpty { field, .. } => (start(*field), None),
        Error::LeafFieldSelectionNotEmpty { selection_set, .. } => (start(*selection_set), None),
        Error::FragmentDefinitionTargetTypeDoesNotExist { fragment_definition }
        | Error::FragmentDefinitionTargetTypeNotComposite { fragment_definition }
        | Error::FragmentDefinitionUnused { fragment_definition } => {
            (start(*fragment_definition), None)
        }
        Error::InlineFragmentTargetTypeDoesNotExist { inline_fragment }
        | Error::InlineFragmentTargetTypeNotComposite { inline_fragment }
        | Error::InlineFragmentSpreadIsNotPossible { inline_fragment, .. } => {
            (start(*inline_fragment), None)
        }
        Error::FragmentSpreadTargetUndefined { fragment_spread }
        | Error::FragmentSpreadCycle { fragment_spread, .. }
        | Error::FragmentSpreadIsNotPossible { fragment_spread, .. } => {
            (start(*fragment_spread), None)
        }
        Error::FieldSelectionsDoNotMergeIncompatibleTypes { field_a, field_b, .. }
        | Error::FieldSelectionsDoNotMergeDifferingNames { field_a, field_b, .. }
        | Error::FieldSelectionsDoNotMergeDifferingArguments { field_a, field_b, .. } => {
            (start(*field_a), Some(start(*field_b)))
        }
        Error::InvalidConstValue(error) => (of_value(error), None),
        Error::InvalidVariableValue(error) => (of_value(error), None),
        Error::InvalidConstDirective(error) => of_directive(error),
        Error::InvalidVariableDirective(error) => of_directive(error),
        Error::InvalidConstArgument(error) => of_argument(error),
        Error::InvalidVariableArgument(error) => of_argument(error),
        Error::NonUniqueVariableDefinitionNames { variable_definitions, .. } => {
            let mut starts = variable_definitions.iter().map(|it| start(it.variable()));
            (starts.next().unwrap_or_default(), starts.next())
        }
        Error::VariableDefinitionTypeNotInput { variable_definition }
        | Error::VariableDefinitionUnused { variable_definition } => {
            (start(variable_definition.variable()), None)
        }
        Error::VariableNotDefined { variable, .. }
        | Error::InvalidVariableUsage { variable, .. }
        | Error::InvalidOneOfVariableUsage { variable, .. } => (start(*variable), None),
    }
}

/// Returns where a wrong value stands.
pub(super) fn of_value<const CONST: bool>(
    error: &input_coercion::Error<'_, CONST, Value<'_, CONST>>,
) -> usize {
    use input_coercion::Error as Of;
    match error {
        Of::NullValueForRequiredType { value, .. }
        | Of::NoImplicitConversion { value, .. }
        | Of::IntegerOutOfRange { value, .. }
        | Of::NonFiniteFloat { value, .. }
        | Of::NoEnumMemberWithName { value, .. }
        | Of::NoValueForRequiredFields { value, .. }
        | Of::NonUniqueFieldNames { value, .. }
        | Of::CustomScalarInvalidValue { value, .. } => start(*value),
        Of::NoInputFieldWithName { field, .. } => start(*field),
    }
}

fn of_directive<const CONST: bool, S: SchemaDefinition>(
    error: &DirectiveError<'_, CONST, ExecutableDocument<'_>, S>,
) -> Places {
    match error {
        DirectiveError::DirectiveDoesNotExist { directive }
        | DirectiveError::DirectiveInInvalidLocation { directive, .. } => (start(*directive), None),
        DirectiveError::DirectivesNotUniquePerLocation { directives, .. } => starts(directives),
    }
}

fn of_argument<const CONST: bool, S: SchemaDefinition>(
    error: &ArgumentError<'_, CONST, ExecutableDocument<'_>, S>,
) -> Places {
    match error {
        ArgumentError::NonUniqueArgumentNames { arguments, .. } => starts(arguments),
        ArgumentError::ArgumentDoesNotExistOnField { argument, .. }
        | ArgumentError::ArgumentDoesNotExistOnDirective { argument, .. } => {
            (start(*argument), None)
        }
        ArgumentError::DirectiveMissingRequiredArguments { directive, .. } => {
            (start(*directive), None)
        }
        ArgumentError::FieldMissingRequiredArguments { field, .. } => (start(*field), None),
    }
}

fn starts(parts: &[&impl HasSpan]) -> Places {
    let mut starts = parts.iter().map(|part| start(*part));
    (starts.next().unwrap_or_default(), starts.next())
}

fn start(part: &impl HasSpan) -> usize {
    part.span().byte_range().start
}
