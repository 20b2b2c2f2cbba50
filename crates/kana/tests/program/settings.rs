//! A flag, else a variable, else `kana.toml`, else the default.

use tempfile::TempDir;

use crate::process::{kana, run, text};

#[test]
fn a_wrong_setting_is_an_error_that_names_it() {
    let dir = TempDir::new().unwrap();
    for (arguments, named) in [
        (&["serve", "--listen", "nowhere"][..], "--listen"),
        (&["serve", "--data-dri", "x"], "--data-dri"),
        (&["keys", "create", "--env", "production", "--kind", "private"], "--env"),
        (&["keys", "revoke", "first"], "first"),
    ] {
        let output = run(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(named), "{}", text(&output.stderr));
    }
    let output = kana(dir.path(), &["serve"]).env("KANA_LISTEN", "nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--listen"), "{}", text(&output.stderr));
    let origins =
        kana(dir.path(), &["serve"]).env("KANA_CLIENT_ORIGINS", "app.co").output().unwrap();
    assert_eq!(origins.status.code(), Some(2));
    let said = text(&origins.stderr);
    for named in ["--client-origins", "app.co", "https://app.example.com"] {
        assert!(said.contains(named), "{said}");
    }
    assert!(!dir.path().join("kana-data").exists(), "nothing was made");
}

#[test]
fn the_file_in_the_working_directory_counts_and_a_variable_counts_more() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("kana.toml"), "data_dir = \"from-file\"\n").unwrap();
    assert!(run(dir.path(), &["init"]).status.success());
    assert!(dir.path().join("from-file/kana.db").exists());

    let by_variable =
        kana(dir.path(), &["init"]).env("KANA_DATA_DIR", "from-variable").output().unwrap();
    assert!(by_variable.status.success());
    assert!(dir.path().join("from-variable/kana.db").exists());

    let by_flag = kana(dir.path(), &["init", "--data-dir", "from-flag"])
        .env("KANA_DATA_DIR", "from-nowhere")
        .output()
        .unwrap();
    assert!(by_flag.status.success());
    assert!(dir.path().join("from-flag/kana.db").exists());
    assert!(!dir.path().join("from-nowhere").exists());

    std::fs::write(dir.path().join("kana.toml"), "data_dri = \"x\"\n").unwrap();
    let misspelt = run(dir.path(), &["init"]);
    assert_eq!(misspelt.status.code(), Some(2));
    assert!(text(&misspelt.stderr).contains("data_dri"), "{}", text(&misspelt.stderr));
}

#[test]
fn help_shows_every_setting_and_no_password() {
    let dir = TempDir::new().unwrap();
    let help = kana(dir.path(), &["serve", "--help"])
        .env("KANA_DATABASE_URL", "postgres://kana:hunter2@db/kana")
        .output()
        .unwrap();
    let help = text(&help.stdout);
    for named in [
        "--data-dir",
        "KANA_DATA_DIR",
        "./kana-data",
        "--database-url",
        "--database-connections",
        "KANA_DATABASE_URL",
        "--listen",
        "KANA_LISTEN",
        "127.0.0.1:4000",
        "--client-origins",
        "KANA_CLIENT_ORIGINS",
        "[default: *]",
        "--connections-max",
        "KANA_CONNECTIONS_MAX",
        "[default: 10000]",
        "--idle-timeout-seconds",
        "KANA_IDLE_TIMEOUT_SECONDS",
        "[default: 75]",
    ] {
        assert!(help.contains(named), "{named} is missing: {help}");
    }
    assert!(!help.contains("hunter2"), "{help}");
}

#[test]
fn a_wrong_database_url_is_told_without_showing_it() {
    let dir = TempDir::new().unwrap();
    for (url, problem) in [
        ("mysql://kana:hunter2@db/kana", "postgres://"),
        ("postgres://kana:hunter2@db:port/kana", "cannot be read"),
        ("postgres://kana:hunter2@db", "no database"),
        ("postgres://kana:hunter2@127.0.0.1:1/kana", "cannot be reached"),
    ] {
        for command in ["init", "serve"] {
            let output = run(dir.path(), &[command, "--database-url", url]);
            assert_eq!(output.status.code(), Some(1));
            let error = text(&output.stderr);
            assert!(error.contains(problem) && !error.contains("hunter2"), "{error}");
        }
    }
    assert!(!dir.path().join("kana-data").exists(), "nothing was made");
}
