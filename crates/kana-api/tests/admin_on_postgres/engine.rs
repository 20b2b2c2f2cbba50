//! PostgreSQL.

use std::sync::Arc;

use kana_store::postgres::Settings;
use kana_store::{PostgresStore, Store};
use kana_test_postgres::{is_here, rows, run};
use serde_json::{Map, Value};

use crate::app::Stored;

/// Enough for what a story does at once. They are opened when they are needed.
const CONNECTIONS_MAX: usize = 8;

/// A database of a story's own, gone without a trace when it is dropped.
pub(crate) struct Database {
    database: kana_test_postgres::Database,
    tables: Vec<String>,
}

impl Database {
    /// The table that usage events are written to.
    pub(crate) const EVENTS: &str = "events";

    pub(crate) fn new() -> Self {
        if !is_here() {
            // Every test of this program needs one, and so it ends as a whole.
            std::process::exit(0);
        }
        let database = kana_test_postgres::Database::new();
        // The partitions of a table are read with it.
        let tables = "SELECT relname FROM pg_class WHERE relnamespace = 'kana'::regnamespace
            AND relkind IN ('r', 'p') AND NOT relispartition";
        let tables = rows(database.url(), tables).into_iter().flatten().collect();
        Self { database, tables }
    }

    /// Opens it as a server does.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        let settings = Settings { connections_max: CONNECTIONS_MAX, ..Settings::default() };
        Arc::new(PostgresStore::open(self.database.url(), settings).await.unwrap())
    }

    /// Runs statements past Kana.
    pub(crate) fn run(&self, statements: &str) {
        run(self.database.url(), &format!("SET search_path TO kana; {statements}"));
    }

    /// Makes every subscription one that runs, past Kana.
    pub(crate) fn revive_subscriptions(&self) {
        self.run(
            "UPDATE subscriptions SET status = 'ACTIVE', ended_at = NULL;
             UPDATE users u SET running_subscriptions = (
                 SELECT json_agg(json_build_array(id, package_id, status, started_at))::text
                 FROM subscriptions WHERE user_key = u.key)",
        );
    }

    /// Every row of every table, as another process would read them.
    pub(crate) fn stored(&self) -> Stored {
        let mut stored: Stored =
            self.tables.iter().map(|table| (table.clone(), Vec::new())).collect();
        let select = |table: &String| {
            format!("SELECT '{table}' AS name, row_to_json(t)::text AS line FROM kana.{table} t")
        };
        let all: Vec<String> = self.tables.iter().map(select).collect();
        // An update moves a row, and so they have no order of their own.
        let query = format!("{} ORDER BY name, line", all.join(" UNION ALL "));
        for row in rows(self.database.url(), &query) {
            let columns: Map<String, Value> = serde_json::from_str(&row[1]).unwrap();
            let columns = columns.into_iter().map(|(_, value)| text(value)).collect();
            stored.get_mut(&row[0]).unwrap().push(columns);
        }
        stored
    }
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
