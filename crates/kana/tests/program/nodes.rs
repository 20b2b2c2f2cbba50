//! Many servers on one PostgreSQL database.

use kana_test_postgres::{Database, is_here};
use serde_json::json;
use tempfile::TempDir;

use crate::ledger::{prepare, used};
use crate::process::{Server, init_with, run, text};

/// Two servers on a database of their own, with the test key.
struct Nodes {
    servers: [Server; 2],
    key: String,
    dir: TempDir,
    database: Database,
}

impl Nodes {
    /// `None` where there is no PostgreSQL.
    fn start() -> Option<Self> {
        if !is_here() {
            return None;
        }
        let (dir, database) = (TempDir::new().unwrap(), Database::bare());
        let key = init_with(dir.path(), &["--database-url", database.url()]);
        let servers = [(); 2].map(|()| Server::start_on(dir.path(), database.url()));
        Some(Self { servers, key, dir, database })
    }

    fn run(&self, arguments: &[&str]) -> String {
        let database = ["--database-url", self.database.url()];
        let output = run(self.dir.path(), &[&arguments[..1], &database, &arguments[1..]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).to_owned()
    }
}

#[test]
fn two_servers_grant_a_budget_exactly() {
    const BUDGET: u64 = 10_000;
    const CLIENTS: u64 = 100;
    let Some(nodes) = Nodes::start() else {
        return;
    };
    let Nodes { servers, key, .. } = &nodes;
    servers[0].data(
        key,
        &format!(
            r#"mutation {{
                createFeature(input: {{ id: "credits", type: CONSUMABLE }}) {{ id }}
                createPackage(input: {{ id: "pro", features: [
                    {{ id: "credits", entitlement: {{ limit: {BUDGET}, resetPeriod: YEAR }} }}] }}) {{ id }}
                publishPackage(id: "pro") {{ id }}
                createUser(input: {{ id: "ada" }}) {{ id }}
                subscribe(packageIds: "pro", userId: "ada") {{ id }}
            }}"#
        ),
    );
    let query = r#"mutation {
        useFeature(input: { userId: "ada", featureId: "credits" }) { granted } }"#;
    let granted: u64 = std::thread::scope(|scope| {
        let clients: Vec<_> = servers
            .iter()
            .flat_map(|server| (0..CLIENTS / 2).map(move |_| server))
            .map(|server| {
                // All of them together ask for a quarter more than there is.
                let asking = move || {
                    (0..BUDGET * 5 / 4 / CLIENTS)
                        .map(|_| server.data(key, query)["useFeature"]["granted"].as_bool())
                        .map(|granted| u64::from(granted.unwrap()))
                        .sum::<u64>()
                };
                scope.spawn(asking)
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(granted, BUDGET);
    for server in servers {
        assert_eq!(used(server, key, "ada", "credits"), BUDGET);
    }
}

#[test]
fn what_one_server_was_told_is_what_the_other_answers() {
    let Some(nodes) = Nodes::start() else {
        return;
    };
    let Nodes { servers: [one, other], key, .. } = &nodes;
    prepare(one, key);
    one.data(key, r#"mutation { createFeature(input: { id: "sso", type: BINARY }) { id } }"#);
    for round in 0..10 {
        let package = format!("package-{round}");
        one.data(
            key,
            &format!(
                r#"mutation {{
                    createPackage(input: {{ id: "{package}", isAddon: true,
                        features: [{{ id: "sso" }}] }}) {{ id }}
                    publishPackage(id: "{package}") {{ id }} }}"#
            ),
        );
        let subscribed = other.data(
            key,
            &format!(
                r#"mutation {{ subscribe(packageIds: "{package}", userId: "ada") {{ status }} }}"#
            ),
        );
        assert_eq!(subscribed["subscribe"], json!([{ "status": "ACTIVE" }]));
        let usage = r#"mutation { recordUsage(input: { userId: "ada", featureId: "calls" }) {
            recorded } }"#;
        other.data(key, usage);
        assert_eq!(used(one, key, "ada", "calls"), round + 1);
    }
}

#[test]
fn keys_are_made_and_revoked_on_a_database_that_servers_share() {
    let Some(nodes) = Nodes::start() else {
        return;
    };
    let again = nodes.run(&["init"]);
    assert_eq!(again, "", "there is an app already");
    let made = nodes.run(&["keys", "create", "--env", "test", "--kind", "private"]);
    let key = made.trim();
    let question = "{ features { id } }";
    for server in &nodes.servers {
        assert_eq!(server.data(key, question), json!({ "features": [] }));
    }
    let list = nodes.run(&["keys", "list"]);
    let line = list.lines().last().unwrap();
    assert!(line.contains(&key[key.len() - 4..]), "{list}");
    nodes.run(&["keys", "revoke", line.split_whitespace().next().unwrap()]);
    let list = nodes.run(&["keys", "list"]);
    let revoked_at = list.lines().last().unwrap().split_whitespace().nth(6);
    assert!(revoked_at.is_some_and(|at| at != "-"), "{list}");
    assert!(!nodes.dir.path().join("kana-data").exists(), "nothing is stored here");
}
