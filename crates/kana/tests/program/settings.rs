//! A flag, else a variable, else `kana.toml`, else the default.

use std::net::SocketAddr;

use serde_json::json;
use tempfile::TempDir;

use crate::process::{Server, kana, run, text};

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
        "--request-timeout-seconds",
        "[default: 30]",
        "--drain-seconds",
        "KANA_DRAIN_SECONDS",
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
        ("postgres://kana:hunter2@db/kana?sslmode=allow", "sslmode=allow"),
        ("postgres://kana:hunter2@db/kana?sslmode=verify-full", "needs sslrootcert"),
        (
            "postgres://kana:hunter2@db/kana?sslmode=verify-ca&sslrootcert=/nowhere/ca.pem",
            "/nowhere/ca.pem",
        ),
        ("postgres://kana:hunter2@127.0.0.1:1/kana", "cannot be reached"),
    ] {
        // An invalid URL is wrong usage; a database that is away is not.
        let exit_code = if problem == "cannot be reached" { 1 } else { 2 };
        // A server waits for a database that is away.
        let commands: &[&str] = if exit_code == 1 { &["init"] } else { &["init", "serve"] };
        for command in commands {
            let output = run(dir.path(), &[*command, "--database-url", url]);
            assert_eq!(output.status.code(), Some(exit_code), "{}", text(&output.stderr));
            let error = text(&output.stderr);
            assert!(error.contains(problem) && !error.contains("hunter2"), "{error}");
        }
    }
    assert!(!dir.path().join("kana-data").exists(), "nothing was made");
}

