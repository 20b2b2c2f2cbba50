use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::modules::Imports;

/// Describes each circle of files that import each other: a line for each import within it. Empty
/// if there is none.
#[must_use]
pub fn circles(imports: &Imports) -> Vec<String> {
    let mut imported: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for (from, to) in imports.keys() {
        imported.entry(from).or_default().insert(to);
    }
    let reached: BTreeMap<&Path, BTreeSet<&Path>> =
        imported.keys().map(|file| (*file, reached_from(file, &imported))).collect();
    let reaches = |from: &Path, to: &Path| reached.get(from).is_some_and(|all| all.contains(to));
    let mut circles: BTreeMap<&Path, String> = BTreeMap::new();
    for ((from, to), paths) in imports {
        if !reaches(to, from) {
            continue;
        }
        // A circle goes by the first of its files.
        let first = reached[from.as_path()].iter().find(|file| reaches(file, from));
        let line = format!("{} -> {}: {}\n", from.display(), to.display(), join(paths));
        circles.entry(first.unwrap_or(&from.as_path())).or_default().push_str(&line);
    }
    circles.into_values().collect()
}

fn join(paths: &BTreeSet<String>) -> String {
    paths.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// All files that `file` imports, directly or through others.
fn reached_from<'a>(
    file: &'a Path,
    imported: &BTreeMap<&'a Path, BTreeSet<&'a Path>>,
) -> BTreeSet<&'a Path> {
    let mut reached = BTreeSet::new();
    let mut left = vec![file];
    while let Some(next) = left.pop() {
        for file in imported.get(next).into_iter().flatten() {
            if reached.insert(*file) {
                left.push(file);
            }
        }
    }
    reached
}
