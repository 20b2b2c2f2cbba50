//! Checks of PostgreSQL: the connection, the server, the schema, rights, clock, and room for connections.

use std::future::Future;
use std::time::Duration;

use kana_core::Timestamp;
use kana_service::{Clock as _, SystemClock};
use kana_store::postgres::{Protection, Survey};
use kana_store::{Deadlines, PostgresStore, Store as _, StoreError, postgres};

use super::report::Check;
use crate::commands::for_a_tool;
use crate::settings::{DatabasePooler, DatabaseUrl, ServeSettings};

/// How long the server may take for each thing that is asked of it.
const PATIENCE: Duration = Duration::from_millis(4500);
/// How long a connection may take, so that what is known of a failure is shown and not the above.
const CONNECTED: Duration = Duration::from_secs(4);
const CLOCKS_APART_MAX_MS: i64 = 5_000;

/// Checks the database of a URL.
pub(super) async fn check(url: &DatabaseUrl, settings: &ServeSettings) -> Vec<Check> {
    let tool = postgres::Settings {
        deadlines: Deadlines { connect: CONNECTED, ..Deadlines::DEFAULT },
        ..for_a_tool(&settings.database)
    };
    let before = SystemClock.now();
    let survey = match in_time(PostgresStore::survey(url.reveal(), tool)).await {
        Ok(survey) => survey,
        Err(error) => {
            return vec![Check::fail("database", error.to_string(), advice(&error))];
        }
    };
    let after = SystemClock.now();
    let text = format!("PostgreSQL {} answers the role {}", survey.version, survey.role);
    let mut checks = vec![if survey.is_read_only {
        Check::fail("database", StoreError::ReadOnly.to_string(), advice(&StoreError::ReadOnly))
    } else {
        Check::ok("database", text)
    }];
    checks.extend(survey.protection.map(protection));
    checks.push(clock(survey.now, before, after));
    checks.push(connections(
        &survey,
        settings.database_connections.into(),
        settings.database.database_pooler,
    ));
    let schema = schema(&survey);
    let is_current = survey.schema_version == survey.schema_known;
    checks.push(schema);
    if is_current {
        let ready = in_time(async {
            PostgresStore::open_existing(url.reveal(), tool).await?.check_ready().await
        });
        checks.push(match ready.await {
            Ok(()) => Check::ok("rights", "the role may read and change all tables"),
            Err(error) => {
                Check::fail("rights", error.to_string(), "grant it to the role, or restore it")
            }
        });
    }
    checks
}

fn advice(error: &StoreError) -> &'static str {
    match error {
        StoreError::ReadOnly => "give the URL of the primary",
        StoreError::SessionDiffers { .. } => "see what the error says, and --database-pooler",
        StoreError::TlsFailed(_) => "do what the error says",
        _ => "see what the error says, and --database-url",
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {PATIENCE:?}").into())),
    }
}

fn protection(protection: Protection) -> Check {
    if protection == (Protection::Plain { leaves_machine: true }) {
        let advice = "add sslmode=verify-full and sslrootcert to the database URL";
        let text = "the connection has no TLS, and leaves this machine";
        return Check::warn("database TLS", text, advice);
    }
    Check::ok("database TLS", protection.to_string())
}

/// Compares clocks. The server's was read between `before` and `after`.
fn clock(database: Timestamp, before: Timestamp, after: Timestamp) -> Check {
    let (database, before, after) = (database.as_ms(), before.as_ms(), after.as_ms());
    let apart = (before - database).max(database - after).max(0);
    let text = format!("it is {apart} ms off this machine's");
    if apart > CLOCKS_APART_MAX_MS {
        return Check::fail("database clock", text, "keep both right with NTP");
    }
    Check::ok("database clock", text)
}

fn connections(survey: &Survey, of_a_node: i64, pooler: DatabasePooler) -> Check {
    let Survey { connections_max, connections_open, .. } = survey;
    let name = "database connections";
    let open = format!("{connections_open} of {connections_max} are open");
    // How many connections a pooler opens is its own setting, which cannot be seen from here.
    let (text, more, advice) = match pooler {
        DatabasePooler::None => (
            format!("{open}, and a node opens up to {of_a_node}"),
            of_a_node,
            "a running node is among those that are open; else lower --database-connections, raise \
             max_connections, or put a pooler in between",
        ),
        DatabasePooler::Transaction => (
            format!(
                "{open}, those of the pooler among them; a node opens up to {of_a_node} to the pooler, whose \
                 limit of clients must have room for all nodes"
            ),
            0,
            "lower the size of the pooler's pools, or raise max_connections",
        ),
    };
    if connections_open + more > *connections_max {
        return Check::warn(name, text, advice);
    }
    Check::ok(name, text)
}

fn schema(survey: &Survey) -> Check {
    let (found, known) = (survey.schema_version, survey.schema_known);
    if found == 0 {
        return Check::ok("schema", "there are no tables yet: kana serve makes them");
    }
    if found > known {
        let advice = "run the release that migrated it, or a newer one";
        return Check::fail("schema", StoreError::NewerSchema { found, known }.to_string(), advice);
    }
    if found < known {
        let error = StoreError::OlderSchema { found, needed: known };
        return Check::warn("schema", error.to_string(), "kana serve and kana migrate migrate it");
    }
    Check::ok("schema", format!("version {found}, that of this release"))
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    /// What a node opens to a pooler is no connection of the database.
    #[test]
    fn connections_of_the_database_are_not_those_of_a_pooler() {
        let survey = Survey {
            version: "15.0".to_owned(),
            role: "kana".to_owned(),
            connections_max: 97,
            connections_open: 90,
            now: Timestamp::from_ms(0),
            is_read_only: false,
            schema_version: 1,
            schema_known: 1,
            protection: None,
        };
        let of = |pooler| connections(&survey, 20, pooler);
        assert_eq!(of(DatabasePooler::None).status, Status::Warn);
        let through_pooler = of(DatabasePooler::Transaction);
        assert_eq!(through_pooler.status, Status::Ok);
        assert!(through_pooler.detail.contains("limit of clients"), "{through_pooler:?}");
        let full = Survey { connections_open: 98, ..survey };
        assert_eq!(connections(&full, 20, DatabasePooler::Transaction).status, Status::Warn);
    }

    #[test]
    fn clocks_may_be_five_seconds_apart() {
        let at = Timestamp::from_ms;
        for (database, status) in [
            (0, Status::Fail),
            (5_000, Status::Ok),
            (10_100, Status::Ok),
            (15_200, Status::Ok),
            (15_201, Status::Fail),
        ] {
            let check = clock(at(database), at(10_000), at(10_200));
            assert_eq!(check.status, status, "{check:?}");
        }
    }
}
