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
use serde_json::Value;

use crate::custom_scalar::CustomScalar;

/// A schema's types.
pub(crate) struct SchemaTypes {
    inputs: HashMap<String, InputType>,
    objects: HashMap<String, HashMap<String, Field>>,
    pub(crate) query: String,
    pub(crate) mutation: Option<String>,
}

/// A type that values can have.
pub(crate) enum InputType {
    Scalar(CustomScalar),
    Enum(HashSet<String>),
    Object(Vec<InputField>),
}

/// A field of an input object, or an argument.
pub(crate) struct InputField {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) has_default: bool,
}

/// A field of an object that is answered.
pub(crate) struct Field {
    pub(crate) arguments: Vec<InputField>,
    /// The name of its type, without lists and exclamation marks.
    pub(crate) type_name: String,
    pub(crate) is_list: bool,
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

/// The scalars of GraphQL, and [`Json`](crate::json_scalar::Json), which accepts any value.
const SCALARS: [CustomScalar; 6] = [
    scalar("Boolean", Value::is_boolean),
    scalar("String", Value::is_string),
    scalar("ID", |value| value.is_string() || value.is_i64()),
    scalar("Int", |value| value.as_i64().is_some_and(|int| i32::try_from(int).is_ok())),
    scalar("Float", Value::is_number),
    scalar("JSON", |_| true),
];

const fn scalar(name: &'static str, accepts: fn(&Value) -> bool) -> CustomScalar {
    CustomScalar { name, accepts, format: None }
}

impl SchemaTypes {
    pub(crate) fn of_schema(sdl: &str, custom: &[CustomScalar]) -> Self {
        let scalars = SCALARS.iter().chain(custom);
        let mut types = Self {
            inputs: scalars.map(|it| (it.name.to_owned(), InputType::Scalar(*it))).collect(),
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
    pub(crate) fn input(&self, name: &str) -> Option<&InputType> {
        self.inputs.get(name)
    }

    /// The field of an object; `None` for one that it has not.
    pub(crate) fn field(&self, object: &str, field: &str) -> Option<&Field> {
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
pub(crate) fn expected(path: &[String], type_name: &str, found: &str) -> String {
    format!("\"{}\" expects type {type_name} and got {found}", path.join("."))
}

/// Why an input object has a field too many.
pub(crate) fn unknown_field(path: &[String], field: &str, type_name: &str) -> String {
    format!("\"{}\" has a field {field:?}, which {type_name} has not", path.join("."))
}

/// Says what a value is that a scalar does not accept.
pub(crate) fn unfit(scalar: &CustomScalar, value: &Value) -> Cow<'static, str> {
    match (scalar.format, value) {
        (Some(format), Value::String(_)) => format!("a string that is not {format}").into(),
        _ => kind(value).into(),
    }
}

/// What a value is, for people.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
