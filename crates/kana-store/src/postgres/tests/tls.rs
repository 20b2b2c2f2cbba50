//! TLS to a server of the test's own.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use kana_test_postgres::{Authority, Certificate};
use tempfile::TempDir;

use super::*;
use crate::postgres::check_url;

/// The files that database URLs of a test name.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Writes a file. Returns its path as a URL has it.
    fn write(&self, name: &str, content: &str, mode: u32) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        in_url(&path)
    }
}

fn in_url(path: &Path) -> String {
    path.to_str().unwrap().replace('/', "%2F")
}

/// Opens the database, and tells how it is protected, or `refused`.
async fn protection(url: &str) -> String {
    match PostgresStore::open(url, Settings::default()).await {
        Ok(store) => store.protection().unwrap().to_string(),
        Err(StoreError::TlsFailed(_)) => "refused".to_owned(),
        Err(error) => panic!("{url}: {error:?}"),
    }
}

/// `sslmode` with its parameters, for a certificate of the authority `known`.
fn modes(known: &str) -> [String; 5] {
    [
        "sslmode=disable".to_owned(),
        "sslmode=prefer".to_owned(),
        "sslmode=require".to_owned(),
        format!("sslmode=verify-ca&sslrootcert={known}"),
        format!("sslmode=verify-full&sslrootcert={known}"),
    ]
}

#[tokio::test]
async fn each_mode_connects_as_it_promises() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let (authority, other) = (Authority::new("Ours"), Authority::new("Others"));
    let files = Files::new();
    let known = files.write("known.pem", authority.pem(), 0o644);
    let unknown = files.write("unknown.pem", other.pem(), 0o644);
    let by_address = cluster.url();
    let by_name = by_address.replace("127.0.0.1", "localhost");
    drop(open(&by_address).await);

    let row = async |url: &str, authority: &str| {
        let mut outcomes = Vec::new();
        for mode in modes(authority) {
            outcomes.push(protection(&format!("{url}?{mode}")).await);
        }
        outcomes
    };
    let plain_or_refused = ["plain", "plain", "refused", "refused", "refused"];
    assert_eq!(row(&by_name, &known).await, plain_or_refused, "a server without TLS");

    cluster.use_tls(&authority.sign("server", &["localhost"]), authority.pem());
    let (prefer, require) = ("TLSv1.3, prefer", "TLSv1.3, require");
    let (ca, full) = ("TLSv1.3, verify-ca", "TLSv1.3, verify-full");
    assert_eq!(row(&by_name, &known).await, ["plain", prefer, require, ca, full]);
    let unknown_authority = ["plain", prefer, require, "refused", "refused"];
    assert_eq!(row(&by_name, &unknown).await, unknown_authority);
    let other_host = ["plain", prefer, require, ca, "refused"];
    assert_eq!(row(&by_address, &known).await, other_host);
    assert_eq!(protection(&by_name).await, prefer, "the default");

    // As libpq does, require with an authority checks it.
    let require_with = |file: &str| format!("{by_address}?sslmode=require&sslrootcert={file}");
    assert_eq!(protection(&require_with(&known)).await, ca);
    assert_eq!(protection(&require_with(&unknown)).await, "refused");

    cluster.administrate("ALTER SYSTEM SET ssl_max_protocol_version = 'TLSv1.2'");
    cluster.restart();
    let url = format!("{by_name}?sslmode=verify-full&sslrootcert={known}");
    assert_eq!(protection(&url).await, "TLSv1.2, verify-full");
}

#[tokio::test]
async fn a_certificate_that_expired_or_that_the_server_signed_itself_is_checked_too() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let authority = Authority::new("Ours");
    let files = Files::new();
    let known = files.write("known.pem", authority.pem(), 0o644);
    let url = cluster.url().replace("127.0.0.1", "localhost");
    cluster.use_tls(&authority.sign_expired("server", &["localhost"]), authority.pem());
    assert_eq!(protection(&format!("{url}?sslmode=require")).await, "TLSv1.3, require");
    let error = wrong(&format!("{url}?sslmode=verify-ca&sslrootcert={known}")).await;
    assert!(matches!(error, StoreError::TlsFailed(_)), "{error:?}");
    assert!(error.to_string().contains("expired"), "{error}");
    assert!(
        error.to_string().contains("renew the certificate of the database's server"),
        "{error}"
    );
    assert!(!error.to_string().contains("sslrootcert"), "{error}");

    // As PostgreSQL's documentation makes one.
    let own = Certificate::self_signed("server", &["localhost"]);
    let trusted = files.write("own.pem", &own.chain, 0o644);
    cluster.use_tls(&own, authority.pem());
    let full = |url: &str, file: &str| format!("{url}?sslmode=verify-full&sslrootcert={file}");
    assert_eq!(protection(&full(&url, &trusted)).await, "TLSv1.3, verify-full");
    assert_eq!(protection(&full(&url, &known)).await, "refused");
    assert_eq!(protection(&full(&cluster.url(), &trusted)).await, "refused");
    // Another certificate of the same name is not the one that is trusted.
    let double = Certificate::self_signed("server", &["localhost"]);
    cluster.use_tls(&double, authority.pem());
    assert_eq!(protection(&full(&url, &trusted)).await, "refused");
}

