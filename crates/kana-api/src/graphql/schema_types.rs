//! What a schema says of its types, as far as values are concerned. It is read from the schema's
//! own text, so that there is nothing to keep in step.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, SchemaDefinition, Type, TypeKind,
    TypeSystemDefinition,
};
use async_graphql::{Name, Positioned};
use kana_core::Timestamp;
use serde_json::Value;

use super::scalars;

/// A schema's types.
pub(super) struct SchemaTypes {
    inputs: HashMap<String, InputType>,
    objects: HashMap<String, HashMap<String, Field>>,
    pub(super) query: String,
    pub(super) mutation: Option<String>,
}

/// A type that values can have.
pub(super) enum InputType {
    Scalar(Scalar),
    Enum(HashSet<String>),
    Object(Vec<InputField>),
}

/// Whether a value, as JSON, is one of a scalar's. An enum's literal is none of any.
pub(super) type Scalar = fn(&Value) -> bool;

/// A field of an input object, or an argument.
pub(super) struct InputField {
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) has_default: bool,
}

/// A field of an object that is answered.
pub(super) struct Field {
    pub(super) arguments: Vec<InputField>,
    /// The name of its type, without lists and exclamation marks.
    pub(super) type_name: String,
    pub(super) is_list: bool,
}

/// The types of introspection, as the library has them, and which their text in its own language
/// does not show.
const INTROSPECTION: &str = "
type __Schema {
  description: String!
  types: [__Type!]!
  queryType: __Type!
  mutationType: __Type
  subscriptionType: __Type
  directives: [__Directive!]!
}
type __Type {
  kind: __TypeKind!
  name: String
  description: String
  fields(includeDeprecated: Boolean! = false): [__Field!]
  interfaces: [__Type!]
  possibleTypes: [__Type!]
  enumValues(includeDeprecated: Boolean! = false): [__EnumValue!]
  inputFields(includeDeprecated: Boolean! = false): [__InputValue!]
  ofType: __Type
  specifiedByURL: String
  isOneOf: Boolean
}
type __Field {
  name: String!
  description: String
  args(includeDeprecated: Boolean! = false): [__InputValue!]!
  type: __Type!
  isDeprecated: Boolean!
  deprecationReason: String
}
type __InputValue {
  name: String!
  description: String
  type: __Type!
  defaultValue: String
  isDeprecated: Boolean!
  deprecationReason: String
}
type __EnumValue {
  name: String!
  description: String
  isDeprecated: Boolean!
  deprecationReason: String
}
type __Directive {
  name: String!
  description: String
  locations: [__DirectiveLocation!]!
  args(includeDeprecated: Boolean! = false): [__InputValue!]!
  isRepeatable: Boolean!
}
enum __TypeKind { SCALAR OBJECT INTERFACE UNION ENUM INPUT_OBJECT LIST NON_NULL }
enum __DirectiveLocation {
  QUERY MUTATION SUBSCRIPTION FIELD FRAGMENT_DEFINITION FRAGMENT_SPREAD INLINE_FRAGMENT
  VARIABLE_DEFINITION SCHEMA SCALAR OBJECT FIELD_DEFINITION ARGUMENT_DEFINITION INTERFACE UNION ENUM
  ENUM_VALUE INPUT_OBJECT INPUT_FIELD_DEFINITION
}
";

/// What introspection adds to the root of queries.
const INTROSPECTION_FIELDS: &str = "{ __schema: __Schema! __type(name: String!): __Type }";

const SCALARS: [(&str, Scalar); 7] = [
    ("Boolean", Value::is_boolean),
    ("String", Value::is_string),
    ("ID", |value| value.is_string() || value.is_i64()),
    ("Int", |value| value.as_i64().is_some_and(|int| i32::try_from(int).is_ok())),
    ("Float", Value::is_number),
    ("JSON", |_| true),
    ("DateTime", |value| value.as_str().is_some_and(scalars::is_date_time)),
];

