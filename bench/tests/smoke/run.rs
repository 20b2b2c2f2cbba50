//! What a run of the program has printed and left.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Output};

use tempfile::TempDir;

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The cells of the table's rows.
pub(crate) fn rows(output: &Output) -> Vec<Vec<String>> {
    let lines = text(&output.stdout).lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.map(cells).map(|cells: Vec<String>| cells[1..cells.len() - 1].to_vec()).collect()
}

/// No file and no process of the run is there any more.
pub(crate) fn assert_nothing_left(data: &TempDir) {
    let files: Vec<_> = std::fs::read_dir(data.path()).unwrap().collect();
    assert!(files.is_empty(), "{files:?}");
    let left: Vec<String> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|process| std::fs::read(process.unwrap().path().join("cmdline")).ok())
        .map(|command| String::from_utf8_lossy(&command).replace('\0', " "))
        .filter(|command| command.contains(data.path().to_str().unwrap()))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Reads lines until one begins with what is waited for.
pub(crate) fn wait_for_line(child: &mut Child, wanted: &str) -> BufReader<impl Read + use<>> {
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with(wanted) {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "never said: {wanted}");
    }
    lines
}
