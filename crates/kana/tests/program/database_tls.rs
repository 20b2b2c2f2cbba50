//! TLS between the program and PostgreSQL.

use std::time::{Duration, Instant};

use kana_test_postgres::{Authority, Cluster};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Server, init_with, run, text};

#[test]
fn the_start_line_says_how_the_connection_to_the_database_is_protected() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let authority = Authority::new("Ours");
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let url = cluster.url().replace("127.0.0.1", "localhost");
    let verified = format!("{url}?sslmode=verify-full&sslrootcert={}", file.display());
    let key = init_with(dir.path(), &["--database-url", &url]);

    // Waiting for a server without TLS would be in vain.
    let since = Instant::now();
    let output =
        run(dir.path(), &["serve", "--listen", "127.0.0.1:0", "--database-url", &verified]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(since.elapsed() < Duration::from_secs(30), "it waited");
    let error = text(&output.stderr);
    assert!(error.contains("does not support TLS") && error.contains("sslmode"), "{error}");
    assert!(!error.contains("secret"), "{error}");

    cluster.use_tls(&authority.sign("server", &["localhost"]), authority.pem());
    for (url, expected) in [
        (&verified, "TLSv1.3, verify-full"),
        (&url, "TLSv1.3, prefer"),
        (&format!("{url}?sslmode=disable"), "plain"),
    ] {
        let server = Server::start_on(dir.path(), url);
        server.data(&key, "{ features { id } }");
        let log = server.log();
        let ready = log.lines().find(|line| line.contains("ready: listening")).unwrap();
        let ready: Value = serde_json::from_str(ready).unwrap();
        assert_eq!(ready["database_tls"], expected, "{ready}");
        assert!(!log.contains("leaves this machine"), "{log}");
    }
}