#[tokio::test]
async fn a_client_proves_itself_with_a_certificate() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let (authority, other) = (Authority::new("Ours"), Authority::new("Others"));
    let files = Files::new();
    cluster.use_tls(&authority.sign("server", &["localhost"]), authority.pem());
    cluster.use_access_rules(
        "hostssl all kana 127.0.0.1/32 cert\n\
         host all postgres 127.0.0.1/32 scram-sha-256\n",
    );
    // Without a password.
    let url = format!("postgres://kana@{}/kana?sslmode=require", cluster.address());
    let with = |name: &str, certificate: &Certificate| {
        let chain = files.write(&format!("{name}.pem"), &certificate.chain, 0o644);
        let key = files.write(&format!("{name}.key"), &certificate.key, 0o600);
        format!("{url}&sslcert={chain}&sslkey={key}")
    };

    let error = wrong(&url).await;
    assert!(matches!(error, StoreError::AccessDenied(_)), "{error:?}");
    let mine = with("mine", &authority.sign("kana", &[]));
    assert_eq!(protection(&mine).await, "TLSv1.3, require");
    let error = wrong(&with("another user's", &authority.sign("postgres", &[]))).await;
    assert!(matches!(error, StoreError::AccessDenied(_)), "{error:?}");
    let error = wrong(&with("unknown", &other.sign("kana", &[]))).await;
    assert!(matches!(error, StoreError::TlsFailed(_)), "{error:?}");
}

#[tokio::test]
async fn a_password_is_bound_to_the_connection() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let url = cluster.url();
    let error = wrong(&format!("{url}?channel_binding=require")).await;
    assert!(matches!(error, StoreError::TlsFailed(_)), "a server without TLS: {error:?}");

    // Signed with SHA-384 and SHA-256.
    let authority = Authority::new("Ours");
    let certificates =
        [authority.sign("server", &["localhost"]), Certificate::self_signed("server", &[])];
    for certificate in certificates {
        cluster.use_tls(&certificate, authority.pem());
        for binding in ["disable", "prefer", "require"] {
            let url = format!("{url}?sslmode=require&channel_binding={binding}");
            assert_eq!(protection(&url).await, "TLSv1.3, require", "{binding}");
        }
    }

    // Without SCRAM, there is nothing to bind.
    cluster.use_access_rules(
        "host all kana 127.0.0.1/32 trust\nhost all postgres 127.0.0.1/32 scram-sha-256\n",
    );
    assert_eq!(protection(&format!("{url}?sslmode=require")).await, "TLSv1.3, require");
    let error = wrong(&format!("{url}?sslmode=require&channel_binding=require")).await;
    assert!(matches!(error, StoreError::TlsFailed(_)), "{error:?}");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new("Ours");
    let (mine, another) = (authority.sign("kana", &[]), authority.sign("kana", &[]));
    let files = Files::new();
    let chain = files.write("kana.pem", &mine.chain, 0o644);
    let key = files.write("kana.key", &mine.key, 0o600);
    let nonsense = files.write("nonsense.pem", "nonsense", 0o600);
    let cut = files.write("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA", 0o600);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken = files.write("broken.pem", broken, 0o600);
    let for_all = files.write("for_all.key", &mine.key, 0o644);
    let for_group = files.write("for_group.key", &mine.key, 0o620);
    let another = files.write("another.key", &another.key, 0o600);
    let locked = mine.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let locked = files.write("locked.key", &locked, 0o600);
    let directory = in_url(files.0.path());

    let url = "postgres://kana:hunter2@db/kana?sslmode=";
    let certificates = |chain: &str, key: &str| format!("require&sslcert={chain}&sslkey={key}");
    let authority = |file: &str| format!("verify-full&sslrootcert={file}");
    check_url(&format!("{url}{}", certificates(&chain, &key))).unwrap();
    check_url(&format!("{url}{}", authority(&chain))).unwrap();
    for (parameters, file, why) in [
        (authority(&nonsense), "nonsense.pem", "no certificate in PEM"),
        (authority(&cut), "cut.pem", "PEM"),
        (authority(&broken), "broken.pem", "sslrootcert"),
        (authority(&key), "kana.key", "no certificate in PEM"),
        (authority(&directory), "sslrootcert", "not a file"),
        (certificates(&nonsense, &key), "nonsense.pem", "no certificate in PEM"),
        (certificates(&chain, &nonsense), "nonsense.pem", "no private key in PEM"),
        (certificates(&chain, &locked), "locked.key", "encrypted"),
        (certificates(&chain, &another), "another.key", "together"),
        (certificates(&chain, &for_all), "for_all.key", "chmod 600"),
        (certificates(&chain, &for_group), "for_group.key", "chmod 600"),
    ] {
        let error = check_url(&format!("{url}{parameters}")).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StoreError::DatabaseUrl { .. }), "{error:?}");
        assert!(text.contains(file) && text.contains(why), "{file}, {why}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
