//! How many users have a package, whatever a clock says, is kept by triggers: it must be what counting them
//! gives.

use proptest::prelude::*;
use rusqlite::Connection as Raw;

use super::super::register_functions;
use crate::migration_files::SQLITE;

/// What can happen to a subscription. There are few of each, so that they meet.
#[derive(Debug, Clone, Copy)]
enum Step {
    Begin { id: u8, user: u8, package: u8, status: &'static str, is_over: bool, timing: Timed },
    Set { id: u8, status: &'static str, is_over: bool },
    Time { id: u8, timing: Timed },
    Move { id: u8, package: u8 },
    Delete { id: u8 },
    DeleteUser { user: u8 },
}

/// What was said ahead of time, as it is stored.
type Timed = Option<&'static str>;

/// Of these, the start and the ends ask a clock; a trial and an anchor do not.
const TIMINGS: [Timed; 6] = [
    None,
    Some("[1,null,null,null]"),
    Some("[0,5,5,null]"),
    Some("[1,null,7,null]"),
    Some("[0,null,null,7]"),
    Some("[0,null,null,null,-9]"),
];

fn steps() -> impl Strategy<Value = Step> {
    let status = || prop::sample::select(vec!["ACTIVE", "TRIALING", "PAST_DUE", "CANCELLED"]);
    let timing = || prop::sample::select(TIMINGS.to_vec());
    let (id, user, package) = (|| 0_u8..8, || 0_u8..2, || 0_u8..2);
    prop_oneof![
        6 => (id(), user(), package(), status(), prop::bool::weighted(0.2), timing()).prop_map(
            |(id, user, package, status, is_over, timing)| {
                Step::Begin { id, user, package, status, is_over, timing }
            }),
        4 => (id(), status(), any::<bool>())
            .prop_map(|(id, status, is_over)| Step::Set { id, status, is_over }),
        3 => (id(), timing()).prop_map(|(id, timing)| Step::Time { id, timing }),
        1 => (id(), package()).prop_map(|(id, package)| Step::Move { id, package }),
        2 => id().prop_map(|id| Step::Delete { id }),
        1 => user().prop_map(|user| Step::DeleteUser { user }),
    ]
}

impl Step {
    fn take(self, database: &Raw) {
        match self {
            Self::Begin { id, user, package, status, is_over, timing } => {
                let package = format!("p-{package}");
                let row = ([id], [user], package, status, is_over.then_some(9), timing);
                let begin = "INSERT INTO subscriptions
                        (environment_id, user_key, id, package_id, status, started_at, ended_at, timing)
                    VALUES (1, ?2, ?1, ?3, ?4, 0, ?5, ?6)
                    ON CONFLICT DO NOTHING";
                database.execute(begin, row)
            }
            Self::Set { id, status, is_over } => database.execute(
                "UPDATE subscriptions SET status = ?2, ended_at = ?3 WHERE id = ?1",
                ([id], status, is_over.then_some(9)),
            ),
            Self::Time { id, timing } => database
                .execute("UPDATE subscriptions SET timing = ?2 WHERE id = ?1", ([id], timing)),
            Self::Move { id, package } => database.execute(
                "UPDATE subscriptions SET package_id = ?2 WHERE id = ?1",
                ([id], format!("p-{package}")),
            ),
            Self::Delete { id } => {
                database.execute("DELETE FROM subscriptions WHERE id = ?1", [[id]])
            }
            Self::DeleteUser { user } => {
                database.execute("DELETE FROM subscriptions WHERE user_key = ?1", [[user]])
            }
        }
        .unwrap();
    }
}

fn numbers(database: &Raw, sql: &str) -> Vec<(String, i64)> {
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.try_into()).unwrap();
    rows.map(Result::unwrap).collect()
}

fn kept(database: &Raw) -> Vec<(String, i64)> {
    let kept = "SELECT package_id, subscribers FROM package_subscribers
        WHERE subscribers <> 0 ORDER BY package_id";
    numbers(database, kept)
}

fn counted(database: &Raw) -> Vec<(String, i64)> {
    let counted = "SELECT package_id, count(DISTINCT user_key) FROM subscriptions
        WHERE ended_at IS NULL AND status IN ('ACTIVE', 'TRIALING')
            AND (timing IS NULL OR (timing ->> 0 = 0 AND timing ->> 2 IS NULL))
        GROUP BY package_id ORDER BY package_id";
    numbers(database, counted)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn subscribers_are_kept_as_counting_them_gives(
        earlier in prop::collection::vec(steps(), 0..12),
        later in prop::collection::vec(steps(), 1..40),
    ) {
        let database = Raw::open_in_memory().unwrap();
        register_functions(&database).unwrap();
        let at = SQLITE.iter().position(|sql| sql.contains("subscriptions_by_clock"));
        let at = at.unwrap();
        database.execute_batch(&SQLITE[..at].concat()).unwrap();
        earlier.iter().for_each(|step| step.take(&database));
        database.execute_batch(SQLITE[at]).unwrap();
        prop_assert_eq!(kept(&database), counted(&database));
        for step in later {
            step.take(&database);
            prop_assert_eq!(kept(&database), counted(&database), "{:?}", step);
        }
    }
}