#[test]
fn a_password_is_shown_nowhere() {
    const URL: &str = "postgres://kana:hunter2@db/kana";
    const WRONG_URL: &str = "postgres://kana:hunter2@db:port/kana";
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("kana.toml");
    let with_file = |text: &str, arguments: &[&str]| {
        std::fs::write(&file, text).unwrap();
        run(dir.path(), arguments)
    };
    let by_variable = |arguments: &[&str]| {
        std::fs::write(&file, "").unwrap();
        kana(dir.path(), arguments).env("KANA_DATABASE_URL", WRONG_URL).output().unwrap()
    };
    let in_file = format!("database_url = \"{URL}\"");
    for output in [
        with_file(&in_file, &["serve", "--help"]),
        with_file(&in_file, &["keys", "list", "--help"]),
        with_file(&format!("database_url = \"{WRONG_URL}\""), &["serve"]),
        with_file(&format!("database_url = \"{URL}"), &["serve"]),
        with_file(&format!("database_url = {URL}"), &["serve"]),
        with_file(&format!("database_url = [\"{URL}\", 1]"), &["serve"]),
        by_variable(&["serve", "--help"]),
        by_variable(&["serve"]),
        by_variable(&["keys", "list"]),
        run(dir.path(), &["serve", "--database-url", WRONG_URL]),
        run(dir.path(), &["serve", &format!("--database-url={WRONG_URL}")]),
        run(dir.path(), &["serve", WRONG_URL]),
        run(dir.path(), &["serve", "--listen", URL]),
        run(dir.path(), &["keys", "list", "postgres://kana:hunter2"]),
        kana(dir.path(), &["pull"])
            .env("KANA_DEV_KEY", "prv_test_1")
            .env("KANA_URL", "http://kana:hunter2@127.0.0.1:1")
            .output()
            .unwrap(),
    ] {
        let said = [text(&output.stdout), text(&output.stderr)].concat();
        assert!(!said.is_empty() && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn help_has_the_default_and_not_what_is_set() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("kana.toml"), "data_dir = \"/from/file\"").unwrap();
    let help =
        kana(dir.path(), &["serve", "--help"]).env("KANA_LISTEN", "nowhere").output().unwrap();
    assert!(help.status.success());
    let help = text(&help.stdout);
    assert!(
        help.contains("[default: ./kana-data]") && help.contains("[env: KANA_LISTEN]"),
        "{help}"
    );
    assert!(!help.contains("/from/file") && !help.contains("nowhere"), "{help}");
}

#[test]
fn a_variable_that_is_set_and_empty_counts_as_not_set() {
    let dir = TempDir::new().unwrap();
    let names = [
        "KANA_DATA_DIR",
        "KANA_DATABASE_URL",
        "KANA_LISTEN",
        "KANA_CLIENT_ORIGINS",
        "KANA_DATABASE_CONNECTIONS",
        "KANA_CONNECTIONS_MAX",
        "KANA_IDLE_TIMEOUT_SECONDS",
        "KANA_USER_TOKEN_DAYS",
        "KANA_IDEMPOTENCY_DAYS",
        "KANA_EVENTS_DAYS",
        "KANA_LOG",
        "KANA_URL",
        "KANA_DEV_URL",
        "KANA_DEV_KEY",
        "KANA_LIVE_KEY",
    ];
    let with_empty = |arguments: &[&str]| {
        let mut command = kana(dir.path(), arguments);
        command.envs(names.map(|name| (name, "")));
        command
    };
    let file = "database_connections = 6\ndata_dir = \"from-file\"";
    std::fs::write(dir.path().join("kana.toml"), file).unwrap();
    drop(Server::start_with(&mut with_empty(&["serve", "--listen", "127.0.0.1:0"])));
    assert!(dir.path().join("from-file/kana.db").exists(), "the file counts");
    let created = with_empty(&["keys", "create", "--env", "test", "--kind", "private"]).output();
    let key = text(&created.unwrap().stdout).to_owned();
    assert!(key.starts_with("prv_test_"), "{key}");

    // The line ends after the key and the address are removed.
    let server = Server::start(dir.path());
    std::fs::write(dir.path().join(".env"), format!("KANA_DEV_KEY={key}")).unwrap();
    let url = format!("{}\n", server.url);
    let pulled = with_empty(&["pull"]).env("KANA_URL", &url).output().unwrap();
    assert!(pulled.status.success(), "{}", text(&pulled.stderr));
    let pulled = kana(dir.path(), &["pull"]).env("KANA_URL", url).env("KANA_DEV_KEY", key).output();
    assert!(pulled.unwrap().status.success());
}

#[test]
fn config_shows_what_serve_would_run_with_and_makes_no_file() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("own.toml"), "idempotency_days = 7").unwrap();
    let mut config = kana(dir.path(), &["config", "--config", "own.toml", "--json"]);
    let url = "postgres://kana:hunter2@db/kana";
    config.env("KANA_DATABASE_URL", url).env("KANA_PORT", "tcp://10.0.0.1:4000");
    let output = config.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let warned = text(&output.stderr);
    assert!(warned.starts_with("warning: ") && warned.contains("KANA_PORT"), "{warned}");
    let settings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let setting = |name: &str| {
        let settings = settings.as_array().unwrap();
        settings.iter().find(|setting| setting["name"] == name).cloned().unwrap()
    };
    assert_eq!(
        setting("idempotency-days"),
        json!({ "name": "idempotency-days", "value": "7", "source": "file", "from": "own.toml" })
    );
    assert_eq!(
        setting("database-url"),
        json!({
            "name": "database-url",
            "value": "postgres://kana:***@db/kana",
            "source": "variable",
            "from": "KANA_DATABASE_URL",
        })
    );
    let table = run(dir.path(), &["config", "--events-days", "9"]);
    let table = text(&table.stdout);
    let line = table.lines().find(|line| line.starts_with("events-days ")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words, ["events-days", "9", "flag", "1", "to", "36500"]);
    let wrong = run(dir.path(), &["config", "--events-days", "0", "--listne", ":1"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert_eq!(text(&wrong.stderr).lines().count(), 2, "{}", text(&wrong.stderr));
    let made: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap()).collect();
    assert_eq!(made.len(), 1, "{made:?}");
}

