//! A schema, as values and validation need it. It is read from the text that the executor's schema
//! prints, so that there is nothing to keep in step.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::Type;
use bluejay_core::AsIter as _;
use bluejay_core::definition::{
    EnumTypeDefinition as _, EnumValueDefinition as _, FieldDefinition as _,
    InputObjectTypeDefinition as _, InputType as _, InputValueDefinition as _,
    ObjectTypeDefinition as _, OutputType as _, SchemaDefinition as _, TypeDefinitionReference,
};
use bluejay_parser::ParseDetails;
use bluejay_parser::ast::Parse as _;
use bluejay_parser::ast::definition::{DefinitionDocument, SchemaDefinition};
use serde_json::Value;

use crate::scalars::{CustomScalar, Literals, Scalars};

/// A schema as the validator has it.
type Definition<S> = SchemaDefinition<'static, Literals<S>>;

/// A schema. Its text lives as long as the process.
pub(crate) struct ApiSchema<S: Scalars> {
    pub(crate) definition: Definition<S>,
    pub(crate) types: SchemaTypes,
}

impl<S: Scalars> ApiSchema<S> {
    /// Reads the text of a schema, which is a part of the program and so is valid.
    pub(crate) fn of_sdl(sdl: String) -> Self {
        let text: &'static str = Box::leak(sdl.into_boxed_str());
        let document: &'static DefinitionDocument<'_, _> = match DefinitionDocument::parse(text) {
            ParseDetails { result: Ok(document), .. } => Box::leak(Box::new(document)),
            ParseDetails { result: Err(errors), .. } => unreachable!("no schema: {errors:?}"),
        };
        let definition = SchemaDefinition::try_from(document)
            .unwrap_or_else(|errors| unreachable!("the schema has {} errors", errors.len()));
        Self { types: SchemaTypes::of(&definition), definition }
    }
}

/// A schema's types, as far as values and lists are concerned.
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

/// A field of an input object.
pub(crate) struct InputField {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) has_default: bool,
}

/// A field of an object that is answered.
pub(crate) struct Field {
    /// The name of its type, without lists and exclamation marks.
    pub(crate) type_name: String,
    pub(crate) is_list: bool,
}

/// The scalars of GraphQL.
const SCALARS: [CustomScalar; 5] = [
    scalar("Boolean", Value::is_boolean),
    scalar("String", Value::is_string),
    scalar("ID", |value| value.is_string() || value.is_i64()),
    scalar("Int", |value| value.as_i64().is_some_and(|int| i32::try_from(int).is_ok())),
    scalar("Float", Value::is_number),
];

const fn scalar(name: &'static str, accepts: fn(&Value) -> bool) -> CustomScalar {
    CustomScalar { name, accepts, format: None }
}

impl SchemaTypes {
    fn of<S: Scalars>(definition: &Definition<S>) -> Self {
        let scalars = SCALARS.iter().chain(S::CHECKED);
        let mut types = Self {
            inputs: scalars.map(|it| (it.name.to_owned(), InputType::Scalar(*it))).collect(),
            objects: HashMap::new(),
            query: definition.query().name().to_owned(),
            mutation: definition.mutation().map(|ty| ty.name().to_owned()),
        };
        for ty in definition.type_definitions() {
            types.add(ty);
        }
        types
    }

    fn add<S: Scalars>(&mut self, ty: TypeDefinitionReference<'_, Definition<S>>) {
        let name = ty.name().to_owned();
        match ty {
            TypeDefinitionReference::Enum(ty) => {
                let values = ty.enum_value_definitions().iter();
                let names = values.map(|value| value.name().to_owned()).collect();
                self.inputs.insert(name, InputType::Enum(names));
            }
            TypeDefinitionReference::InputObject(ty) => {
                let fields = ty.input_field_definitions().iter().filter_map(|field| {
                    Some(InputField {
                        name: field.name().to_owned(),
                        ty: Type::new(&field.r#type().display_name())?,
                        has_default: field.default_value().is_some(),
                    })
                });
                self.inputs.insert(name, InputType::Object(fields.collect()));
            }
            TypeDefinitionReference::Object(ty) => {
                let fields = ty.fields_definition().iter().map(|field| {
                    let ty = field.r#type();
                    let type_name = ty.base_name().to_owned();
                    let is_list = ty.display_name().starts_with('[');
                    (field.name().to_owned(), Field { type_name, is_list })
                });
                self.objects.insert(name, fields.collect());
            }
            TypeDefinitionReference::BuiltinScalar(_)
            | TypeDefinitionReference::CustomScalar(_)
            | TypeDefinitionReference::Interface(_)
            | TypeDefinitionReference::Union(_) => {}
        }
    }

    /// Returns the type of values with this name; `None` if it accepts anything.
    pub(crate) fn input(&self, name: &str) -> Option<&InputType> {
        self.inputs.get(name)
    }

    /// Returns the names of the root fields.
    pub(crate) fn root_fields(&self) -> impl Iterator<Item = &str> {
        let roots = [Some(&self.query), self.mutation.as_ref()];
        let fields = roots.into_iter().flatten().filter_map(|root| self.objects.get(root));
        fields.flat_map(|fields| fields.keys().map(String::as_str))
    }

    /// Returns the field of an object.
    pub(crate) fn field(&self, object: &str, field: &str) -> Option<&Field> {
        self.objects.get(object)?.get(field)
    }
}

/// Says why a value is none of its type, by where it stands.
pub(crate) fn expected(path: &[String], type_name: &str, found: &str) -> String {
    format!("\"{}\" expects type {type_name} and got {found}", path.join("."))
}

/// Says which field of an input object its type does not have.
pub(crate) fn unknown_field(path: &[String], field: &str, type_name: &str) -> String {
    format!("\"{}\" has a field {field:?}, which {type_name} has not", path.join("."))
}
