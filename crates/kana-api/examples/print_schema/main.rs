//! Prints a schema in its own language, or as a reference to read:
//! `cargo run -p kana-api --example print_schema -- admin.graphql`. What it prints stands under
//! `docs/reference` by the same name.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "it reads the server's own schema")]

mod reference;

use std::process::ExitCode;

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match reference::FILES.iter().find(|(file, _)| *file == name) {
        Some((_, text)) => {
            print!("{}", text());
            ExitCode::SUCCESS
        }
        None => {
            let names: Vec<_> = reference::FILES.iter().map(|(file, _)| *file).collect();
            eprintln!("which file: {}?", names.join(", "));
            ExitCode::from(2)
        }
    }
}
