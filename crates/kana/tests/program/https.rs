//! TLS for HTTP, asked by curl.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kana_test_postgres::{Authority, Certificate};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Server, init, kana, run, text};

/// A directory with the files of a certificate, and those of who signs.
struct Files {
    dir: TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { dir: TempDir::new().unwrap() };
        init(files.dir.path());
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a certificate with its key in place, each file at once.
    fn put(&self, certificate: &str, key: &str) {
        for (name, content) in [("key.pem", key), ("cert.pem", certificate)] {
            let new = self.path("new");
            std::fs::write(&new, content).unwrap();
            std::fs::rename(new, self.path(name)).unwrap();
        }
    }

    fn put_pair(&self, pair: &Certificate) {
        self.put(&pair.chain, &pair.key);
    }

    fn trust(&self, name: &str, pem: &str) -> PathBuf {
        std::fs::write(self.path(name), pem).unwrap();
        self.path(name)
    }

    fn command(&self) -> Command {
        let mut command = Server::command(self.dir.path());
        command.args(["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
        command
    }

    fn start(&self) -> Server {
        Server::start_with(&mut self.command())
    }
}

fn server_of(authority: &Authority) -> Certificate {
    authority.sign("server", &["localhost", "127.0.0.1"])
}

/// Asks a server by https, trusting who stands in a file.
fn curl(server: &Server, trusted: &Path, path: &str, more: &[&str]) -> Output {
    let url = format!("{}{path}", server.url.replace("http://127.0.0.1", "https://localhost"));
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--ipv4", "--cacert"]).arg(trusted).args(more);
    command.arg(url).output().unwrap()
}

fn is_ready(server: &Server, trusted: &Path) -> bool {
    let output = curl(server, trusted, "/readyz", &[]);
    output.status.success() && text(&output.stdout) == "ok\n"
}

/// Waits until something is so.
fn until(what: &str, is: impl Fn() -> bool) {
    let begun_at = Instant::now();
    while !is() {
        assert!(begun_at.elapsed() < Duration::from_secs(30), "not in time: {what}");
        std::thread::yield_now();
    }
}

fn metric(server: &Server, trusted: &Path, name: &str) -> i64 {
    let metrics = curl(server, trusted, "/metrics", &[]);
    let line = text(&metrics.stdout).lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name}")).trim().parse().unwrap()
}

#[test]
fn a_server_with_a_certificate_speaks_https_and_nothing_else() {
    let (files, authority) = (Files::new(), Authority::new("Ours"));
    files.put_pair(&server_of(&authority));
    let trusted = files.trust("ca.pem", authority.pem());
    let server = files.start();
    for versions in [&["--tlsv1.3"][..], &["--tlsv1.2", "--tls-max", "1.2"]] {
        let more = [versions, &["--include"]].concat();
        let output = curl(&server, &trusted, "/readyz", &more);
        let answer = text(&output.stdout).to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 200"), "{answer} {}", text(&output.stderr));
        assert!(answer.contains("strict-transport-security: max-age=31536000"), "{answer}");
    }
    assert!(!curl(&server, &trusted, "/readyz", &["--tls-max", "1.1"]).status.success());
    let page = curl(&server, &trusted, "/dashboard/sign-in", &["--include"]);
    assert!(text(&page.stdout).contains("strict-transport-security"), "{}", text(&page.stdout));
    assert!(server.log().contains("listening on https://"), "{}", server.log());
    assert!(metric(&server, &trusted, "kana_tls_certificate_not_after_seconds") > 1_900_000_000);

    let plain = Command::new("curl").args(["--silent", "--include", &server.url]).output().unwrap();
    let answer = text(&plain.stdout);
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request"), "{answer}");
    assert!(
        answer.ends_with("\r\n\r\nThis port speaks TLS: ask it with https://...\n"),
        "{answer}"
    );
    assert!(metric(&server, &trusted, "kana_tls_handshakes_total{result=\"failed\"}") >= 2);

    let address = server.url.strip_prefix("http://").unwrap();
    let healthy = run(files.dir.path(), &["healthcheck", "--listen", address]);
    assert!(healthy.status.success(), "{}", text(&healthy.stderr));
}

#[test]
fn a_certificate_is_replaced_under_load_without_a_failed_request() {
    let (files, one, other) = (Files::new(), Authority::new("One"), Authority::new("Other"));
    files.put_pair(&server_of(&one));
    let of_one = files.trust("one.pem", one.pem());
    let of_other = files.trust("other.pem", other.pem());
    let both = files.trust("both.pem", &format!("{}{}", one.pem(), other.pem()));
    let server = files.start();
    assert!(is_ready(&server, &of_one) && !is_ready(&server, &of_other));
    let stop = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !stop.load(Ordering::Relaxed) {
                assert!(is_ready(&server, &both), "after {asked} requests");
                asked += 1;
            }
            asked
        });
        files.put_pair(&server_of(&other));
        server.signal("HUP");
        until("the new certificate", || is_ready(&server, &of_other));
        // Without a signal, too, and by the five seconds.
        files.put_pair(&server_of(&one));
        until("the old one again", || is_ready(&server, &of_one));
        stop.store(true, Ordering::Relaxed);
        asking.join().unwrap()
    });
    assert!(asked > 5, "{asked}");
    assert_eq!(metric(&server, &both, "kana_tls_reloads_total{result=\"ok\"}"), 2);
}

