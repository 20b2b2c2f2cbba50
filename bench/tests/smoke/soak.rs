//! The soak in seconds: it passes on a server that is right, fails on one that loses, and leaves
//! nothing behind.

use std::collections::HashMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::run::{assert_nothing_left, rows, text, wait_for_line};

/// With this seed the first ending is `kill -9`.
const SEED: &str = "1";

fn soak(data: &TempDir, minutes: &str, kana: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kana-bench"));
    command.args(["soak", "--minutes", minutes, "--seed", SEED, "--data"]).arg(data.path());
    command.arg("--kana").arg(kana);
    command
}

/// The program `kana`: another build, or the one beside the program that is tested.
fn kana() -> PathBuf {
    if let Some(kana) = std::env::var_os("KANA_TEST_BINARY") {
        return kana.into();
    }
    let kana = Path::new(env!("CARGO_BIN_EXE_kana-bench")).with_file_name("kana");
    if !kana.is_file() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--locked", "--quiet", "--package", "kana"]);
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(build.status().unwrap().success());
    }
    kana
}

/// What the verdict has found, and whether that holds, by what it is about.
fn verdict(output: &Output) -> HashMap<String, (String, String)> {
    let row = |mut row: Vec<String>| (row.remove(0), (row.remove(0), row.remove(1)));
    rows(output).into_iter().map(row).collect()
}

#[test]
fn a_server_that_is_right_passes() {
    let data = tempfile::tempdir().unwrap();
    let output = soak(&data, "0.1", &kana()).output().unwrap();
    let verdict = verdict(&output);
    assert_eq!(output.status.code(), Some(0), "{verdict:?}\n{}", text(&output.stderr));
    let number = |what: &str| {
        let digits = verdict[what].0.split(|c: char| !c.is_ascii_digit()).next();
        digits.unwrap().parse::<u64>().unwrap()
    };
    for some in
        ["usage acknowledged", "other users changed", "ended by `SIGTERM`", "ended by `kill -9`"]
    {
        assert!(number(some) > 0, "{some}: {verdict:?}");
    }
    for (what, (found, holds)) in &verdict {
        assert!(["yes", ""].contains(&holds.as_str()), "{what}: {found}");
    }
    assert_nothing_left(&data);
}

/// A program that is `kana`, but whose export leaves out one event and has another one twice.
fn forgetful(directory: &TempDir, kana: &Path) -> PathBuf {
    let program = directory.path().join("forgetful");
    let script = format!(
        r#"#!/bin/sh
[ "$1" = export ] || exec '{kana}' "$@"
'{kana}' "$@" || exit
for file; do :; done
sed -i -e '/"record":"event".*-0-0"/d' -e '/"record":"event".*-1-0"/p' "$file"
"#,
        kana = kana.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    program
}

#[test]
fn one_event_that_is_lost_and_one_that_is_there_twice_are_found() {
    let (data, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = forgetful(&directory, &kana());
    let output = soak(&data, "0.1", &program).output().unwrap();
    let verdict = verdict(&output);
    assert_eq!(output.status.code(), Some(1), "{verdict:?}\n{}", text(&output.stderr));
    for (what, key) in [("acknowledged and lost", "(0, 0)"), ("counted twice", "(1, 0)")] {
        let (found, holds) = &verdict[what];
        assert!(found.starts_with(&format!("1; {key}")), "{what}: {found}");
        assert_eq!(holds, "**no**", "{what}");
    }
    assert_nothing_left(&data);
}

#[test]
fn an_interruption_ends_load_and_server() {
    let data = tempfile::tempdir().unwrap();
    let mut command = soak(&data, "10", &kana());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = wait_for_line(&mut child, "started within");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{rest}\n{}", text(&output.stdout));
    assert_eq!(text(&output.stdout), "");
    assert_nothing_left(&data);
}
