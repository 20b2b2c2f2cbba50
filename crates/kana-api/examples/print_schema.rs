//! Prints a schema in its own language: `cargo run -p kana-api --example print_schema -- admin`
//! or `client`. What it prints stands under `docs/reference`, for clients to generate code from.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("admin") => print!("{}", kana_api::admin::sdl()),
        Some("client") => print!("{}", kana_api::client::sdl()),
        _ => {
            eprintln!("which schema: admin or client?");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
