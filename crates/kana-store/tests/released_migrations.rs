//! Migrations that were released are never edited: a database that ran one does not run it again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// Lines of `sha256sum`, paths relative to this crate.
const LIST: &str = "released-migrations.sha256";

/// A released migration: its SHA-256 in hexadecimal digits, and its path.
type Released<'a> = (&'a str, &'a str);

fn released(list: &str) -> Vec<Released<'_>> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once("  ").unwrap_or((line, ""))).collect()
}

/// What became of the released migrations in `directory` that are no longer as they were.
fn changed(directory: &Path, released: &[Released<'_>]) -> Vec<String> {
    let advice = "Take the change back, and write a new migration that makes it.";
    let problem = |(hash, path): &Released<'_>| match fs::read(directory.join(path)) {
        Err(error) => Some(format!("{path} was released and cannot be read: {error}. {advice}")),
        Ok(text) if hex(&Sha256::digest(&text)) == *hash => None,
        Ok(_) => Some(format!("{path} was released and has been edited. {advice}")),
    };
    released.iter().filter_map(problem).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn crate_directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_released_migration_is_as_it_was_released() {
    let list = fs::read_to_string(crate_directory().join(LIST)).unwrap();
    let released = released(&list);
    let changed = changed(crate_directory(), &released);
    assert!(changed.is_empty(), "{}", changed.join("\n"));
    let paths: BTreeSet<_> = released.iter().map(|(_, path)| path).collect();
    assert_eq!(paths.len(), released.len(), "{LIST} names a file twice");
}

#[test]
fn migrations_that_are_not_released_come_after_those_that_are() {
    let list = fs::read_to_string(crate_directory().join(LIST)).unwrap();
    let paths: BTreeSet<_> = released(&list).into_iter().map(|(_, path)| path.to_owned()).collect();
    for engine in ["sqlite", "postgres"] {
        let directory = format!("src/{engine}/migrations");
        let files = fs::read_dir(crate_directory().join(&directory)).unwrap();
        let names: BTreeSet<_> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        let is_released = |name: &String| paths.contains(&format!("{directory}/{name}"));
        let before_new = names.iter().take_while(|name| is_released(name)).count();
        let all = names.iter().filter(|name| is_released(name)).count();
        assert_eq!(before_new, all, "{directory}: number the new migration last");
    }
}

#[test]
fn a_released_migration_that_is_edited_or_gone_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let hash = hex(&Sha256::digest("CREATE TABLE a (b);"));
    let released: Vec<_> =
        ["same.sql", "edited.sql", "gone.sql"].map(|path| (hash.as_str(), path)).into();
    fs::write(directory.path().join("same.sql"), "CREATE TABLE a (b);").unwrap();
    fs::write(directory.path().join("edited.sql"), "CREATE TABLE a (b, c);").unwrap();
    let problems = changed(directory.path(), &released);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("edited.sql was released and has been edited"), "{problems:?}");
    assert!(problems[1].starts_with("gone.sql was released and cannot be read"), "{problems:?}");
    assert!(problems.iter().all(|problem| problem.contains("write a new migration")));
}