#[test]
fn a_variable_that_is_no_setting_is_a_warning_with_the_nearest() {
    let dir = TempDir::new().unwrap();
    let mut serve = kana(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let mut server = Server::start_with(serve.env("KANA_DATA_DRI", "x"));
    server.signal("TERM");
    server.wait();
    let log = server.log();
    let warned = log.lines().find(|line| line.contains("KANA_DATA_DRI")).unwrap();
    assert!(warned.contains("WARN") && warned.contains("KANA_DATA_DIR"), "{warned}");
}

#[test]
fn a_line_end_at_the_end_of_a_variable_is_cut() {
    let dir = TempDir::new().unwrap();
    let mut command = kana(dir.path(), &["serve"]);
    command.env("KANA_LISTEN", "127.0.0.1:0\n").env("KANA_DATA_DIR", "from-variable\r\n");
    drop(Server::start_with(command.env("KANA_LOG", "info\n")));
    assert!(dir.path().join("from-variable/kana.db").exists());
}

#[test]
fn a_wrong_value_is_named_with_the_variable_or_the_key_of_the_file() {
    let dir = TempDir::new().unwrap();
    let file = "idempotency_days = 0\nlisten = \"127.0.0.1:0\"";
    std::fs::write(dir.path().join("kana.toml"), file).unwrap();
    let output = kana(dir.path(), &["serve"])
        .env("KANA_LISTEN", "nowhere")
        .env("KANA_DATABASE_URL", "postgres://db")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert_eq!(said.lines().count(), 3, "all that is wrong: {said}");
    for named in [
        "'nowhere' for --listen, from KANA_LISTEN: ",
        "'0' for --idempotency-days, from idempotency_days in kana.toml: ",
        "'postgres://db' for --database-url, from KANA_DATABASE_URL: ",
    ] {
        assert!(said.contains(named), "{said}");
    }
    assert!(!dir.path().join("kana-data").exists(), "nothing was made");
}

#[test]
fn a_filter_of_the_log_that_cannot_be_read_is_a_wrong_setting() {
    let dir = TempDir::new().unwrap();
    for filter in ["inof", "kana=loud", "info,[x"] {
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["init"], &["keys", "list"]] {
            let output = kana(dir.path(), command).env("KANA_LOG", filter).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{filter}: {}", text(&output.stderr));
            let said = text(&output.stderr);
            assert!(said.contains("KANA_LOG") && said.contains(filter), "{said}");
        }
    }
    assert!(!dir.path().join("kana-data").exists(), "nothing was made");
}

#[test]
fn the_database_is_named_before_or_after_a_subcommand_and_help_shows_it_there() {
    let dir = TempDir::new().unwrap();
    assert!(run(dir.path(), &["init", "--data-dir", "data"]).status.success());
    let create = ["create", "--env", "live", "--kind", "public"];
    for arguments in [
        [&["keys"][..], &create, &["--data-dir", "data"]].concat(),
        [&["keys", "--data-dir", "data"][..], &create].concat(),
    ] {
        let output = run(dir.path(), &arguments);
        assert!(text(&output.stdout).starts_with("pub_live_"), "{}", text(&output.stderr));
    }
    for command in ["list", "create", "revoke", "rotate-token-secret", "simple-mode"] {
        let help = run(dir.path(), &["keys", command, "--help"]);
        for flag in ["--data-dir", "--database-url", "KANA_DATABASE_URL"] {
            assert!(text(&help.stdout).contains(flag), "{command}: {}", text(&help.stdout));
        }
    }
}

#[test]
fn localhost_and_a_port_alone_are_addresses_to_listen_on() {
    for (address, host, is_for_all) in
        [("localhost:0", "localhost", false), (":0", "127.0.0.1", true)]
    {
        let dir = TempDir::new().unwrap();
        let server = Server::start_with(&mut kana(dir.path(), &["serve", "--listen", address]));
        let listening: SocketAddr = server.url.strip_prefix("http://").unwrap().parse().unwrap();
        assert_eq!(listening.ip().is_unspecified(), is_for_all, "{listening}");
        assert_eq!(listening.ip().is_loopback(), !is_for_all, "{listening}");
        let health = format!("http://{host}:{}/healthz", listening.port());
        assert_eq!(ureq::get(health).call().unwrap().status(), 200);
    }
}

#[test]
fn the_name_of_an_app_keeps_the_rules_of_names() {
    let dir = TempDir::new().unwrap();
    let long = "x".repeat(5000);
    for name in ["", " ", "two\nlines", "a\tb", long.as_str()] {
        let output = run(dir.path(), &["init", "--app", name]);
        assert_eq!(output.status.code(), Some(2), "{name:?}");
        assert!(text(&output.stderr).contains("--app"), "{}", text(&output.stderr));
    }
    assert!(!dir.path().join("kana-data").exists(), "nothing was made");
    assert!(run(dir.path(), &["init", "--app", &long[..255]]).status.success());
}
