//! `kana users`: one user's data, for the one who operates Kana.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Server, run, text};

const USE: &str = r#"mutation {
    createFeature(input: { id: "calls", type: CONSUMABLE }) { id }
    createPackage(input: { id: "pro", features: [{ id: "calls" }] }) { id }
    publishPackage(id: "pro") { id }
    createUser(input: { id: "ada@example.com", name: "Ada" }) { id }
    other: createUser(input: { id: "bob", name: "Bob" }) { id }
    subscribe(userId: "ada@example.com", packageIds: ["pro"]) { id }
    recordUsage(input: {
        userId: "ada@example.com", featureId: "calls", idempotencyKey: "k", metadata: { order: 7 }
    }) { recorded }
    o: recordUsage(input: { userId: "bob", featureId: "calls" }) { recorded }
}"#;

fn lines(printed: &[u8]) -> Vec<Value> {
    text(printed).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_user_is_exported_and_deleted_beside_a_server() {
    let dir = TempDir::new().unwrap();
    let (mut server, key) = Server::start_new(&dir);
    server.data(&key, USE);

    let export = ["users", "export", "ada@example.com", "--env", "test"];
    let exported = run(dir.path(), &export);
    assert!(exported.status.success(), "{}", text(&exported.stderr));
    let records = lines(&exported.stdout);
    let kinds: Vec<&str> =
        records.iter().map(|record| record["record"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["user", "subscription", "counter", "event", "replay"], "{records:?}");
    assert_eq!(records[0]["id"], "ada@example.com");
    assert_eq!(records[2]["used"], 1);
    assert_eq!(records[3]["metadata"], json!({ "order": 7 }));

    let deleted = run(dir.path(), &["users", "delete", "ada@example.com", "--env", "test"]);
    assert!(deleted.status.success(), "{}", text(&deleted.stderr));
    assert!(!text(&deleted.stderr).contains("ada"), "{}", text(&deleted.stderr));
    let users = server.data(&key, "{ users { id name } }");
    let ids: Vec<&str> =
        users["users"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert!(ids[0].starts_with("deleted-") && ids[1..] == ["bob"], "{ids:?}");
    assert_eq!(users["users"][0]["name"], Value::Null);

    let left = lines(&run(dir.path(), &["users", "export", ids[0], "--env", "test"]).stdout);
    let left: Vec<String> = left.iter().map(ToString::to_string).collect();
    assert_eq!(left.len(), 5, "{left:?}");
    assert!(!left.concat().contains("ada") && !left.concat().contains("order"), "{left:?}");
    let audit = server
        .data(&key, "{ auditLog(kind: \"user\") { edges { node { actor action subject } } } }");
    assert_eq!(
        audit["auditLog"]["edges"],
        json!([{ "node": { "actor": "command line", "action": "deleteUser", "subject": null } }])
    );

    for command in ["export", "delete"] {
        let nobody = run(dir.path(), &["users", command, "ada@example.com", "--env", "test"]);
        assert_eq!(nobody.status.code(), Some(1));
        assert_eq!(text(&nobody.stdout), "");
        let why = text(&nobody.stderr);
        assert!(why.contains("there is no user with this id"), "{why}");
        assert!(!why.contains("ada"), "standard error may be collected: {why}");
        let elsewhere = run(dir.path(), &["users", command, "bob", "--env", "live"]);
        assert_eq!(elsewhere.status.code(), Some(1));
        let wrong = run(dir.path(), &["users", command, "", "--env", "test"]);
        assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
    }
    server.signal("TERM");
    server.wait();
    let checked = run(dir.path(), &["check"]);
    assert!(checked.status.success(), "{}", text(&checked.stdout));
}
