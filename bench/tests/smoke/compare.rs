//! The whole comparison in small: every case runs, the table comes out, and nothing is left behind,
//! however it ends. What is not installed is not compared, and the table says so.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::run::{assert_nothing_left, rows, text, wait_for_line};

/// `compare` in small, with its data in `data`.
fn compare(data: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kana-bench"));
    command.args(["compare", "--smoke", "--data"]).arg(data.path()).args(arguments);
    if let Some(kana) = std::env::var_os("KANA_TEST_BINARY") {
        command.arg("--kana").arg(kana);
    }
    command
}

#[test]
fn every_case_runs_and_leaves_nothing_behind() {
    let data = tempfile::tempdir().unwrap();
    let output = compare(&data, &[]).output().unwrap();
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", text(&output.stdout));
    assert_nothing_left(&data);

    let rows = rows(&output);
    for case in [
        "can-use-feature",
        "record-usage",
        "use-feature",
        "latency",
        "bulk",
        "memory",
        "users",
        "simulation",
        "dashboard",
        "postgres",
    ] {
        let row = rows.iter().find(|row| row[0] == case);
        let row = row.unwrap_or_else(|| panic!("no row of {case}: {rows:?}"));
        let (figures, reached) = (&row[2], &row[10]);
        // What a case is compared with may not be installed.
        let without = errors_of(&rows, case);
        if without.is_empty() {
            assert!(["aim", "minimum", "no"].contains(&reached.as_str()), "{row:?}");
        }
        let has_rate = figures.contains(" to ") || figures == "one after the other";
        assert!(has_rate || figures.starts_with("not available: "), "{row:?}");
    }
    let of_postgres = rows.iter().filter(|row| row[0] == "postgres").count();
    assert!(of_postgres == 7 || !errors_of(&rows, "postgres").is_empty(), "{rows:?}");
    for about in ["Linux", "fdatasync", "kana ", "core", "medians of 1 rounds"] {
        let stdout = text(&output.stdout);
        assert!(stdout.lines().any(|line| line.starts_with("- ") && line.contains(about)));
    }
}

/// What a case says that it is without.
fn errors_of<'a>(rows: &'a [Vec<String>], case: &str) -> Vec<&'a str> {
    let of_case = rows.iter().filter(|row| row[0] == case).map(|row| row[2].as_str());
    of_case.filter(|note| note.starts_with("not available: ")).collect()
}

#[test]
fn an_interruption_stops_and_removes_everything() {
    for (signal, case) in [("INT", "can-use-feature"), ("TERM", "record-usage")] {
        let data = tempfile::tempdir().unwrap();
        let mut command = compare(&data, &["--only", case, "--seconds", "600"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = wait_for_line(&mut child, case);
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{rest}\n{}", text(&output.stdout));
        assert_eq!(text(&output.stdout), "");
        assert_nothing_left(&data);
    }
}

#[test]
fn a_case_that_fails_is_said_loudly_and_leaves_nothing_behind() {
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kana-bench"));
    command.args(["compare", "--smoke", "--data"]).arg(data.path());
    // A program that ends at once, whatever it is asked.
    command.args(["--only", "can-use-feature,memory", "--kana"]).arg(program("false"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("FAILED"), "{}", text(&output.stderr));
    let failed: Vec<String> = rows(&output).into_iter().map(|row| row[2].clone()).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    for failure in failed {
        assert!(failure.starts_with("**FAILED**: kana has ended"), "{failure}");
    }
    assert_nothing_left(&data);
}

fn program(name: &str) -> std::path::PathBuf {
    let places = ["/bin", "/usr/bin"].map(|place| Path::new(place).join(name));
    places.into_iter().find(|program| program.is_file()).unwrap()
}
