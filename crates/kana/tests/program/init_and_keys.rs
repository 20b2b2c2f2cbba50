//! `kana init` and `kana keys`.

use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Server, run, text};

const NAMES: [(&str, &str); 4] = [
    ("KANA_DEV_KEY", "prv_test_"),
    ("KANA_DEV_PUBLIC_KEY", "pub_test_"),
    ("KANA_LIVE_KEY", "prv_live_"),
    ("KANA_LIVE_PUBLIC_KEY", "pub_live_"),
];

fn assert_is_key(key: &str, prefix: &str) {
    let random = key.strip_prefix(prefix).unwrap_or_else(|| panic!("{key} is no {prefix} key"));
    assert_eq!(random.len(), 40);
    assert!(random.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()));
}

pub(crate) fn assert_are_first_keys(out: &str) {
    let mut lines: Vec<&str> = out.lines().collect();
    let link = lines.pop().unwrap();
    assert!(link.starts_with("# Dashboard: http://"), "{out}");
    assert_eq!(lines.len(), NAMES.len(), "{out}");
    for (line, (name, prefix)) in lines.into_iter().zip(NAMES) {
        let (found, key) = line.split_once('=').unwrap();
        assert_eq!(found, name);
        assert_is_key(key, prefix);
    }
}

fn is_authorised(server: &Server, key: &str) -> bool {
    let answer = server.ask(key, "{ __typename }", &json!({}));
    match answer["errors"][0]["message"].as_str() {
        Some(message) => {
            assert!(message.starts_with("Unauthenticated"), "{message}");
            false
        }
        None => {
            assert_eq!(answer["data"], json!({ "__typename": "Query" }));
            true
        }
    }
}

#[test]
fn init_prints_the_keys_once() {
    let dir = TempDir::new().unwrap();
    let first = run(dir.path(), &["init", "--app", "Acme"]);
    assert!(first.status.success());
    assert_are_first_keys(text(&first.stdout));

    let again = run(dir.path(), &["init"]);
    assert!(again.status.success());
    assert_eq!(text(&again.stdout), "");
    assert!(text(&again.stderr).contains("nothing has changed"), "{}", text(&again.stderr));
}

#[test]
fn keys_are_created_and_revoked_while_a_server_runs() {
    let dir = TempDir::new().unwrap();
    let (server, first_key) = Server::start_new(&dir);

    let created = run(dir.path(), &["keys", "create", "--env", "test", "--kind", "private"]);
    assert!(created.status.success());
    let out = text(&created.stdout);
    let key = out.strip_suffix('\n').unwrap();
    assert_is_key(key, "prv_test_");
    assert!(is_authorised(&server, key));

    let list = run(dir.path(), &["keys", "list"]);
    let list = text(&list.stdout);
    assert_eq!(list.lines().count(), 6, "a heading, four first keys, and this one: {list}");
    let line = list.lines().find(|line| line.contains(&key[key.len() - 4..])).unwrap();
    let fields: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(fields[1..4], ["test", "private", &key[key.len() - 4..]]);
    assert_eq!(fields[6], "-", "it is not revoked");
    assert!(!list.contains(&key[..key.len() - 4]), "no key is shown");

    let revoked = run(dir.path(), &["keys", "revoke", fields[0]]);
    assert!(revoked.status.success(), "{}", text(&revoked.stderr));
    let revoked_at = Instant::now();
    while is_authorised(&server, key) {
        assert!(revoked_at.elapsed().as_secs() < 5, "the revocation is not obeyed");
    }
    assert!(is_authorised(&server, &first_key), "other keys go on");
    let list = run(dir.path(), &["keys", "list"]);
    let list = text(&list.stdout);
    let line = list.lines().find(|line| line.starts_with(fields[0])).unwrap();
    assert_ne!(line.split_whitespace().nth(6), Some("-"), "{line}");
}

