//! PostgreSQL for tests.
//!
//! A [`Database`] of a test's own is a copy of one that was migrated once, on the server that
//! `KANA_TEST_POSTGRES_URL` names. `./test` starts such a server; without one, tests that need it
//! say that they were skipped. A [`Cluster`] is a server of a test's own, to be restarted and
//! killed; it needs the server's programs on this machine. A [`Link`] is a proxy to either that can
//! fall silent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "whatever fails here fails its test"
)]

mod certificates;
mod cluster;
mod database;
mod link;
mod pooler;

pub use certificates::{Authority, Certificate};
pub use cluster::Cluster;
pub use database::{Database, is_here};
pub use link::Link;
pub use pooler::Pooler;

use tokio_postgres::{Client, NoTls};

/// Runs `work` to its end, also on a thread that a runtime uses.
fn wait_for<T: Send>(work: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        scope.spawn(move || runtime.block_on(work)).join().unwrap()
    })
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(client)
}

/// Rows of a database as text, a column each, read without Kana.
#[must_use]
pub fn rows(url: &str, query: &str) -> Vec<Vec<String>> {
    wait_for(async {
        let client = connect(url).await.unwrap();
        let messages = client.simple_query(query).await.unwrap();
        let rows = messages.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row = |row: &tokio_postgres::SimpleQueryRow| {
            (0..row.len()).map(|at| row.get(at).unwrap_or("NULL").to_owned()).collect()
        };
        rows.map(row).collect()
    })
}

/// Runs statements on a database, past Kana.
pub fn run(url: &str, statements: &str) {
    wait_for(async { connect(url).await.unwrap().batch_execute(statements).await.unwrap() });
}
