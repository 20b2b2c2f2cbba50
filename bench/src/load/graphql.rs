//! GraphQL requests over HTTP of which only the user changes.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::http::{Response, post};
use super::talk::{Answer, Talk};
use crate::seed::{FEATURE, USER_DIGITS, user_id, write_user_digits};

/// A request, and how its right answer begins.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    query: &'static str,
    variables: fn(user: &str) -> Value,
    /// How the body of a right answer begins.
    right: &'static str,
}

/// May the user use one more?
pub(crate) const CAN_USE_FEATURE: Operation = Operation {
    query: "query CanUseFeature($userId: String!, $featureId: String!) { \
            canUseFeature(userId: $userId, featureId: $featureId) { \
            access reason consumption { used budget } } }",
    variables: |user| json!({ "userId": user, "featureId": FEATURE }),
    right: r#"{"data":{"canUseFeature":{"access":true,"reason":""#,
};

/// The user has used one.
pub(crate) const RECORD_USAGE: Operation = Operation {
    query: "mutation RecordUsage($input: CreateUsageEventInput!) { \
            recordUsage(input: $input) { recorded reason } }",
    variables: |user| json!({ "input": { "userId": user, "featureId": FEATURE, "delta": 1 } }),
    right: r#"{"data":{"recordUsage":{"recorded":true,"reason":null}}}"#,
};

/// The user uses one, if there is one left.
pub(crate) const USE_FEATURE: Operation = Operation {
    query: "mutation UseFeature($input: UseFeatureInput!) { \
            useFeature(input: $input) { granted reason consumption { used budget } } }",
    variables: |user| json!({ "input": { "userId": user, "featureId": FEATURE, "delta": 1 } }),
    right: r#"{"data":{"useFeature":{"granted":true,"reason":""#,
};

impl Operation {
    /// The request about one user.
    pub(crate) fn request(&self, key: &str, user: u32) -> Vec<u8> {
        let body = json!({ "query": self.query, "variables": (self.variables)(&user_id(user)) });
        post("/graphql", key, "application/json", body.to_string().as_bytes())
    }
}

/// Whose requests they are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Who {
    /// Any of the first so many users, at random.
    AnyOf(u32),
    /// Always this one.
    Only(u32),
}

/// A request whose user's digits are replaced each time.
struct Template {
    bytes: Vec<u8>,
    digits_at: usize,
    right: &'static [u8],
    /// How many of 100 requests are this one.
    percent: u8,
}

/// Operations in a mix, each request about a user.
pub(crate) struct Operations {
    templates: Vec<Template>,
    who: Who,
    random: fastrand::Rng,
}

impl Operations {
    /// One operation.
    pub(crate) fn one(operation: &Operation, key: &str, who: Who) -> Result<Self> {
        Self::mix(&[(100, operation)], key, who)
    }

    /// Operations with how many of 100 requests each is.
    pub(crate) fn mix(parts: &[(u8, &Operation)], key: &str, who: Who) -> Result<Self> {
        let templates = parts.iter().map(|(percent, operation)| {
            let bytes = operation.request(key, 0);
            let id = user_id(0);
            let Some(at) = bytes.windows(id.len()).position(|part| part == id.as_bytes()) else {
                bail!("a request without a user");
            };
            let digits_at = at + id.len() - USER_DIGITS;
            Ok(Template { bytes, digits_at, right: operation.right.as_bytes(), percent: *percent })
        });
        Ok(Self {
            templates: templates.collect::<Result<_>>()?,
            who,
            random: fastrand::Rng::with_seed(1),
        })
    }

    fn pick(&mut self) -> usize {
        if self.templates.len() == 1 {
            return 0;
        }
        let mut left = self.random.u8(..100);
        for (kind, template) in self.templates.iter().enumerate() {
            match left.checked_sub(template.percent) {
                None => return kind,
                Some(rest) => left = rest,
            }
        }
        0
    }
}

impl Talk for Operations {
    fn ask(&mut self, out: &mut Vec<u8>) -> usize {
        let kind = self.pick();
        let user = match self.who {
            Who::AnyOf(users) => self.random.u32(..users),
            Who::Only(user) => user,
        };
        let template = &self.templates[kind];
        let start = out.len() + template.digits_at;
        out.extend_from_slice(&template.bytes);
        write_user_digits(&mut out[start..start + USER_DIGITS], user);
        kind
    }

    fn read(&mut self, kind: usize, input: &[u8]) -> Result<Option<Answer>> {
        Ok(Response::read(input)?.map(|response| Answer {
            len: response.len,
            right: response.status == 200 && response.body.starts_with(self.templates[kind].right),
        }))
    }
}
