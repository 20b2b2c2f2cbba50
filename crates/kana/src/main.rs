//! The program `kana` (contract: `server.md`): commands, settings, wiring.

mod commands;
mod logging;
mod settings;
mod trace_export;
mod version;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use kana_service::KeyRequest;
use tokio::runtime::Runtime;

use crate::commands::Failure;
use crate::commands::doctor::KnownSettings;
use crate::settings::reading::{Invocation, SettingInForce};
use crate::settings::{AdminsCommand, Command, JobsCommand, KeysCommand, Switch, UsersCommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the process waits at its end for threads that are still at work.
const HUNG_THREADS_TIME: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let Invocation { command, log, settings, wrong, warnings } = match settings::reading::read() {
        Ok(invocation) => invocation,
        Err(exit_code) => return exit_code,
    };
    // Without a log: what these say is for the person who typed them.
    if let Command::Pricing(command) = &command {
        return commands::pricing::run(command);
    }
    if let Command::Completions { shell } = &command {
        return commands::manual::completions((*shell).into());
    }
    if let Command::Man { directory } = &command {
        return commands::manual::man(directory);
    }
    if let Command::Doctor(doctor) = &command {
        let known = KnownSettings { in_force: settings, wrong, warnings };
        return commands::doctor::run(doctor, &known);
    }
    if let Command::Config(config) = &command {
        return commands::config::run(&settings, &warnings, config.json);
    }
    let log = match logging::start(&log) {
        Ok(log) => log,
        Err(error) => return cannot_log(&error),
    };
    if matches!(command, Command::Serve(_)) {
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    }
    let exit_code = match catch_unwind(AssertUnwindSafe(|| run(command, &settings))) {
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

fn run(command: Command, settings: &[SettingInForce]) -> Result<(), Failure> {
    let runtime = Runtime::new()?;
    let done = runtime.block_on(run_async(command, settings));
    // A job whose thread hangs does not keep the process from ending.
    runtime.shutdown_timeout(HUNG_THREADS_TIME);
    done
}

async fn run_async(command: Command, in_force: &[SettingInForce]) -> Result<(), Failure> {
    match command {
        Command::Serve(settings) => commands::serve::run(settings, in_force).await,
        Command::Healthcheck { address } => commands::healthcheck::run(address.at).await,
        Command::Init(settings) => commands::init::run(settings).await,
        Command::Keys { database, command } => match command {
            KeysCommand::List { json } => commands::keys::list(&database, json).await,
            KeysCommand::Create { env, kind, name, expires_in } => {
                let (environment, kind, name) = (env.into(), kind.into(), name.as_ref());
                let request = KeyRequest { environment, kind, name, lifetime: expires_in };
                commands::keys::create(&database, request).await
            }
            KeysCommand::RotateTokenSecret { env, at_once, tokens } => {
                commands::keys::rotate_token_secret(&database, env.into(), at_once, tokens).await
            }
            KeysCommand::SimpleMode { env, mode } => {
                commands::keys::set_simple_mode(&database, env.into(), mode == Switch::On).await
            }
            KeysCommand::Revoke { id, yes } => commands::keys::revoke(&database, id, yes).await,
        },
        Command::Admins { database, address, command } => match command {
            AdminsCommand::List => commands::admins::list(&database).await,
            AdminsCommand::Create { email, role, password_stdin } => {
                let admin = (email.as_str(), role.into());
                commands::admins::create(&database, &address, admin, password_stdin).await
            }
            AdminsCommand::ResetPassword { email, password_stdin } => {
                commands::admins::reset_password(&database, &address, &email, password_stdin).await
            }
            AdminsCommand::Remove { email } => commands::admins::remove(&database, &email).await,
        },
        Command::Users { database, command } => match command {
            UsersCommand::Export { id, env } => {
                commands::users::export(&database, env.into(), &id).await
            }
            UsersCommand::Delete { id, env } => {
                commands::users::delete(&database, env.into(), id).await
            }
        },
        Command::Jobs { database, command } => match command {
            JobsCommand::List { json } => commands::jobs::list(&database, json).await,
            JobsCommand::Retry { id } => commands::jobs::retry(&database, id).await,
        },
        Command::Export(settings) => commands::export::run(settings).await,
        Command::Import(settings) => commands::import::run(settings).await,
        Command::Backup(settings) => commands::backup::run(&settings).await,
        Command::Check { database, json } => match commands::check::run(&database, json).await? {
            true => Ok(()),
            false => Err(Failure::Found("the database is not sound: see the findings")),
        },
        Command::Restore(settings) => commands::restore::run(&settings),
        Command::Migrate { database } => commands::migrate::run(&database).await,
        // They end before there is a log.
        Command::Pricing(_)
        | Command::Config(_)
        | Command::Doctor(_)
        | Command::Completions { .. }
        | Command::Man { .. } => Ok(()),
    }
}