#[test]
fn what_cannot_be_used_replaces_nothing() {
    let (files, authority) = (Files::new(), Authority::new("Ours"));
    let good = server_of(&authority);
    files.put_pair(&good);
    let trusted = files.trust("ca.pem", authority.pem());
    let server = files.start();
    let failed = || metric(&server, &trusted, "kana_tls_reloads_total{result=\"failed\"}");
    let expired = authority.sign_expired("server", &["localhost"]);
    let another = server_of(&authority);
    for (number, (chain, key, problem)) in [
        ("garbage", good.key.as_str(), "cert.pem: has no certificate in PEM"),
        (&good.chain, "garbage", "key.pem: has no private key in PEM"),
        (&good.chain, &another.key, "key.pem: is not the key of cert.pem"),
        (&expired.chain, &expired.key, "cert.pem: has a certificate that has expired"),
    ]
    .into_iter()
    .enumerate()
    {
        files.put(chain, key);
        server.signal("HUP");
        until(problem, || server.log().contains(problem));
        assert!(is_ready(&server, &trusted), "{problem}");
        assert!(failed() > i64::try_from(number).unwrap(), "{problem}");
    }
}

/// An alert that goes by what was counted lately must not forget what still lies there.
#[test]
fn a_certificate_that_stayed_unusable_counted_once() {
    let (files, authority) = (Files::new(), Authority::new("Ours"));
    let good = server_of(&authority);
    files.put_pair(&good);
    let trusted = files.trust("ca.pem", authority.pem());
    let server = files.start();
    let reloads = |result| {
        metric(&server, &trusted, &format!("kana_tls_reloads_total{{result=\"{result}\"}}"))
    };
    files.put("garbage", &good.key);
    until("three looks", || {
        server.signal("HUP");
        reloads("failed") >= 3
    });
    let said = server.log().matches("cert.pem: has no certificate in PEM").count();
    assert_eq!(said, 1, "{}", server.log());
    files.put_pair(&good);
    until("the good one again", || {
        server.signal("HUP");
        reloads("ok") > 0
    });
    let before = reloads("failed");
    let looks = || server.log().matches("the log's level was read anew").count();
    let enough = looks() + 3;
    until("more looks", || {
        server.signal("HUP");
        looks() >= enough
    });
    assert_eq!(reloads("failed"), before, "it is mended");
}

#[test]
fn a_server_does_not_start_with_what_cannot_be_used_and_says_which_file() {
    let (files, authority) = (Files::new(), Authority::new("Ours"));
    let (good, another) = (server_of(&authority), server_of(&authority));
    let refused = |arguments: &[&str]| {
        let serve = ["serve", "--listen", "127.0.0.1:0"];
        let output = run(files.dir.path(), &[&serve[..], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {}", text(&output.stderr));
        text(&output.stderr).to_owned()
    };
    let both = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    assert!(refused(&both).contains("cert.pem"), "{}", refused(&both));
    for (chain, key, problem) in [
        ("garbage", good.key.as_str(), "cert.pem: has no certificate in PEM"),
        (&good.chain, "garbage", "key.pem: has no private key in PEM"),
        (&good.chain, &another.key, "key.pem: is not the key of cert.pem"),
    ] {
        files.put(chain, key);
        assert!(refused(&both).contains(problem), "{}", refused(&both));
    }
    for (alone, missing) in [("--tls-cert", "--tls-key"), ("--tls-key", "--tls-cert")] {
        assert!(refused(&[alone, "cert.pem"]).contains(missing));
    }
    let by_variable =
        kana(files.dir.path(), &["serve"]).env("KANA_TLS_CERT", "cert.pem").output().unwrap();
    assert_eq!(by_variable.status.code(), Some(2));
}

#[test]
fn the_doctor_looks_at_the_certificate() {
    let (files, authority) = (Files::new(), Authority::new("Ours"));
    let check = || {
        let arguments = ["doctor", "--json", "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
        let output = run(files.dir.path(), &arguments);
        let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let check = checks.into_iter().find(|check| check["name"] == "certificate").unwrap();
        (check["status"].as_str().unwrap().to_owned(), check["detail"].to_string())
    };
    let (status, detail) = check();
    assert!(status == "fail" && detail.contains("cert.pem"), "{detail}");
    files.put_pair(&server_of(&authority));
    assert_eq!(check().0, "ok");
    files.put_pair(&authority.sign_expired("server", &["localhost"]));
    let (status, detail) = check();
    assert!(status == "fail" && detail.contains("has expired"), "{detail}");
}

#[test]
fn a_certificate_that_has_expired_is_said_to_have() {
    let (files, authority) = (Files::new(), Authority::new("Ours"));
    files.put_pair(&authority.sign_expired("server", &["localhost", "127.0.0.1"]));
    let trusted = files.trust("ca.pem", authority.pem());
    let server = files.start();
    assert!(server.log().contains("the certificate has expired"), "{}", server.log());
    assert!(!is_ready(&server, &trusted));
    let answer = curl(&server, &trusted, "/readyz", &["--insecure"]);
    assert_eq!(text(&answer.stdout), "ok\n");
}
