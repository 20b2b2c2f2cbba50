//! The servers that are measured, each started on free ports with data of its own.

pub(crate) mod constant;
pub(crate) mod kana;
pub(crate) mod postgres;
pub(crate) mod redis;

use std::path::PathBuf;

/// What is needed is not on this machine; a case says so and the run goes on.
#[derive(Debug)]
pub(crate) struct Missing(pub(crate) String);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// Finds a program in `PATH`.
pub(crate) fn find_program(name: &str) -> Result<PathBuf, Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| Missing(format!("no {name} in PATH")))
}
