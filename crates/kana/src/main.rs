//! The program `kana` (contract: `server.md`): commands, settings, wiring.

mod commands;
mod logging;
mod settings;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::commands::Failure;
use crate::settings::{Command, JobsCommand, KeysCommand, Switch};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the process waits at its end for threads that are still at work.
const HUNG_THREADS_TIME: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let command = match settings::reading::read() {
        // Without a log: what these say is for whoever typed them.
        Ok(Command::Pricing(command)) => return commands::pricing::run(&command),
        Ok(command) => command,
        Err(exit_code) => return exit_code,
    };
    let filter = match logging::filter() {
        Ok(filter) => filter,
        Err(problem) => return settings::reading::report_wrong(&[problem]),
    };
    let log = match logging::start(filter) {
        Ok(log) => log,
        Err(error) => return cannot_log(&error),
    };
    let exit_code = match catch_unwind(AssertUnwindSafe(|| run(command))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            tracing::error!("{failure}");
            failure.exit_code()
        }
        Err(_panic) => {
            tracing::error!("stopped by a bug");
            ExitCode::from(commands::BUG)
        }
    };
    drop(log);
    exit_code
}

fn cannot_log(error: &std::io::Error) -> ExitCode {
    let line = format!("error: cannot start the thread that writes the log: {error}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    ExitCode::FAILURE
}

fn run(command: Command) -> Result<(), Failure> {
    let runtime = Runtime::new()?;
    let done = runtime.block_on(run_async(command));
    // A job whose thread hangs does not keep the process from ending.
    runtime.shutdown_timeout(HUNG_THREADS_TIME);
    done
}

async fn run_async(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(settings) => commands::serve::run(settings).await,
        Command::Init(settings) => commands::init::run(settings).await,
        Command::Keys { database, command } => match command {
            KeysCommand::List => commands::keys::list(&database).await,
            KeysCommand::Create { env, kind } => {
                commands::keys::create(&database, env.into(), kind.into()).await
            }
            KeysCommand::RotateTokenSecret { env, at_once, tokens } => {
                commands::keys::rotate_token_secret(&database, env.into(), at_once, tokens).await
            }
            KeysCommand::SimpleMode { env, mode } => {
                commands::keys::set_simple_mode(&database, env.into(), mode == Switch::On).await
            }
            KeysCommand::Revoke { id } => commands::keys::revoke(&database, id).await,
        },
        Command::Jobs { database, command } => match command {
            JobsCommand::List { json } => commands::jobs::list(&database, json).await,
            JobsCommand::Retry { id } => commands::jobs::retry(&database, id).await,
        },
        Command::Export(settings) => commands::export::run(settings).await,
        Command::Import(settings) => commands::import::run(settings).await,
        Command::Migrate { database } => commands::migrate::run(&database).await,
        // They end before there is a log.
        Command::Pricing(_) => Ok(()),
    }
}
