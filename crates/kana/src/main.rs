//! The program `kana` (contract: `server.md`): commands, settings, wiring.

mod commands;
mod logging;
mod settings;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use crate::commands::Failure;
use crate::settings::{Command, KeysCommand, Switch};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = settings::read();
    let command = match command {
        // Without a log: what these say is for whoever typed them.
        Command::Pricing(command) => return commands::pricing::run(&command),
        command => command,
    };
    logging::start();
    match catch_unwind(AssertUnwindSafe(|| run(command))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            tracing::error!("{failure}");
            failure.exit_code()
        }
        Err(_panic) => {
            tracing::error!("stopped by a bug");
            ExitCode::from(commands::BUG)
        }
    }
}

#[tokio::main]
async fn run(command: Command) -> Result<(), Failure> {
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
        Command::Export(settings) => commands::export::run(settings).await,
        Command::Import(settings) => commands::import::run(settings).await,
        // They end before there is a log.
        Command::Pricing(_) => Ok(()),
    }
}
