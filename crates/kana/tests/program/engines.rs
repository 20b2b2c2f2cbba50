//! The engines that a server can keep its data on: what clients do has to work on each.

use std::process::Command;

use kana_store::sqlite::{copy_events_into_blocks, register_functions};
use kana_test_postgres::{Database, is_here};
use tempfile::TempDir;

use crate::process::{Server, kana, note, run, text};

/// A place for a server's data, gone without a trace when it is dropped.
pub(crate) struct Engine {
    dir: TempDir,
    database: Option<Database>,
}

/// The embedded engine, and PostgreSQL where there is one.
pub(crate) fn engines() -> impl Iterator<Item = Engine> {
    [false, true].into_iter().filter(|on_postgres| !on_postgres || is_here()).map(|on_postgres| {
        note(if on_postgres { "on PostgreSQL" } else { "on the embedded engine" });
        Engine { database: on_postgres.then(Database::bare), ..Engine::embedded() }
    })
}

/// Runs statements on a database of the embedded engine. They find usage events in a table, as they do on
/// PostgreSQL.
fn change(sqlite: &rusqlite::Connection, sql: &str) -> rusqlite::Result<()> {
    register_functions(sqlite)?;
    if !sql.contains(" events ") {
        return sqlite.execute_batch(sql);
    }
    sqlite.execute_batch("CREATE TEMP TABLE events AS SELECT * FROM main.events")?;
    sqlite.execute_batch(sql)?;
    sqlite.execute_batch("DELETE FROM event_blocks")?;
    copy_events_into_blocks(sqlite, "temp.events").unwrap();
    Ok(())
}

impl Engine {
    pub(crate) fn embedded() -> Self {
        Self { dir: TempDir::new().unwrap(), database: None }
    }

    /// Makes the app `Acme`, starts a server and answers the keys, by the names of their variables.
    pub(crate) fn start_with_keys(&self) -> (Server, Vec<(String, String)>) {
        let url = self.database.as_ref().map(Database::url);
        let mut arguments = vec!["init", "--app", "Acme"];
        arguments.extend(url.iter().flat_map(|url| ["--database-url", url]));
        let output = run(self.dir.path(), &arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let key = |line: &str| {
            let (name, key) = line.split_once('=').unwrap();
            (name.to_owned(), key.to_owned())
        };
        let keys = text(&output.stdout).lines().map(key).collect();
        let server = match url {
            Some(url) => Server::start_on(self.dir.path(), url),
            None => Server::start(self.dir.path()),
        };
        (server, keys)
    }

    /// Returns the program with `arguments`, on this engine.
    pub(crate) fn kana(&self, arguments: &[&str]) -> Command {
        let mut command = kana(self.dir.path(), arguments);
        if let Some(database) = &self.database {
            command.env("KANA_DATABASE_URL", database.url());
        }
        command
    }

    /// Returns true if it is PostgreSQL.
    pub(crate) fn is_shared(&self) -> bool {
        self.database.is_some()
    }

    /// Runs SQL that both engines understand.
    pub(crate) fn execute(&self, sql: &str) {
        match &self.database {
            Some(database) => {
                kana_test_postgres::run(database.url(), &format!("SET search_path TO kana; {sql}"));
            }
            None => {
                let path = self.dir.path().join("kana-data/kana.db");
                change(&rusqlite::Connection::open(path).unwrap(), sql).unwrap();
            }
        }
    }

    /// The same, and answers the test key alone.
    pub(crate) fn start(&self) -> (Server, String) {
        let (server, mut keys) = self.start_with_keys();
        (server, keys.remove(0).1)
    }
}
