//! What packages of Kana rely on: a supervisor that is told, completions, man pages, and the unit.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Server, init, note, run, text};

fn packaged(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(path);
    std::fs::read_to_string(path).unwrap()
}

/// A supervisor of a server, as systemd is.
struct Supervisor {
    dir: TempDir,
    socket: UnixDatagram,
}

impl Supervisor {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { dir, socket }
    }

    /// Starts a server that is to say that it is alive ten times a second.
    fn start(&self, settings: &[&str]) -> Server {
        let data = self.dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        init(&data);
        let mut command = Server::command(&data);
        command.env("NOTIFY_SOCKET", self.dir.path().join("notify"));
        Server::start_with(command.env("WATCHDOG_USEC", "300000").args(settings))
    }

    /// Returns what the server says next.
    fn told(&self) -> String {
        let mut message = [0; 256];
        let length = self.socket.recv(&mut message).unwrap();
        text(&message[..length]).trim_end().to_owned()
    }
}

#[test]
fn a_supervisor_is_told_that_the_server_is_ready_alive_and_stopping() {
    let supervisor = Supervisor::new();
    let server = supervisor.start(&[]);
    assert_eq!(supervisor.told(), "READY=1");
    for _ in 0..3 {
        assert_eq!(supervisor.told(), "WATCHDOG=1");
    }
    server.signal("TERM");
    while !supervisor.told().starts_with("STOPPING=1\n") {}
}

/// systemd kills a server that takes longer to stop than the unit allows and the server has asked for.
#[test]
fn a_server_that_drained_for_longer_than_its_unit_allows_was_killed() {
    let supervisor = Supervisor::new();
    let server = supervisor.start(&["--drain-seconds", "300"]);
    while supervisor.told() != "WATCHDOG=1" {}
    server.signal("TERM");
    let told = loop {
        let told = supervisor.told();
        if told.starts_with("STOPPING=1") {
            break told;
        }
    };
    assert_eq!(told, "STOPPING=1\nEXTEND_TIMEOUT_USEC=320000000");
    // It goes on saying that it is alive.
    assert_eq!(supervisor.told(), "WATCHDOG=1");
}

/// What told the watchdog held the service, so that it was not known whether everything was written.
#[test]
fn a_server_with_a_watchdog_stopped_before_everything_was_written() {
    let supervisor = Supervisor::new();
    let mut server = supervisor.start(&[]);
    while supervisor.told() != "WATCHDOG=1" {}
    server.signal("TERM");
    assert!(server.wait().0.success());
    assert!(!server.log().contains("before everything was written"), "{}", server.log());
}

#[test]
fn there_are_completions_for_three_shells() {
    let dir = TempDir::new().unwrap();
    for (shell, start) in [("bash", "_kana()"), ("zsh", "#compdef kana"), ("fish", "# Print")] {
        let printed = run(dir.path(), &["completions", shell]);
        assert!(printed.status.success(), "{}", text(&printed.stderr));
        assert!(text(&printed.stdout).starts_with(start), "{shell}: {}", text(&printed.stdout));
        assert!(text(&printed.stdout).contains("rotate-token-secret"), "{shell}");
    }
    assert_eq!(run(dir.path(), &["completions", "tcsh"]).status.code(), Some(2));
}

#[test]
fn each_command_has_a_man_page_that_man_can_read() {
    let dir = TempDir::new().unwrap();
    let pages = dir.path().join("share/man1");
    assert!(run(dir.path(), &["man", pages.to_str().unwrap()]).status.success());
    let page = std::fs::read_to_string(pages.join("kana-keys-create.1")).unwrap();
    assert!(page.contains("expires"), "{page}");
    for name in ["kana.1", "kana-serve.1", "kana-backup.1"] {
        assert!(pages.join(name).exists(), "{name}");
    }
}

/// Kana's own settings in the packages are settings that there are.
#[test]
fn the_example_of_a_file_of_settings_has_settings_that_there_are() {
    let dir = TempDir::new().unwrap();
    let example = packaged("kana.toml.example");
    let url = dir.path().join("database-url");
    std::fs::write(&url, "postgres://kana@localhost/kana").unwrap();
    let set: String = example
        .replace("/etc/kana/database-url", url.to_str().unwrap())
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(set.contains("\nlisten = ") && set.contains("\nrate_limit = "), "{set}");
    std::fs::write(dir.path().join("kana.toml"), set).unwrap();
    let config = run(dir.path(), &["config"]);
    assert!(config.status.success(), "{}", text(&config.stderr));
}

/// The Debian package is built from files that are there, the man pages and completions aside.
#[test]
fn what_the_debian_package_is_made_of_is_there() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(here.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let deb = &manifest["package"]["metadata"]["deb"];
    let assets = deb["assets"].as_array().unwrap().iter();
    let assets: Vec<[&str; 2]> =
        assets.map(|asset| [0, 1].map(|at| asset[at].as_str().unwrap())).collect();
    for [source, _] in assets
        .iter()
        .filter(|[source, _]| !source.starts_with("target/") && !source.contains("/generated/"))
    {
        assert!(here.join(source).is_file(), "{source}");
    }
    let directory = deb["systemd-units"]["unit-scripts"].as_str().unwrap();
    assert!(here.join(directory).join("kana.service").is_file());
    // The unit reads a file that must exist, and that an upgrade must leave alone.
    let settings = "etc/kana/kana.toml";
    assert!(assets.iter().any(|[_, target]| *target == settings));
    assert_eq!(deb["conf-files"][0].as_str(), Some(format!("/{settings}").as_str()));
    assert!(packaged("systemd/kana.service").contains(&format!("--config /{settings}\n")));
}

