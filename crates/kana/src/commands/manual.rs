//! Completions for shells, and man pages, made from the definition of the command line (contract:
//! `operations.md`, "Packaging").

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap_complete::Shell;

use crate::settings::command_line;

/// Prints the completions for a shell.
pub(crate) fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command_line(), "kana", &mut script);
    ended(std::io::stdout().write_all(&script).and_then(|()| std::io::stdout().flush()))
}

/// Writes a man page for the program and one for each command into a directory, which is made.
pub(crate) fn man(directory: &Path) -> ExitCode {
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command_line(), directory))
        .map_err(|error| std::io::Error::other(format!("{}: {error}", directory.display())));
    ended(written)
}

fn ended(done: std::io::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = std::io::stderr().write_all(format!("error: {error}\n").as_bytes());
            ExitCode::FAILURE
        }
    }
}
