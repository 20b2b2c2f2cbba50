//! Whether users' rows can be spread over many servers, as `docs/scale.md` says: which column each table
//! is spread by, and that the statements of the hot paths name users' rows by that column.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::*;

const PAGE: &str = include_str!("../../../../../docs/scale.md");

/// What the page's table of exceptions names, with the fault that each has.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("users_by_id", "users: users_by_id is unique without key"),
    ("events", "events has no primary key"),
    ("FACTS", "users is searched by users_by_id, without key"),
    ("LOCK_FACTS", "users is searched by users_by_id, without key"),
    ("SET_RECENT_COUNTERS", "users is found by place"),
    ("RECORD_USAGE", "users is found by place"),
    ("FORGET_KEYS_0", "replays_0 is found by place"),
    ("FORGET_KEYS_1", "replays_1 is found by place"),
    ("FORGET_KEYS_2", "replays_2 is found by place"),
    ("FORGET_KEYS_3", "replays_3 is found by place"),
];

/// The rows of the table below a heading of the page: of each cell, what stands in backticks.
fn table_of_page(heading: &str) -> Vec<Vec<Vec<&'static str>>> {
    let section = PAGE.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let names = |cell: &'static str| cell.split('`').skip(1).step_by(2).collect();
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(names).collect();
    section.lines().filter(|line| line.starts_with('|')).skip(2).map(cells).collect()
}

/// Returns the exceptions of some names, as the faults that a test finds.
fn excepted(is_meant: impl Fn(&str) -> bool) -> BTreeSet<(String, String)> {
    let meant = EXCEPTIONS.iter().filter(|(name, _)| is_meant(name));
    meant.map(|(name, fault)| ((*name).to_owned(), (*fault).to_owned())).collect()
}

/// How the page spreads the tables of a database.
struct Spread {
    /// The column of each table of the page. `None`: the table is not spread.
    columns: HashMap<&'static str, Option<&'static str>>,
    /// The table that each partition belongs to.
    partitions: HashMap<String, String>,
    indexes: HashMap<String, Vec<String>>,
    /// The functions of the schema. A plan does not show what they do.
    functions: Vec<String>,
}

impl Spread {
    fn of(database: &Database) -> Self {
        let columns = table_of_page("The tables").into_iter().flat_map(|cells| {
            let column = cells[1].first().copied();
            cells[0].clone().into_iter().map(move |table| (table, column))
        });
        let partitions = rows(
            database.url(),
            "SELECT c.relname, p.relname FROM pg_inherits i
             JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
             WHERE p.relnamespace = 'kana'::regnamespace AND p.relkind = 'p'",
        );
        let functions = rows(
            database.url(),
            "SELECT proname FROM pg_proc WHERE pronamespace = 'kana'::regnamespace",
        );
        Self {
            columns: columns.collect(),
            partitions: partitions
                .into_iter()
                .map(|row| (row[0].clone(), row[1].clone()))
                .collect(),
            indexes: index_columns(database),
            functions: functions.into_iter().flatten().collect(),
        }
    }

    /// Returns the table that a relation belongs to, with its column if it is spread.
    fn column<'a>(&'a self, relation: &'a str) -> Option<(&'a str, &'static str)> {
        let table = self.partitions.get(relation).map_or(relation, String::as_str);
        Some((table, (*self.columns.get(table)?)?))
    }

    /// Whether an index has the environment and a table's column among its own.
    fn is_of_one_node(&self, index: &str, column: &str) -> bool {
        let has = |wanted: &str| self.indexes[index].iter().any(|column| column == wanted);
        has("environment_id") && has(column)
    }

    /// Returns what is wrong with the tables, each with the name of the index or table.
    fn faults_of_tables(&self, database: &Database) -> BTreeSet<(String, String)> {
        let mut faults = BTreeSet::new();
        let mut fault = |name: &str, text: String| faults.insert((name.to_owned(), text));
        let known: BTreeSet<&str> = self.columns.keys().copied().collect();
        let tables = rows(database.url(), TABLES);
        let found: BTreeSet<&str> = tables.iter().map(|row| row[0].as_str()).collect();
        for table in found.symmetric_difference(&known) {
            fault(table, format!("{table} is not both in the schema and in docs/scale.md"));
        }
        let indexes = rows(database.url(), UNIQUE_INDEXES);
        for table in found.iter().filter(|table| self.column(table).is_some()) {
            if !indexes.iter().any(|row| row[0] == *table && row[2] == "t") {
                fault(table, format!("{table} has no primary key"));
            }
        }
        for row in indexes {
            let Some((table, column)) = self.column(&row[0]) else { continue };
            if !self.is_of_one_node(&row[1], column) {
                fault(&row[1], format!("{table}: {} is unique without {column}", row[1]));
            }
        }
        for row in rows(database.url(), COLUMNS) {
            let [table, name, is_needed, is_numbered] = row.try_into().unwrap();
            match self.column(&table) {
                None if name == "user_key" => {
                    fault(&table, format!("{table} has a user_key and is not spread"));
                }
                Some((_, column)) if name == column && is_needed == "f" => {
                    fault(&table, format!("{table}: {column} may be null"));
                }
                Some(_) if is_numbered == "t" => {
                    fault(&table, format!("{table}: {name} is numbered by a sequence"));
                }
                _ => {}
            }
        }
        for row in rows(database.url(), REFERENCES) {
            if row.iter().any(|table| self.column(table).is_some()) {
                fault(&row[0], format!("{} refers to {}", row[0], row[1]));
            }
        }
        faults
    }

    /// Returns how a statement reaches rows of spread tables but by their columns.
    async fn faults_of_statement(
        &self,
        connection: &deadpool_postgres::Object,
        sql: &str,
    ) -> BTreeSet<String> {
        let mut faults = BTreeSet::new();
        for function in self.functions.iter().filter(|name| sql.contains(name.as_str())) {
            faults.insert(format!("{function} is called"));
        }
        let plan = explain(connection, "(FORMAT JSON)", sql, &[]).await;
        let plan: Value = serde_json::from_str(&plan).unwrap();
        let mut nodes = vec![&plan[0]["Plan"]];
        while let Some(node) = nodes.pop() {
            nodes.extend(node["Plans"].as_array().into_iter().flatten());
            if let Some(relation) = node["Relation Name"].as_str()
                && let Some((table, column)) = self.column(relation)
            {
                faults.extend(self.faults_of_node(node, table, column));
            }
        }
        faults
    }

    /// Returns what is wrong with the node of a plan that works on a spread table.
    fn faults_of_node(&self, node: &Value, table: &str, column: &str) -> Vec<String> {
        let text = |name: &str| node[name].as_str().unwrap_or_default();
        let is_by_column = |condition: &str| {
            let has = |column: &str| condition.contains(&format!("({column} = "));
            has("environment_id") && has(column)
        };
        match text("Node Type") {
            // Whoever writes what is there has found it first, in a node below this one. A new row has its
            // column, which is never null.
            "ModifyTable" => {
                let arbiters = node["Conflict Arbiter Indexes"].as_array().into_iter().flatten();
                arbiters
                    .filter_map(Value::as_str)
                    .filter(|index| !self.is_of_one_node(index, column))
                    .map(|index| {
                        format!("{table}: {index} is asked for conflicts, without {column}")
                    })
                    .collect()
            }
            "Index Scan" | "Index Only Scan" if is_by_column(text("Index Cond")) => Vec::new(),
            "Bitmap Heap Scan" if is_by_column(text("Recheck Cond")) => Vec::new(),
            "Index Scan" | "Index Only Scan" => {
                vec![format!("{table} is searched by {}, without {column}", text("Index Name"))]
            }
            "Tid Scan" => vec![format!("{table} is found by place")],
            _ => vec![format!("{table} is searched without {column}")],
        }
    }
}

const TABLES: &str = "SELECT relname FROM pg_class
    WHERE relnamespace = 'kana'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition";

/// The table, the index, and whether it is the primary key.
const UNIQUE_INDEXES: &str = "SELECT t.relname, x.relname, i.indisprimary
    FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
    WHERE t.relnamespace = 'kana'::regnamespace AND i.indisunique";

/// The table, the name, whether it is never null, and whether a sequence numbers it.
const COLUMNS: &str = "SELECT t.relname, a.attname, a.attnotnull,
        a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false)
    FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE t.relnamespace = 'kana'::regnamespace AND t.relkind IN ('r', 'p')
        AND NOT t.relispartition AND a.attnum > 0 AND NOT a.attisdropped";

const REFERENCES: &str = "SELECT t.relname, o.relname
    FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class o ON o.oid = c.confrelid
    WHERE t.relnamespace = 'kana'::regnamespace AND c.contype = 'f'";

fn is_a_statement(name: &str) -> bool {
    name.chars().all(|sign| sign.is_ascii_uppercase() || sign.is_ascii_digit() || sign == '_')
}

#[test]
fn the_page_has_the_exceptions_of_the_tests() {
    let named: BTreeSet<&str> =
        table_of_page("Exceptions").iter().flat_map(|cells| cells[0].clone()).collect();
    assert_eq!(named, EXCEPTIONS.iter().map(|(name, _)| *name).collect());
}

#[test]
fn what_is_unique_among_users_is_so_on_one_node() {
    if !is_here() {
        return;
    }
    let database = Database::new();
    let faults = Spread::of(&database).faults_of_tables(&database);
    assert_eq!(faults, excepted(|name| !is_a_statement(name)));
}

#[test]
fn a_table_that_could_not_be_spread_is_named() {
    if !is_here() {
        return;
    }
    let database = Database::new();
    let before = Spread::of(&database).faults_of_tables(&database);
    run(
        database.url(),
        "SET search_path TO kana;
         CREATE TABLE credits (environment_id bigint, user_key uuid, id bigint PRIMARY KEY);
         CREATE UNIQUE INDEX subscriptions_once ON subscriptions (environment_id, id);
         CREATE UNIQUE INDEX replays_once ON replays_0 (environment_id, user_key);
         ALTER TABLE usage_deltas ADD COLUMN user_key uuid;
         ALTER TABLE limit_crossings ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;
         ALTER TABLE events ALTER COLUMN user_key DROP NOT NULL;
         ALTER TABLE counters ADD FOREIGN KEY (environment_id, user_key) REFERENCES users;
         ALTER TABLE user_search DROP CONSTRAINT user_search_pkey",
    );
    let mut faults = Spread::of(&database).faults_of_tables(&database);
    faults.retain(|fault| !before.contains(fault));
    assert_eq!(
        faults.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(),
        [
            "counters refers to users",
            "credits has a user_key and is not spread",
            "credits is not both in the schema and in docs/scale.md",
            "events: user_key may be null",
            "limit_crossings: number is numbered by a sequence",
            "replays_0: replays_once is unique without idempotency_key",
            "subscriptions: subscriptions_once is unique without user_key",
            "usage_deltas has a user_key and is not spread",
            "user_search has no primary key",
        ]
    );
}

#[tokio::test]
async fn the_hot_paths_name_users_rows_by_what_they_are_spread_by() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    let connection = take(&store.shared.connections.writers).await.unwrap();
    let spread = Spread::of(&database);
    let all: HashMap<&str, &str> =
        statements::ALL.iter().copied().chain(users::statements()).collect();
    let hot = table_of_page("The statements of the hot paths");
    let hot: Vec<&str> = hot.iter().flat_map(|cells| cells[0].clone()).collect();
    assert!(hot.contains(&"LOCK_FACTS"), "{hot:?}");
    for state in ["empty", "filled"] {
        let mut faults = BTreeSet::new();
        for name in &hot {
            let found = spread.faults_of_statement(&connection, all[name]).await;
            faults.extend(found.into_iter().map(|fault| ((*name).to_owned(), fault)));
        }
        assert_eq!(faults, excepted(is_a_statement), "on {state} tables");
        if state == "empty" {
            let changes = (0..2000).flat_map(|n| [create_user(n), subscribe(n), count(n, 1)]);
            write(&store, environment, &changes.collect::<Vec<_>>()).await;
            run(database.url(), "VACUUM ANALYZE");
        }
    }
}

#[tokio::test]
async fn a_statement_that_would_ask_every_node_is_named() {
    if !is_here() {
        return;
    }
    let (store, _, database) = store_with_app().await;
    let connection = take(&store.shared.connections.writers).await.unwrap();
    let spread = Spread::of(&database);
    for (sql, expected) in [
        (
            "SELECT used FROM counters WHERE environment_id = $1 AND user_key = ANY ($2::uuid[])",
            &[][..],
        ),
        (
            "SELECT id FROM users WHERE environment_id = $1 AND email = $2",
            &["users is searched by users_by_email, without key"],
        ),
        (
            "UPDATE subscriptions SET status = 'CANCELLED' WHERE environment_id = $1 AND id = $2",
            &["subscriptions is searched by subscriptions_by_id, without user_key"],
        ),
        (
            "SELECT c.used FROM limit_crossings l
             JOIN counters c ON c.environment_id = $1 AND c.user_key = l.user_key
             WHERE l.environment_id = $1 AND l.crossed_at > $2",
            &["limit_crossings is searched by limit_crossings_by_time, without user_key"],
        ),
        (
            "DELETE FROM events WHERE environment_id = $1 AND user_key = $2 AND delta = 0",
            &["events is searched without user_key"],
        ),
        (
            "INSERT INTO users (environment_id, key, id) VALUES ($1, $2, $3)
             ON CONFLICT (id, environment_id) DO NOTHING",
            &["users: users_by_id is asked for conflicts, without key"],
        ),
        ("SELECT forget_events($1, $2)", &["forget_events is called"]),
    ] {
        let faults = spread.faults_of_statement(&connection, sql).await;
        assert_eq!(faults.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{sql}");
    }
}
