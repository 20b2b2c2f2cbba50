//! `kana doctor`: whether a server would run here, and what to do if not (contract: `operations.md`,
//! "Backup, restore, check, doctor").

mod certificate;
mod data_dir;
mod disk;
mod machine;
mod report;
mod shared;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use kana_service::{Clock as _, SystemClock};

use self::report::{Check, Status, shown};
use super::print;
use crate::settings::DoctorSettings;
use crate::settings::reading::{SettingInForce, Source};

/// What is known of the settings before a command runs.
pub(crate) struct KnownSettings {
    pub(crate) in_force: Vec<SettingInForce>,
    /// Those that are wrong; the defaults are in force instead.
    pub(crate) wrong: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Prints a line for each check. Returns 1 if one has failed.
pub(crate) fn run(settings: &DoctorSettings, known: &KnownSettings) -> ExitCode {
    let checks = match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let checks = runtime.block_on(check_all(settings, known));
            // What hangs does not keep the process from ending.
            runtime.shutdown_timeout(Duration::ZERO);
            checks
        }
        Err(error) => {
            let advice = "raise the limits of threads and open files";
            vec![Check::fail("process", format!("cannot start threads: {error}"), advice)]
        }
    };
    if let Err(error) = print(&shown(&checks, settings.json)) {
        let line = format!("error: cannot write to standard output: {error}\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
        return ExitCode::FAILURE;
    }
    let has_failed = checks.iter().any(|check| check.status == Status::Fail);
    if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn check_all(settings: &DoctorSettings, known: &KnownSettings) -> Vec<Check> {
    let serve = &settings.serve;
    let mut checks = check_settings(known);
    checks.push(machine::clock());
    checks.push(machine::open_files(serve.connections.connections_max));
    let listen = serve.address.listen.at;
    checks.push(machine::port(listen).await);
    if let Some(metrics_listen) = serve.metrics_listen {
        checks.push(machine::metrics_port(metrics_listen, listen).await);
    }
    if let Some(files) = serve.address.tls.files() {
        checks.push(certificate::check(&files, SystemClock.now()));
    }
    let database = match &serve.database.database_url {
        Some(url) => shared::check(url, serve).await,
        None => data_dir::check(&serve.database.data_dir).await,
    };
    checks.extend(database);
    checks
}

fn check_settings(known: &KnownSettings) -> Vec<Check> {
    let KnownSettings { in_force, wrong, warnings } = known;
    let advice = "correct it; kana serve does not start with it";
    let mut checks: Vec<Check> =
        wrong.iter().map(|problem| Check::fail("settings", problem, advice)).collect();
    let advice = "correct or remove it";
    checks.extend(warnings.iter().map(|warning| Check::warn("settings", warning, advice)));
    if checks.is_empty() {
        let given = in_force.iter().filter(|setting| setting.source != Source::Default).count();
        let text = format!("{given} of {} are not the default: see kana config", in_force.len());
        checks.push(Check::ok("settings", text));
    }
    checks
}
