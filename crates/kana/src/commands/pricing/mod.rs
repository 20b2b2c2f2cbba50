//! Pricing as code (contract: `cli.md`, "The commands"): an environment's features and packages in a
//! file of the app's own repository.
//!
//! The [file](mod@file) is YAML with the place of every value ([`yaml`], [`scalars`]), so that a mistake is
//! reported with line and column, and a small change is made in place ([`edit`]); otherwise the file is
//! written anew ([`writing`]). A [`simulation`] counts recorded usage again under the file. The [`server`] plans what publishing it does ([`entry`]); [`output`] prints the [`report`], as a [`diff`] on a [`terminal`]. Keys and addresses
//! come from the [`surroundings`].

mod diff;
mod edit;
mod entry;
mod failure;
mod file;
mod output;
mod report;
mod scalars;
mod server;
mod simulation;
mod surroundings;
mod terminal;
mod writing;
mod yaml;

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kana_core::configuration::Configuration;
use kana_service::EnvironmentKind;
use serde_json::{Value, json};

use crate::settings::{PricingCommand, PricingSettings, SimulateSettings};
use failure::Failure;
use file::File;
use output::Output;
use report::{Report, Reported};
use server::{Server, Validated};
use surroundings::Surroundings;

/// The file that `bootstrap` writes.
const EXAMPLE_PATH: &str = "kana/kana.example.yaml";
const EXAMPLE: &str = include_str!("example.yaml");

