//! What the records of a file must be beside each other: what no request can make is no file's either.
//!
//! What is remembered is the features, of which there are few, and the grants of one user.

use std::collections::HashMap;

use kana_core::grant::GRANTS_MAX;
use uuid::Uuid;

use super::batch::Row;
use super::kinds::Kind;
use super::row_rules::Columns;
use crate::app::EnvironmentKind;

/// What is wrong with which line.
pub(super) type Wrong = (u64, String);

/// Checks records in the order in which they stand.
#[derive(Default)]
pub(super) struct FileRules {
    features: HashMap<(EnvironmentKind, String), Feature>,
    /// Whether all features have come, and were checked.
    has_features: bool,
    grants: Grants,
}

struct Feature {
    is_binary: bool,
    draws_on: Option<String>,
    line: u64,
}

impl Feature {
    /// Says why nobody can be given an amount of it; `None` if that is possible.
    fn why_no_amount(&self) -> Option<String> {
        match &self.draws_on {
            _ if self.is_binary => Some("is BINARY".to_owned()),
            Some(balance) => Some(format!("draws on {balance}")),
            None => None,
        }
    }
}

/// The grants of the user whose grants came last.
#[derive(Default)]
struct Grants {
    /// In the order of the file.
    environments: Vec<EnvironmentKind>,
    user: Option<Uuid>,
    /// By feature.
    count: HashMap<String, usize>,
}

impl FileRules {
    /// Checks a record on a line, which is as it should be by itself.
    pub(super) fn check(&mut self, kind: Kind, row: &Row, line: u64) -> Result<(), Wrong> {
        if kind > Kind::Feature {
            self.check_features()?;
        }
        let Some(environment) = row.environment else { return Ok(()) };
        let columns = Columns::new(kind, row);
        let checked = match kind {
            Kind::Feature => {
                let feature = Feature {
                    is_binary: columns.text("type") == Some("BINARY"),
                    draws_on: columns.text("draws_on").map(str::to_owned),
                    line,
                };
                let id = columns.text("id").unwrap_or_default().to_owned();
                self.features.insert((environment, id), feature);
                Ok(())
            }
            Kind::Override if columns.text("kind") == Some("LIMIT") => {
                self.check_amount(environment, &columns, "kind must not be LIMIT for")
            }
            Kind::Override if columns.text("reset_period").is_some() => {
                self.check_amount(environment, &columns, "reset_period must be left out for")
            }
            Kind::Grant => self
                .check_amount(environment, &columns, "there can be no grant of")
                .and_then(|()| self.grants.add(environment, &columns)),
            _ => Ok(()),
        };
        checked.map_err(|problem| (line, problem))
    }

    /// Checks the features among each other, once all have come.
    pub(super) fn check_features(&mut self) -> Result<(), Wrong> {
        if std::mem::replace(&mut self.has_features, true) {
            return Ok(());
        }
        let problem = |((environment, _), feature): (&(EnvironmentKind, String), &Feature)| {
            let balance = feature.draws_on.as_ref()?;
            let why = match self.features.get(&(*environment, balance.clone())) {
                None => "which is not there".to_owned(),
                Some(known) => format!("which {}", known.why_no_amount()?),
            };
            Some((feature.line, format!("draws_on names {balance}, {why}")))
        };
        // The first line of those that are wrong, whatever the order of the map is.
        match self.features.iter().filter_map(problem).min() {
            None => Ok(()),
            Some(wrong) => Err(wrong),
        }
    }

    /// Checks that there can be an amount of the feature that a record names.
    fn check_amount(
        &self,
        environment: EnvironmentKind,
        columns: &Columns<'_>,
        problem: &str,
    ) -> Result<(), String> {
        let id = columns.text("feature_id").unwrap_or_default();
        let known = self.features.get(&(environment, id.to_owned()));
        match known.and_then(Feature::why_no_amount) {
            None => Ok(()),
            Some(why) => Err(format!("{problem} {id}, which {why}")),
        }
    }
}

impl Grants {
    /// Counts a grant. Those of a user stand together.
    fn add(&mut self, environment: EnvironmentKind, columns: &Columns<'_>) -> Result<(), String> {
        let user = columns.uuid("user_key");
        let is_same = self.environments.last() == Some(&environment);
        let follows =
            if is_same { user >= self.user } else { !self.environments.contains(&environment) };
        if !follows {
            return Err("user_key is out of order: grants stand in the order of users' keys".into());
        }
        if !is_same {
            self.environments.push(environment);
        }
        if !is_same || user != self.user {
            self.user = user;
            self.count.clear();
        }
        let id = columns.text("feature_id").unwrap_or_default();
        let count = self.count.entry(id.to_owned()).or_default();
        *count += 1;
        if *count > GRANTS_MAX {
            return Err(format!("the user has more than {GRANTS_MAX} grants of {id}"));
        }
        Ok(())
    }
}
