//! How many users have a package is kept by triggers: it must be what counting them gives.

use proptest::prelude::*;
use rusqlite::Connection as Raw;

use crate::migration_files::SQLITE;

/// What can happen to a subscription. There are few of each, so that they meet.
#[derive(Debug, Clone, Copy)]
enum Step {
    Begin { id: u8, user: u8, package: u8, status: &'static str, is_over: bool },
    Set { id: u8, status: &'static str, is_over: bool },
    Move { id: u8, package: u8 },
    Delete { id: u8 },
    DeleteUser { user: u8 },
}

fn steps() -> impl Strategy<Value = Step> {
    let status = || prop::sample::select(vec!["ACTIVE", "TRIALING", "PAST_DUE", "CANCELLED"]);
    let (id, user, package) = (|| 0_u8..8, || 0_u8..2, || 0_u8..2);
    prop_oneof![
        6 => (id(), user(), package(), status(), prop::bool::weighted(0.2)).prop_map(
            |(id, user, package, status, is_over)| Step::Begin { id, user, package, status, is_over }),
        4 => (id(), status(), any::<bool>())
            .prop_map(|(id, status, is_over)| Step::Set { id, status, is_over }),
        1 => (id(), package()).prop_map(|(id, package)| Step::Move { id, package }),
        2 => id().prop_map(|id| Step::Delete { id }),
        1 => user().prop_map(|user| Step::DeleteUser { user }),
    ]
}

impl Step {
    fn take(self, database: &Raw) {
        match self {
            Self::Begin { id, user, package, status, is_over } => {
                let row = ([id], [user], format!("p-{package}"), status, is_over.then_some(9));
                let begin = "INSERT INTO subscriptions VALUES (1, ?2, ?1, ?3, ?4, 0, ?5)
                    ON CONFLICT DO NOTHING";
                database.execute(begin, row)
            }
            Self::Set { id, status, is_over } => database.execute(
                "UPDATE subscriptions SET status = ?2, ended_at = ?3 WHERE id = ?1",
                ([id], status, is_over.then_some(9)),
            ),
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
        let at = SQLITE.iter().position(|sql| sql.contains("CREATE TABLE package_subscribers"));
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
