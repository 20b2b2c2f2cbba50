use std::hash::{DefaultHasher, Hash, Hasher};

use kana_store::PostgresStore;
use tokio_postgres::Client;

use crate::{connect, wait_for};

const VARIABLE: &str = "KANA_TEST_POSTGRES_URL";

/// So that one of many processes makes the template.
const LOCK: &str = "SELECT pg_advisory_lock(7526411)";

/// Whether there is a server for databases; says so if not.
#[must_use]
#[expect(clippy::print_stdout, reason = "it stands in the output of the test")]
pub fn is_here() -> bool {
    let is_here = std::env::var_os(VARIABLE).is_some();
    if !is_here {
        println!("SKIPPED: {VARIABLE} names no PostgreSQL server; ./test starts one");
    }
    is_here
}

/// A migrated database without an app, gone without a trace when it is dropped.
pub struct Database {
    server: String,
    name: String,
    url: String,
}

impl Database {
    /// A copy of the migrated one.
    #[must_use]
    pub fn new() -> Self {
        Self::copy(|server| wait_for(template(server)))
    }

    /// One that nobody has migrated yet.
    #[must_use]
    pub fn bare() -> Self {
        Self::copy(|_| "template1".to_owned())
    }

    fn copy(template: impl FnOnce(&str) -> String) -> Self {
        let server = std::env::var(VARIABLE).expect("no PostgreSQL: see is_here");
        let template = template(&server);
        let name = format!("kana_test_{}_{:08x}", std::process::id(), fastrand::u32(..));
        wait_for(async {
            let client = connect(&server).await.unwrap();
            let copy = format!("CREATE DATABASE {name} TEMPLATE {template}");
            client.batch_execute(&copy).await.unwrap();
        });
        let url = with_database(&server, &name);
        Self { server, name, url }
    }

    /// Its name on the server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// By which Kana opens it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        wait_for(async {
            if let Ok(client) = connect(&self.server).await {
                let _ = client.batch_execute(&drop).await;
            }
        });
    }
}

/// The name of the database that all are copied from. Another schema has another template.
async fn template(server: &str) -> String {
    let mut hasher = DefaultHasher::new();
    PostgresStore::migrations().hash(&mut hasher);
    let name = format!("kana_template_{:016x}", hasher.finish());
    let client = connect(server).await.unwrap();
    client.batch_execute(LOCK).await.unwrap();
    if !exists(&client, &name).await {
        let unfinished = format!("{name}_unfinished");
        let make = format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)");
        client.batch_execute(&make).await.unwrap();
        client.batch_execute(&format!("CREATE DATABASE {unfinished}")).await.unwrap();
        let url = with_database(server, &unfinished);
        drop(PostgresStore::open(&url, kana_store::postgres::Settings::default()).await.unwrap());
        let alone = format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
             WHERE datname = '{unfinished}'"
        );
        client.batch_execute(&alone).await.unwrap();
        let rename = format!("ALTER DATABASE {unfinished} RENAME TO {name}");
        client.batch_execute(&rename).await.unwrap();
    }
    name
}

async fn exists(client: &Client, name: &str) -> bool {
    let query = "SELECT 1 FROM pg_database WHERE datname = $1";
    client.query_opt(query, &[&name]).await.unwrap().is_some()
}

/// The URL with another database.
fn with_database(url: &str, name: &str) -> String {
    let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = place.split_once("://").unwrap();
    let host = rest.split('/').next().unwrap();
    format!("{scheme}://{host}/{name}?{parameters}").trim_end_matches('?').to_owned()
}