#[test]
fn the_version_names_the_release_its_commit_and_its_day() {
    let dir = TempDir::new().unwrap();
    let printed = run(dir.path(), &["--version"]);
    assert!(printed.status.success());
    let line = text(&printed.stdout);
    let rest = line.strip_prefix(concat!("kana ", env!("CARGO_PKG_VERSION"), " (")).unwrap();
    let (commit, date) = rest.strip_suffix(")\n").unwrap().split_once(", ").unwrap();
    let is_commit = commit.len() == 10 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_commit || commit == "unknown", "{line}");
    let is_date = date.len() == 10 && date.split('-').count() == 3;
    assert!(is_date || date == "unknown", "{line}");

    for arguments in [["--version", "--json"], ["--json", "--version"]] {
        let printed = run(dir.path(), &arguments);
        assert!(printed.status.success(), "{}", text(&printed.stderr));
        let answer: Value = serde_json::from_slice(&printed.stdout).unwrap();
        assert_eq!(answer["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!((&answer["commit"], &answer["date"]), (&commit.into(), &date.into()));
        let sqlite = &answer["engines"]["sqlite"];
        assert!(sqlite["version"].as_str().unwrap().starts_with("3."), "{answer}");
        for engine in ["sqlite", "postgres"] {
            let schema = &answer["engines"][engine]["schema"];
            let range = [&schema["oldest"], &schema["newest"]].map(|at| at.as_u64().unwrap());
            assert!(range[0] == 1 && range[1] >= 10, "{engine}: {range:?}");
        }
    }
}

/// The newest schema that `kana --version --json` names is that of a database of this release.
#[test]
fn the_newest_schema_is_the_one_of_a_new_database() {
    let dir = TempDir::new().unwrap();
    init(dir.path());
    let database = rusqlite::Connection::open(dir.path().join("kana-data/kana.db")).unwrap();
    let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let printed = run(dir.path(), &["--version", "--json"]);
    let answer: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(answer["engines"]["sqlite"]["schema"]["newest"], version);
}

#[test]
fn json_without_version_is_no_flag_of_the_program_itself() {
    let dir = TempDir::new().unwrap();
    let refused = run(dir.path(), &["--json", "keys", "list"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--version"), "{}", text(&refused.stderr));
}

/// Where systemd is there to say what it thinks of the unit.
#[test]
fn the_unit_is_one_that_systemd_takes_and_finds_safe() {
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        note("skipped: there is no systemd-analyze");
        return;
    };
    assert!(version.status.success());
    for drop_in in [None, Some("postgresql.conf"), Some("https.conf")] {
        let dir = TempDir::new().unwrap();
        let unit = dir.path().join("kana.service");
        // The program is not installed here.
        let service = packaged("systemd/kana.service").replace("/usr/bin/kana", "/bin/true");
        std::fs::write(&unit, service).unwrap();
        if let Some(name) = drop_in {
            let drop_ins = dir.path().join("kana.service.d");
            std::fs::create_dir(&drop_ins).unwrap();
            std::fs::write(drop_ins.join(name), packaged(&format!("systemd/{name}"))).unwrap();
        }
        let analyze = |arguments: &[&str]| {
            let mut command = Command::new("systemd-analyze");
            // Its drop-ins are found beside it.
            command.env("SYSTEMD_UNIT_PATH", format!("{}:", dir.path().display()));
            command.args(arguments).arg(&unit).output().unwrap()
        };
        let verified = analyze(&["verify", "--man=no"]);
        assert!(verified.status.success(), "{drop_in:?}: {}", text(&verified.stderr));
        assert_eq!(text(&verified.stderr), "", "{drop_in:?}");
        // In tenths: at most 2.0.
        let safe = analyze(&["security", "--offline=true", "--threshold=20"]);
        assert!(safe.status.success(), "{drop_in:?}: {}", text(&safe.stdout));
    }
}

#[test]
fn the_timer_of_backups_is_one_that_systemd_takes() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        note("skipped: there is no systemd-analyze");
        return;
    }
    let dir = TempDir::new().unwrap();
    let units = ["kana-backup.service", "kana-backup.timer"].map(|name| {
        // The program is not installed here.
        let unit = packaged(&format!("systemd/{name}")).replace("/usr/bin/kana", "/bin/true");
        let path = dir.path().join(name);
        std::fs::write(&path, unit).unwrap();
        path
    });
    let verified =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units).output().unwrap();
    assert!(verified.status.success(), "{}", text(&verified.stderr));
    assert_eq!(text(&verified.stderr), "");
}
