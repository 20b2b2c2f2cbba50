//! Where the program `kana` is, and where data goes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::process::run_to_end;
use crate::stop::Stop;

/// Creates a directory for all data in `within`, or beside this program. It is removed with the value.
pub(crate) fn make_directory(within: Option<&Path>) -> Result<TempDir> {
    let parent = match within {
        Some(directory) => directory.to_owned(),
        None => beside_this_program()?,
    };
    tempfile::Builder::new()
        .prefix("kana-bench-")
        .tempdir_in(&parent)
        .with_context(|| format!("cannot make a directory in {}", parent.display()))
}

fn beside_this_program() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find this program")?;
    program.parent().map(Path::to_owned).context("this program lies nowhere")
}

/// The program `kana`: the one that was named, or the one beside this program, which cargo brings
/// up to date where it is there.
pub(crate) fn find_kana(named: Option<&Path>, stop: &Stop) -> Result<PathBuf> {
    if let Some(program) = named {
        let program = program.canonicalize();
        return program.with_context(|| "there is no program kana where --kana says".to_owned());
    }
    let program = beside_this_program()?.join("kana");
    // Set by `cargo run` and `cargo test`.
    if let Some(cargo) = std::env::var_os("CARGO") {
        eprintln!("building kana");
        let mut build = Command::new(cargo);
        build.args(["build", "--locked", "--quiet", "--package", "kana"]);
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        run_to_end("cargo build", &mut build, stop)?;
    }
    if !program.is_file() {
        bail!(
            "there is no {}: build it with `cargo build --release --package kana`, or name \
             another with --kana",
            program.display()
        );
    }
    Ok(program)
}
