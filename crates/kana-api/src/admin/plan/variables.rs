//! The variables of a plan, read straight from the request's JSON: each by its declared type, and
//! nothing that the schema does not take. Whatever is not read here is left to the general executor.

use std::borrow::Cow;
use std::fmt;

use async_graphql::Value as ConstValue;
use async_graphql::parser::types::{BaseType, OperationDefinition, Type, VariableDefinition};
use async_graphql_value::Value;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};

/// The variables that an operation declares, as far as plans know their types.
#[derive(Debug, Default)]
pub(super) struct Variables(Vec<Variable>);

#[derive(Debug)]
struct Variable {
    name: String,
    kind: Kind,
    non_null: bool,
    default: Option<Text>,
}

/// What a variable may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    String,
    Int,
    UsageEvent,
    UseFeature,
}

/// A value that stands in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    Null,
    String(String),
    Int(i32),
}

/// What a request gave for each variable, in the order of their declarations.
pub(super) struct Given<'a>(Vec<Option<GivenValue<'a>>>);

/// A value as it was given.
#[derive(Debug, Clone)]
enum GivenValue<'a> {
    Null,
    String(Cow<'a, str>),
    Int(i32),
    UsageEvent(UsageEventInput<'a>),
    UseFeature(UseFeatureInput<'a>),
}

/// `CreateUsageEventInput`, with what a plan takes of it: its `metadata` is left to the general
/// executor.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UsageEventInput<'a> {
    #[serde(borrow)]
    pub(super) user_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) feature_id: Cow<'a, str>,
    pub(super) delta: Option<i32>,
    pub(super) action: Option<UsageEventAction>,
    #[serde(borrow)]
    pub(super) idempotency_key: Option<Borrowed<'a>>,
    #[serde(borrow)]
    pub(super) occurred_at: Option<Borrowed<'a>>,
}

/// `RecordUsageAction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum UsageEventAction {
    Add,
    Set,
}

/// `UseFeatureInput`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UseFeatureInput<'a> {
    #[serde(borrow)]
    pub(super) user_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) feature_id: Cow<'a, str>,
    pub(super) delta: Option<i32>,
    #[serde(borrow)]
    pub(super) idempotency_key: Option<Borrowed<'a>>,
}

impl Variables {
    /// What the operation declares; `None` for a type that plans do not know.
    pub(super) fn of(operation: &OperationDefinition) -> Option<Self> {
        let definitions = operation.variable_definitions.iter();
        let variable = |definition: &VariableDefinition| {
            let Type { base: BaseType::Named(type_name), nullable } = &definition.var_type.node
            else {
                return None;
            };
            let kind = match type_name.as_str() {
                "String" => Kind::String,
                "Int" => Kind::Int,
                "CreateUsageEventInput" => Kind::UsageEvent,
                "UseFeatureInput" => Kind::UseFeature,
                _ => return None,
            };
            let default = match &definition.default_value {
                None => None,
                Some(value) => Some(Text::of_constant(&value.node)?),
            };
            let name = definition.name.node.to_string();
            (definition.directives.is_empty()).then_some(Variable {
                name,
                kind,
                non_null: !nullable,
                default,
            })
        };
        definitions.map(|definition| variable(&definition.node)).collect::<Option<_>>().map(Self)
    }

    /// Reads the JSON of a request's variables; `None` when they are not as plans take them.
    pub(super) fn read<'a>(&self, json: Option<&'a str>) -> Option<Given<'a>> {
        let mut json = serde_json::Deserializer::from_str(json.unwrap_or("{}"));
        self.deserialize(&mut json).ok()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|variable| variable.name == name)
    }
}

impl Text {
    fn of_constant(value: &ConstValue) -> Option<Self> {
        match value {
            ConstValue::Null => Some(Self::Null),
            ConstValue::String(text) => Some(Self::String(text.clone())),
            ConstValue::Number(number) => {
                number.as_i64().and_then(|number| i32::try_from(number).ok()).map(Self::Int)
            }
            _ => None,
        }
    }
}

/// Reads the JSON object of the variables.
impl<'de> DeserializeSeed<'de> for &Variables {
    type Value = Given<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Given<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &Variables {
    type Value = Given<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of variables")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given<'de>, A::Error> {
        let mut given = vec![None; self.0.len()];
        while let Some(Borrowed(name)) = map.next_key::<Borrowed<'de>>()? {
            let index = self
                .position(&name)
                .ok_or_else(|| A::Error::custom("a variable is not declared"))?;
            let value = map.next_value_seed(self.0[index].kind)?;
            if given[index].replace(value).is_some() {
                return Err(A::Error::custom("a variable is given twice"));
            }
        }
        let is_missing = |(variable, value): (&Variable, &Option<GivenValue<'_>>)| match value {
            None => variable.non_null && variable.default.is_none(),
            Some(GivenValue::Null) => variable.non_null,
            Some(_) => false,
        };
        if self.0.iter().zip(&given).any(is_missing) {
            return Err(A::Error::custom("a variable is missing"));
        }
        Ok(Given(given))
    }
}

