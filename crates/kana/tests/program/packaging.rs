//! What packages of Kana rely on: a supervisor that is told, completions, man pages, and the unit.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Server, init, run, text};

fn packaged(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(path);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_supervisor_is_told_that_the_server_is_ready_alive_and_stopping() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let told = || {
        let mut message = [0; 256];
        let length = socket.recv(&mut message).unwrap();
        text(&message[..length]).trim_end().to_owned()
    };
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    init(&data);
    let mut command = Server::command(&data);
    let server =
        Server::start_with(command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000"));
    assert_eq!(told(), "READY=1");
    for _ in 0..3 {
        assert_eq!(told(), "WATCHDOG=1");
    }
    server.signal("TERM");
    while told() != "STOPPING=1" {}
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
    let set: String = example
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line))
        .filter(|line| !line.starts_with("database_url_file"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(set.contains("\nlisten = ") && set.contains("\nrate_limit = "), "{set}");
    std::fs::write(dir.path().join("kana.toml"), set).unwrap();
    let config = run(dir.path(), &["config"]);
    assert!(config.status.success(), "{}", text(&config.stderr));
}

/// Where systemd is there to say what it thinks of the unit.
#[test]
fn the_unit_is_one_that_systemd_takes_and_finds_safe() {
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else { return };
    assert!(version.status.success());
    let dir = TempDir::new().unwrap();
    let unit = dir.path().join("kana.service");
    // The program is not installed here.
    let packaged = packaged("systemd/kana.service").replace("/usr/bin/kana", "/bin/true");
    std::fs::write(&unit, packaged).unwrap();
    let verified =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().unwrap();
    assert!(verified.status.success(), "{}", text(&verified.stderr));
    assert_eq!(text(&verified.stderr), "");
    let safe = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(&unit)
        .output()
        .unwrap();
    assert!(safe.status.success(), "{}", text(&safe.stdout));
}
