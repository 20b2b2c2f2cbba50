//! `kana-bench compare` puts Kana beside its peers on one machine and prints one table.
//! `kana-bench soak` loads one server for minutes, ends it again and again, and prints a verdict.
//!
//! [`compare`] runs the [`cases`]. A case starts what it needs (`servers`), fills it (`seed`), sends
//! it load (`load`) and makes rows of the [`table`]. [`soak`] has clients of its own. Whatever was
//! started ends with the value that holds it, and so also when a run fails or is interrupted.
#![allow(
    clippy::float_arithmetic,
    reason = "rates and ratios are shown, nothing is decided by them"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is this program's job")]

mod args;
mod cases;
mod compare;
mod constant;
mod cores;
mod database;
mod load;
mod machine;
mod places;
mod process;
mod seed;
mod servers;
mod soak;
mod stop;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::stop::Interrupted;

/// The allocator of the program `kana`, since the constant route is measured beside it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Compare(args) => compare::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Constant(args) => constant::run(args),
    };
    match result {
        Ok(code) => code,
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("interrupted; everything that was started is stopped and removed");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