/// Runs a command. Errors go to standard error, as plain text.
pub(crate) fn run(command: &PricingCommand) -> ExitCode {
    let done = match command {
        PricingCommand::Pull(settings) => pull(settings),
        PricingCommand::Validate(settings) => validate(settings),
        PricingCommand::Publish(settings) => publish(settings),
        PricingCommand::Bootstrap(settings) => bootstrap(settings),
        PricingCommand::Simulate(settings) => simulate(settings),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            // If standard error is closed, there is no way to report anything.
            let _ = writeln!(std::io::stderr(), "kana: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

impl PricingSettings {
    fn environment(&self) -> EnvironmentKind {
        if self.live { EnvironmentKind::Live } else { EnvironmentKind::Test }
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(if self.live { "kana/kana.yaml" } else { "kana/kana.dev.yaml" })
    }

    fn server(&self) -> Result<Server, Failure> {
        Server::find(&Surroundings::read()?, self.environment())
    }
}

/// Writes the environment's features and packages to the file.
fn pull(settings: &PricingSettings) -> Result<bool, Failure> {
    let (path, environment) = (settings.path(), settings.environment());
    let (value, configuration) = settings.server()?.pull()?;
    let before = File::read(&path)?;
    let is_written = write_back(&path, before.as_ref(), &value, &configuration, false)?;
    let out = Output::new(settings.json);
    let path = path.display();
    out.say(&if is_written {
        format!("{path} was written from {environment}.")
    } else {
        format!("{path} is up to date with {environment}.")
    })?;
    out.json(&json!({
        "file": path.to_string(),
        "environment": environment.name(),
        "written": is_written,
    }))?;
    Ok(true)
}

/// Shows what publishing the file would change.
fn validate(settings: &PricingSettings) -> Result<bool, Failure> {
    let out = Output::new(settings.json);
    let server = settings.server()?;
    let (report, _) = plan(settings, &server)?;
    if !out.json {
        out.plan(&report)?;
    }
    out.json(&report)?;
    Ok(report.errors == 0)
}

/// Publishes the file to the environment.
fn publish(settings: &PricingSettings) -> Result<bool, Failure> {
    let out = Output::new(settings.json);
    let server = settings.server()?;
    let (mut report, planned) = plan(settings, &server)?;
    if !out.json {
        out.plan(&report)?;
    }
    report.published = Some(false);
    let may_go_on = report.errors == 0 || (settings.force && !report.is_refused());
    let Some((file, version)) = planned.filter(|_| may_go_on) else {
        if !report.is_refused() {
            out.say("Nothing was published: --force publishes in spite of errors.")?;
        }
        out.json(&report)?;
        return Ok(false);
    };
    let Ok(said) = &file.read else { return Ok(false) };
    if report.changes == 0 {
        out.json(&report)?;
        return Ok(true);
    }
    if !settings.yes && !is_confirmed(&report)? {
        out.say("Nothing was published.")?;
        out.json(&report)?;
        return Ok(false);
    }
    let (value, configuration) = server.publish(&said.value, version.as_deref())?;
    report.published = Some(true);
    let path = settings.path();
    let is_to_be_written = !file.says(&configuration);
    if is_to_be_written && File::read(&path)?.is_none_or(|now| now.text != file.text) {
        return Err(Failure::FileMoved(path));
    }
    write_back(&path, Some(&file), &value, &configuration, true)?;
    out.say(&format!("Published to {}.", report.environment))?;
    out.json(&report)?;
    Ok(true)
}

/// The file with the version of the environment that its plan was made on.
type Planned = (File, Option<String>);

/// Asks the server what publishing the file would do. Returns no plan if the file itself is wrong.
fn plan(settings: &PricingSettings, server: &Server) -> Result<(Report, Option<Planned>), Failure> {
    let (path, environment) = (settings.path(), settings.environment());
    let file = File::read(&path)?.ok_or_else(|| Failure::NoFile(path.clone()))?;
    let said = match file.read {
        Ok(said) => said,
        Err(wrong) => {
            let findings = wrong.into_iter().map(Reported::from).collect();
            let report = Report::new(&path, environment, 0, findings);
            let report = Report { server: server.address(), text: file.text, ..report };
            return Ok((report, None));
        }
    };
    let validated = server.validate(&said.value)?;
    let Validated { findings, entries, changes, version } = validated;
    let findings = findings.into_iter().map(|finding| Reported::of(finding, &said)).collect();
    let report = Report::new(&path, environment, changes, findings);
    let text = file.text.clone();
    let report = Report { entries, server: server.address(), text, ..report };
    Ok((report, Some((File { text: file.text, read: Ok(said) }, version))))
}

/// Asks whether to go on. The question goes to standard error, since a program may read standard
/// output.
fn is_confirmed(report: &Report) -> Result<bool, Failure> {
    let mut out = std::io::stderr().lock();
    write!(out, "Publish {} to {}? [y/N] ", report.file, report.environment)?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Updates the file to what the environment holds, with as few changes as possible. Returns true if
/// it was written.
fn write_back(
    path: &Path,
    before: Option<&File>,
    value: &Value,
    configuration: &Configuration,
    is_published: bool,
) -> Result<bool, Failure> {
    if before.is_some_and(|file| file.says(configuration)) {
        return Ok(false);
    }
    let edited = before.and_then(|file| edit::edited(file, value, configuration));
    let text = edited.unwrap_or_else(|| writing::write(value));
    let failed = |error| Failure::Write { path: path.to_path_buf(), error, is_published };
    file::replace(path, &text).map_err(failed)?;
    Ok(true)
}

/// Shows what recorded usage would have come to under the file.
fn simulate(settings: &SimulateSettings) -> Result<bool, Failure> {
    let SimulateSettings { from, to, live, json } = *settings;
    let of_file = PricingSettings { live, force: false, yes: false, json };
    let (path, environment) = (of_file.path(), of_file.environment());
    let out = Output::new(json);
    let server = of_file.server()?;
    let file = File::read(&path)?.ok_or_else(|| Failure::NoFile(path.clone()))?;
    let said = match file.read {
        Ok(said) => said,
        Err(wrong) => {
            let findings = wrong.into_iter().map(Reported::from).collect();
            let report = Report::new(&path, environment, 0, findings);
            let report = Report { server: server.address(), text: file.text, ..report };
            if !json {
                out.plan(&report)?;
            }
            out.json(&report)?;
            return Ok(false);
        }
    };
    let (value, simulated) = server.simulate(&said.value, from..to)?;
    out.say(&simulation::table(&simulated, &path, environment, &(from..to)))?;
    out.json(&value)?;
    Ok(true)
}

/// Writes an example to start from.
fn bootstrap(settings: &PricingSettings) -> Result<bool, Failure> {
    let path = Path::new(EXAMPLE_PATH);
    let before = match std::fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Failure::Read(path.to_path_buf(), error)),
    };
    let is_there = before.as_deref() == Some(EXAMPLE.as_bytes());
    if before.is_some() && !is_there && !settings.force {
        return Err(Failure::FileExists(path.to_path_buf()));
    }
    if !is_there {
        let failed =
            |error| Failure::Write { path: path.to_path_buf(), error, is_published: false };
        file::replace(path, EXAMPLE).map_err(failed)?;
    }
    let out = Output::new(settings.json);
    out.say(&format!(
        "{EXAMPLE_PATH} was written: copy it to kana/kana.dev.yaml, edit it, and publish it to the \
         test environment with kana publish."
    ))?;
    out.json(&json!({ "file": EXAMPLE_PATH, "written": !is_there }))?;
    Ok(true)
}
