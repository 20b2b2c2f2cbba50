//! The server of Kana, as a stranger runs it: by its command line and over HTTP.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cores::Cores;
use crate::database::Database;
use crate::load::graphql::Operation;
use crate::load::http::{exchange, post};
use crate::load::usage::Usage;
use crate::process::Process;
use crate::seed::{FEATURE, LIMIT, PACKAGE};
use crate::stop::Stop;

/// The environment variables that are settings of Kana begin so.
const SETTINGS: &str = "KANA_";

/// Gives a command of `kana` its database. A settings file or variable of the environment must not
/// change what is measured.
pub(crate) fn set_up(command: &mut Command, directory: &Path, database: &Database) {
    match database {
        Database::Embedded(data_dir) => command.arg("--data-dir").arg(data_dir),
        Database::Shared(url) => command.args(["--database-url", url]),
    };
    command.current_dir(directory);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(SETTINGS) {
            command.env_remove(name);
        }
    }
}

/// A server with users, events and a catalog.
pub(crate) struct Kana {
    process: Process,
    pub(crate) address: SocketAddr,
    /// The private key of the test environment.
    pub(crate) key: String,
}

impl Kana {
    /// Starts `program` in `directory` on a database that was seeded, and makes the catalog there.
    pub(crate) fn start(
        program: &Path,
        directory: &Path,
        database: &Database,
        key: String,
        cores: Cores,
        stop: &Stop,
    ) -> Result<Self> {
        let kana = Self::serve(program, directory, database, key, cores, stop)?;
        kana.make_catalog().context("cannot make the catalog")?;
        Ok(kana)
    }

    /// Starts `program` in `directory` on a database as it is.
    pub(crate) fn serve(
        program: &Path,
        directory: &Path,
        database: &Database,
        key: String,
        cores: Cores,
        stop: &Stop,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        set_up(&mut command, directory, database);
        let mut process = Process::start_server("kana", &mut command, cores, Signal::TERM)?;
        let address = process.wait_for_line(stop, |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            line["address"].as_str()?.parse().ok()
        })?;
        Ok(Self { process, address, key })
    }

    /// Makes the features and the package that are used.
    pub(crate) fn make_catalog(&self) -> Result<()> {
        let query = format!(
            "mutation {{ \
               createFeature(input: {{ id: \"{FEATURE}\", type: CONSUMABLE }}) {{ id }} \
               second: createFeature(input: {{ id: \"sso\", type: BINARY }}) {{ id }} \
               createPackage(input: {{ id: \"{PACKAGE}\", features: [ \
                 {{ id: \"{FEATURE}\", entitlement: {{ limit: {LIMIT}, resetPeriod: MONTH }} }}, \
                 {{ id: \"sso\" }} ] }}) {{ id }} \
               publishPackage(id: \"{PACKAGE}\") {{ status }} }}"
        );
        self.ask(&json!({ "query": query }).to_string()).map(|_| ())
    }

    /// Makes features and packages beside those that are used, as many as there are to be in all. Each
    /// package has ten of the features.
    pub(crate) fn add_to_catalog(&self, features: u32, packages: u32) -> Result<()> {
        const EACH: u32 = 10;
        for feature in 2..features {
            let query = format!(
                "mutation {{ createFeature(input: {{ id: \"feature-{feature}\", \
                 name: \"Feature {feature}\", type: CONSUMABLE }}) {{ id }} }}"
            );
            self.ask(&json!({ "query": query }).to_string())?;
        }
        for package in 1..packages {
            let of_package = (0..EACH).map(|n| (package * EACH + n) % features.saturating_sub(2));
            let given: Vec<String> = of_package
                .map(|n| {
                    format!(
                        "{{ id: \"feature-{}\", entitlement: {{ limit: 5, \
                         resetPeriod: MONTH }} }}",
                        n + 2
                    )
                })
                .collect();
            let query = format!(
                "mutation {{ createPackage(input: {{ id: \"package-{package}\", \
                 name: \"Package {package}\", features: [{}] }}) {{ id }} \
                 publishPackage(id: \"package-{package}\") {{ status }} }}",
                given.join(" ")
            );
            self.ask(&json!({ "query": query }).to_string())?;
        }
        Ok(())
    }

    /// Sends a GraphQL request that must succeed, and answers the response's media type and body.
    pub(crate) fn ask(&self, body: &str) -> Result<(String, String)> {
        self.exchange(&post("/graphql", &self.key, "application/json", body.as_bytes()))
    }

    /// Sends a request that must succeed, and answers the response's media type and body.
    pub(crate) fn exchange(&self, request: &[u8]) -> Result<(String, String)> {
        exchange(self.address, request, |response| {
            let body = String::from_utf8_lossy(response.body).into_owned();
            if response.status != 200 || body.contains("\"errors\"") {
                bail!("the answer is {} {body}", response.status);
            }
            let media_type = response.header(b"content-type").unwrap_or_default();
            Ok((String::from_utf8_lossy(media_type).into_owned(), body))
        })
    }

    /// The media type and the body of the answer to an operation about a user.
    pub(crate) fn answer_to(&self, operation: &Operation, user: u32) -> Result<(String, String)> {
        self.exchange(&operation.request(&self.key, user))
    }

    /// How much a user has used.
    pub(crate) fn used(&self, user: u32) -> Result<u64> {
        let (_, body) = self.answer_to(&crate::load::graphql::CAN_USE_FEATURE, user)?;
        let body: Value = serde_json::from_str(&body)?;
        let used = body["data"]["canUseFeature"]["consumption"]["used"].as_u64();
        used.context("an answer without consumption")
    }

    /// The process of the server.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it takes of the machine.
    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.process.id())
    }
}