impl SchemaTypes {
    pub(super) fn of_schema(sdl: &str) -> Self {
        let scalars = SCALARS.map(|(name, scalar)| (name.to_owned(), InputType::Scalar(scalar)));
        let mut types = Self {
            inputs: HashMap::from(scalars),
            objects: HashMap::new(),
            query: "Query".to_owned(),
            mutation: None,
        };
        types.add(sdl);
        types.add(INTROSPECTION);
        types.add(&format!("extend type {} {INTROSPECTION_FIELDS}", types.query));
        types
    }

    fn add(&mut self, sdl: &str) {
        let definitions = parse_schema(sdl).map(|document| document.definitions);
        for definition in definitions.into_iter().flatten() {
            match definition {
                TypeSystemDefinition::Schema(schema) => self.add_roots(schema.node),
                TypeSystemDefinition::Type(definition) => {
                    self.add_type(definition.node.name.node.to_string(), definition.node.kind);
                }
                TypeSystemDefinition::Directive(_) => {}
            }
        }
    }

    fn add_roots(&mut self, schema: SchemaDefinition) {
        let name = |name: Positioned<Name>| name.node.to_string();
        if let Some(query) = schema.query {
            self.query = name(query);
        }
        self.mutation = schema.mutation.map(name);
    }

    fn add_type(&mut self, name: String, kind: TypeKind) {
        match kind {
            TypeKind::Enum(ty) => {
                let values = ty.values.into_iter().map(|value| value.node.value.node.to_string());
                self.inputs.insert(name, InputType::Enum(values.collect()));
            }
            TypeKind::InputObject(ty) => {
                self.inputs.insert(name, InputType::Object(input_fields(ty.fields)));
            }
            TypeKind::Object(ty) => {
                let fields = ty.fields.into_iter().map(|field| field_of(field.node));
                self.objects.entry(name).or_default().extend(fields);
            }
            TypeKind::Scalar | TypeKind::Interface(_) | TypeKind::Union(_) => {}
        }
    }

    /// The type of values with this name; `None` when it is none, or one that accepts anything.
    pub(super) fn input(&self, name: &str) -> Option<&InputType> {
        self.inputs.get(name)
    }

    /// The field of an object; `None` for one that it has not.
    pub(super) fn field(&self, object: &str, field: &str) -> Option<&Field> {
        self.objects.get(object)?.get(field)
    }
}

fn input_fields(fields: Vec<Positioned<InputValueDefinition>>) -> Vec<InputField> {
    fields
        .into_iter()
        .map(|field| InputField {
            name: field.node.name.node.to_string(),
            ty: field.node.ty.node,
            has_default: field.node.default_value.is_some(),
        })
        .collect()
}

fn field_of(field: FieldDefinition) -> (String, Field) {
    let type_name = innermost(&field.ty.node).to_owned();
    let is_list = matches!(field.ty.node.base, BaseType::List(_));
    let arguments = input_fields(field.arguments);
    (field.name.node.to_string(), Field { arguments, type_name, is_list })
}

/// The name in the middle of a type.
fn innermost(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(inner) => innermost(inner),
    }
}

/// Why a value is none of its type, by where it stands.
pub(super) fn expected(path: &[String], type_name: &str, found: &str) -> String {
    format!("\"{}\" expects type {type_name} and got {found}", path.join("."))
}

/// Why an input object has a field too many.
pub(super) fn unknown_field(path: &[String], field: &str, type_name: &str) -> String {
    format!("\"{}\" has a field {field:?}, which {type_name} has not", path.join("."))
}

/// What a value is that a scalar does not take.
pub(super) fn unfit(type_name: &str, value: &Value) -> Cow<'static, str> {
    match (type_name, value) {
        ("DateTime", Value::String(_)) => {
            format!("a string that is not {}", Timestamp::FORMAT).into()
        }
        _ => kind(value).into(),
    }
}

/// What a value is, for people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