#[test]
fn a_key_expires_when_it_was_said_to_and_is_listed_as_data() {
    let dir = TempDir::new().unwrap();
    let (server, _) = Server::start_new(&dir);
    let create = ["keys", "create", "--env", "test", "--kind", "private"];
    let create = |more: &[&str]| run(dir.path(), &[&create[..], more].concat());
    let created = create(&["--name", "CI", "--expires-in", "2s"]);
    let key = text(&created.stdout).trim_end().to_owned();
    assert!(is_authorised(&server, &key));
    let begun_at = Instant::now();
    while is_authorised(&server, &key) {
        assert!(begun_at.elapsed().as_secs() < 10, "it does not expire");
    }
    let answer = server.ask(&key, "{ __typename }", &json!({}));
    assert_eq!(answer["errors"][0]["message"], "Unauthenticated: the key has expired");

    let listed = run(dir.path(), &["keys", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let listed = listed.as_array().unwrap().last().unwrap().as_object().unwrap();
    let names: Vec<&str> = listed.keys().map(String::as_str).collect();
    let expected = [
        "id",
        "name",
        "environment",
        "kind",
        "lastFour",
        "createdAt",
        "lastUsedAt",
        "expiresAt",
        "revokedAt",
    ];
    assert_eq!(names, expected);
    assert_eq!((&listed["name"], &listed["environment"]), (&json!("CI"), &json!("test")));
    assert!(listed["expiresAt"].as_str().unwrap() > listed["createdAt"].as_str().unwrap());
    assert_eq!(listed["revokedAt"], Value::Null);

    for bad in ["0s", "90", "1w", "36501d"] {
        let refused = create(&["--expires-in", bad]);
        assert_eq!(refused.status.code(), Some(2), "{bad}");
        assert!(text(&refused.stderr).contains("--expires-in"), "{}", text(&refused.stderr));
    }
}

#[test]
fn the_last_private_key_of_an_environment_is_only_revoked_with_yes() {
    let dir = TempDir::new().unwrap();
    run(dir.path(), &["init"]);
    // The first keys: 1 and 2 are test's private and public ones, 3 and 4 live's.
    let refused = run(dir.path(), &["keys", "revoke", "3"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("last private key of live"),
        "{}",
        text(&refused.stderr)
    );
    assert!(
        run(dir.path(), &["keys", "revoke", "4"]).status.success(),
        "a public one opens little"
    );
    let create = ["keys", "create", "--env", "live", "--kind", "private"];
    assert!(run(dir.path(), &create).status.success());
    assert!(run(dir.path(), &["keys", "revoke", "3"]).status.success());
    assert_eq!(run(dir.path(), &["keys", "revoke", "5"]).status.code(), Some(1));
    assert!(run(dir.path(), &["keys", "revoke", "5", "--yes"]).status.success());
}

#[test]
fn keys_that_do_not_exist_and_databases_without_an_app_are_errors() {
    let dir = TempDir::new().unwrap();
    let no_app = run(dir.path(), &["keys", "list"]);
    assert_eq!(no_app.status.code(), Some(1));
    assert!(text(&no_app.stderr).contains("kana init"), "{}", text(&no_app.stderr));

    run(dir.path(), &["init"]);
    let no_key = run(dir.path(), &["keys", "revoke", "99"]);
    assert_eq!(no_key.status.code(), Some(1));
    assert!(text(&no_key.stderr).contains("there is no key 99"), "{}", text(&no_key.stderr));
}

#[test]
fn keys_stand_neither_in_the_database_nor_in_the_log() {
    let dir = TempDir::new().unwrap();
    let (mut server, key) = Server::start_new(&dir);
    assert!(is_authorised(&server, &key));
    let unknown = format!("prv_test_{}", "x".repeat(40));
    assert!(!is_authorised(&server, &unknown));
    server.signal("TERM");
    server.wait();

    let log = server.log();
    let mut files = 0;
    for entry in std::fs::read_dir(dir.path().join("kana-data")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let found = bytes.windows(key.len()).any(|window| window == key.as_bytes());
        assert!(!found, "only a hash is stored");
        files += 1;
    }
    assert!(files > 0);
    for secret in [&key, &unknown] {
        assert!(!log.contains(secret.as_str()), "{log}");
    }
}

#[test]
fn keys_open_their_own_environment_only() {
    let dir = TempDir::new().unwrap();
    let keys = run(dir.path(), &["init"]);
    let keys: Vec<String> = text(&keys.stdout)
        .lines()
        .take(4)
        .map(|line| line.split_once('=').unwrap().1.to_owned())
        .collect();
    let [test, test_public, live, live_public] = keys.try_into().unwrap();
    let server = Server::start(dir.path());
    server.data(&test, r#"mutation { createUser(input: { id: "1" }) { id } }"#);

    let ask = |key: &str| server.ask(key, r#"{ user(id: "1") { id } }"#, &Value::Null);
    assert_eq!(ask(&test)["data"]["user"]["id"], "1");
    let exception = &ask(&live)["errors"][0]["extensions"]["exception"];
    assert_eq!(exception["name"], "UserNotFoundError");
    for public in [test_public, live_public] {
        assert!(!is_authorised(&server, &public));
    }
}

/// The Client API's answer to who the user is.
pub(crate) fn current_user(server: &Server, headers: &[(&str, &str)]) -> Value {
    let mut request = ureq::post(format!("{}/client/graphql", server.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let query = json!({ "query": "{ currentUser { id } }" });
    request.send_json(query).unwrap().body_mut().read_json().unwrap()
}

/// Asks until the answer is a refusal, which a running server must give within five seconds.
fn is_soon_refused(server: &Server, headers: &[(&str, &str)]) -> String {
    let told = Instant::now();
    loop {
        let answer = current_user(server, headers);
        if let Some(message) = answer["errors"][0]["message"].as_str() {
            assert!(message.starts_with("Unauthenticated"), "{message}");
            return message.to_owned();
        }
        assert!(told.elapsed().as_secs() < 5, "still answered: {answer}");
    }
}

#[test]
fn browsers_are_let_in_and_shut_out_while_a_server_runs() {
    let dir = TempDir::new().unwrap();
    let keys = run(dir.path(), &["init"]);
    let keys: Vec<&str> =
        text(&keys.stdout).lines().take(4).map(|line| line.split_once('=').unwrap().1).collect();
    let server = Server::start(dir.path());
    server.data(keys[0], r#"mutation { createUser(input: { id: "124" }) { id } }"#);
    let token = server.data(keys[0], r#"mutation { generateUserToken(userId: "124") { token } }"#);
    let bearer = format!("Bearer {}", token["generateUserToken"]["token"].as_str().unwrap());
    let secure = [("Authorization", bearer.as_str())];
    let simple = [("Authorization", keys[1]), ("X-User-ID", "124")];
    for headers in [&secure[..], &simple[..]] {
        assert_eq!(current_user(&server, headers)["data"]["currentUser"]["id"], "124");
    }

    let kana = |arguments: &[&str]| {
        let output = run(dir.path(), arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "");
    };
    kana(&["keys", "simple-mode", "--env", "test", "off"]);
    assert!(is_soon_refused(&server, &simple).contains("user token"));
    // A rotation leaves the tokens that are out as they are, unless they are to be void at once.
    kana(&["keys", "rotate-token-secret", "--env", "test"]);
    kana(&["keys", "rotate-token-secret", "--env", "live", "--at-once"]);
    assert_eq!(current_user(&server, &secure)["data"]["currentUser"]["id"], "124");
    kana(&["keys", "rotate-token-secret", "--env", "test", "--at-once"]);
    is_soon_refused(&server, &secure);
}