impl<'de> DeserializeSeed<'de> for Kind {
    type Value = GivenValue<'de>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<GivenValue<'de>, D::Error> {
        let read = match self {
            Self::String => Option::<Borrowed<'de>>::deserialize(value)?
                .map(|Borrowed(text)| GivenValue::String(text)),
            Self::Int => Option::<i32>::deserialize(value)?.map(GivenValue::Int),
            Self::UsageEvent => Option::deserialize(value)?.map(GivenValue::UsageEvent),
            Self::UseFeature => Option::deserialize(value)?.map(GivenValue::UseFeature),
        };
        Ok(read.unwrap_or(GivenValue::Null))
    }
}

/// A string that is copied only where it has escapes.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Borrowed<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'a> From<&'a str> for Borrowed<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.into())
    }
}

/// Where the value of an argument, or of a field of an input object, comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source(Origin);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Nowhere,
    Document(Text),
    /// The variable's place among the declarations, and its default.
    Variable(usize, Option<Text>),
}

impl Source {
    /// `None` for what plans do not take: lists, objects, floating point, enums.
    pub(super) fn of(value: Option<&Value>, variables: &Variables) -> Option<Self> {
        let origin = match value {
            None => Origin::Nowhere,
            Some(Value::Variable(name)) => {
                let index = variables.position(name)?;
                Origin::Variable(index, variables.0[index].default.clone())
            }
            Some(value) => Origin::Document(Text::of_constant(&value.clone().into_const()?)?),
        };
        Some(Self(origin))
    }

    /// The place of the variable, if it is one.
    pub(super) fn variable(&self) -> Option<usize> {
        match self.0 {
            Origin::Variable(index, _) => Some(index),
            Origin::Nowhere | Origin::Document(_) => None,
        }
    }

    /// A string that must be there; `None` when it is not.
    pub(super) fn string<'a>(&'a self, given: &'a Given<'_>) -> Option<&'a str> {
        self.optional_string(given)?
    }

    /// A string that may be absent or null; `None` when it is something else.
    #[expect(clippy::option_option, reason = "absent is not the same as wrong")]
    pub(super) fn optional_string<'a>(&'a self, given: &'a Given<'_>) -> Option<Option<&'a str>> {
        match (self.given(given), self.text(given)) {
            (Some(GivenValue::String(text)), _) => Some(Some(text)),
            (_, Some(Text::String(text))) => Some(Some(text)),
            (Some(GivenValue::Null), _) | (_, Some(Text::Null)) | (None, None) => Some(None),
            (Some(_), None) | (_, Some(Text::Int(_))) => None,
        }
    }

    /// A number that may be absent or null; `None` when it is something else.
    #[expect(clippy::option_option, reason = "absent is not the same as wrong")]
    pub(super) fn optional_int(&self, given: &Given<'_>) -> Option<Option<i32>> {
        match (self.given(given), self.text(given)) {
            (Some(GivenValue::Int(number)), _) => Some(Some(*number)),
            (_, Some(Text::Int(number))) => Some(Some(*number)),
            (Some(GivenValue::Null), _) | (_, Some(Text::Null)) | (None, None) => Some(None),
            (Some(_), None) | (_, Some(Text::String(_))) => None,
        }
    }

    fn given<'a, 'g>(&self, given: &'a Given<'g>) -> Option<&'a GivenValue<'g>> {
        match self.0 {
            Origin::Variable(index, _) => given.0.get(index)?.as_ref(),
            Origin::Nowhere | Origin::Document(_) => None,
        }
    }

    /// What stands in the document and counts.
    fn text(&self, given: &Given<'_>) -> Option<&Text> {
        match &self.0 {
            Origin::Nowhere => None,
            Origin::Document(text) => Some(text),
            // A default counts only where nothing was given, not even null.
            Origin::Variable(_, default) => {
                default.as_ref().filter(|_| self.given(given).is_none())
            }
        }
    }
}

impl<'a> Given<'a> {
    /// The input object that was given for a variable.
    pub(super) fn usage_event(&self, variable: usize) -> Option<&UsageEventInput<'a>> {
        match self.0.get(variable)? {
            Some(GivenValue::UsageEvent(input)) => Some(input),
            _ => None,
        }
    }

    /// The input object that was given for a variable.
    pub(super) fn use_feature(&self, variable: usize) -> Option<&UseFeatureInput<'a>> {
        match self.0.get(variable)? {
            Some(GivenValue::UseFeature(input)) => Some(input),
            _ => None,
        }
    }
}
