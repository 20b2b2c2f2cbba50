//! A grant says how much of it is drawn, and counters say what they drew: both are the same.

use std::collections::{HashMap, HashSet};

use kana_core::counter::Marks;
use kana_core::draws::DRAWS_MAX;
use kana_core::facts::CounterKey;
use uuid::Uuid;

use super::finding::Finding;
use super::references::{environment, user};
use super::snapshot::{Dialect, Row, Snapshot};
use crate::error::StoreError;

/// What a row of [`rows`] is.
const GRANT: i64 = 0;
const COUNTER: i64 = 1;

/// Counters need not be looked at where there are no grants.
const ANY: &str = "SELECT count(*) FROM (SELECT 1 FROM grants LIMIT 1) one";

/// The grants of each user, then the user's counters of the same features.
fn rows(dialect: Dialect) -> String {
    let (user, environment) = (user(dialect, "g"), environment("g"));
    format!(
        "SELECT g.environment_id, g.user_key, {GRANT}, g.feature_id, g.key, g.drawn, 0,
             'grant ' || g.id || ' of user ' || {user} || ' in ' || {environment}
         FROM grants g
         UNION ALL
         SELECT c.environment_id, c.user_key, {COUNTER}, c.feature_id, c.subscription_id, c.terms,
             c.period_start, coalesce(c.marks, '')
         FROM current_counters c
         WHERE EXISTS (
             SELECT 1 FROM grants g WHERE g.environment_id = c.environment_id
                 AND g.user_key = c.user_key AND g.feature_id = c.feature_id)
         ORDER BY 1, 2, 3"
    )
}

/// Compares all grants, and passes on the differences.
pub(super) async fn check(
    snapshot: &mut dyn Snapshot,
    found: &mut (dyn FnMut(Finding) + Send),
) -> Result<(), StoreError> {
    let mut grants = 0;
    let count = &mut |row: &Row| {
        grants = row.integer(0)?;
        Ok(())
    };
    snapshot.each(ANY, count).await?;
    if grants == 0 {
        return Ok(());
    }
    let rows = rows(snapshot.dialect());
    let mut of_user: Option<OfUser> = None;
    let mut take = |row: &Row| {
        let whose = (row.integer(0)?, row.id(1)?);
        if of_user.as_ref().is_none_or(|known| known.whose != whose) {
            of_user.take().into_iter().for_each(|known| known.report(found));
        }
        of_user.get_or_insert_with(|| OfUser::new(whose)).take(row)
    };
    snapshot.each(&rows, &mut take).await?;
    of_user.into_iter().for_each(|known| known.report(found));
    Ok(())
}

/// The grants of one user, and what counters drew from them.
struct OfUser {
    /// Environment and key.
    whose: (i64, Uuid),
    grants: Vec<Given>,
    /// By the keys of the grants.
    drew: HashMap<Uuid, i64>,
    /// By what counts and the feature: the terms number of the counters.
    terms: HashMap<(Uuid, String), i64>,
    /// Features of which it cannot be said what was drawn.
    unsure: HashSet<String>,
}

struct Given {
    key: Uuid,
    feature: String,
    drawn: i64,
    /// How a finding calls it.
    name: String,
}

impl OfUser {
    fn new(whose: (i64, Uuid)) -> Self {
        Self {
            whose,
            grants: Vec::new(),
            drew: HashMap::new(),
            terms: HashMap::new(),
            unsure: HashSet::new(),
        }
    }

    fn take(&mut self, row: &Row) -> Result<(), StoreError> {
        let (feature, id, number) = (row.text(3)?.to_owned(), row.id(4)?, row.integer(5)?);
        let text = row.text(7)?;
        if row.integer(2)? == GRANT {
            let name = text.to_owned();
            self.grants.push(Given { key: id, feature, drawn: number, name });
            return Ok(());
        }
        let marks = if text.is_empty() { Some(Marks::default()) } else { Marks::from_text(text) };
        let Some(marks) = marks else {
            return Err(StoreError::Unreadable(format!("the marks of a counter: {text}")));
        };
        let draws = marks.draws().as_slice();
        for draw in draws {
            let sum = self.drew.entry(draw.grant.0).or_default();
            *sum = sum.saturating_add(draw.amount);
        }
        let is_folded = row.integer(6)? == CounterKey::FOLDED.as_ms();
        // Draws of a sum can be put together, and a period can have taken over what others drew.
        let first = *self.terms.entry((id, feature.clone())).or_insert(number);
        if first != number || is_folded && draws.len() >= DRAWS_MAX {
            self.unsure.insert(feature);
        }
        Ok(())
    }

    fn report(self, found: &mut (dyn FnMut(Finding) + Send)) {
        for Given { key, feature, drawn, name: subject } in self.grants {
            let drew = self.drew.get(&key).copied().unwrap_or(0);
            if drew == drawn || self.unsure.contains(&feature) {
                continue;
            }
            let text = format!("says that {drawn} of it is drawn, and counters drew {drew}");
            found(Finding { check: "grants", subject, found: text });
        }
    }
}
