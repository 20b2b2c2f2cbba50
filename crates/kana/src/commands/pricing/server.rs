//! The client of the server's calls.

use std::io::Read as _;
use std::ops::Range;
use std::time::Duration;

use kana_core::Timestamp;
use kana_core::configuration::{Configuration, Step};
use kana_service::EnvironmentKind;
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{Response, header};
use ureq::tls::{RootCerts, TlsConfig};

use super::entry::Entry;
use super::failure::Failure;
use super::simulation::Simulated;
use super::surroundings::{Surroundings, key_name};
use super::terminal::printable;
use crate::settings::without_passwords;

/// The time limit of a call.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time limit of a simulation. The server's own is 10 minutes.
const PATIENCE_TO_SIMULATE: Duration = Duration::from_secs(660);
/// The maximum size of an answer, in bytes. It can be larger than the 8 MiB that the server takes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A server, with the key of an environment.
pub(super) struct Server {
    agent: Agent,
    address: String,
    environment: EnvironmentKind,
    key: String,
}

/// The server's plan.
#[derive(Debug, Deserialize)]
pub(super) struct Validated {
    pub(super) findings: Vec<Finding>,
    /// The plan as data. A server of an older release does not send it.
    pub(super) entries: Option<Vec<Entry>>,
    /// How many features and packages would change.
    pub(super) changes: usize,
    /// The version of the environment that the plan was made on.
    #[serde(skip)]
    pub(super) version: Option<String>,
}

/// A finding of the server.
#[derive(Debug, Deserialize)]
pub(super) struct Finding {
    pub(super) severity: String,
    pub(super) message: String,
    pub(super) place: Option<String>,
    steps: Vec<ReadStep>,
    pub(super) refused: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ReadStep {
    Item(usize),
    Key(String),
}

impl Finding {
    /// Returns the steps to its place.
    pub(super) fn steps(&self) -> Vec<Step> {
        let step = |step: &ReadStep| match step {
            ReadStep::Item(index) => Step::Item(*index),
            ReadStep::Key(key) => Step::Key(key.clone()),
        };
        self.steps.iter().map(step).collect()
    }
}

impl Server {
    pub(super) fn find(
        surroundings: &Surroundings,
        environment: EnvironmentKind,
    ) -> Result<Self, Failure> {
        let key = surroundings.key(environment)?;
        let address = surroundings.address()?;
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // The key must not go to another server.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(PATIENCE))
            .user_agent(concat!("kana/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self { agent: config.into(), address, environment, key })
    }

    /// Returns the environment's configuration, as JSON and parsed.
    pub(super) fn pull(&self) -> Result<(Value, Configuration), Failure> {
        let request = self.agent.get(self.url("pull")).header(header::AUTHORIZATION, &self.key);
        let (value, _) = self.answer(request.call())?;
        self.configuration(value)
    }

    pub(super) fn validate(&self, configuration: &Value) -> Result<Validated, Failure> {
        let request = self.agent.post(self.url("validate"));
        let request = request.header(header::AUTHORIZATION, &self.key);
        let (value, version) = self.answer(request.send_json(configuration))?;
        let mut validated: Validated =
            serde_json::from_value(value).map_err(|_| self.is_not_kana(200))?;
        validated.version = version;
        Ok(validated)
    }

    /// Publishes if the environment is still at `version`.
    pub(super) fn publish(
        &self,
        configuration: &Value,
        version: Option<&str>,
    ) -> Result<(Value, Configuration), Failure> {
        let mut request = self.agent.post(self.url("publish"));
        request = request.header(header::AUTHORIZATION, &self.key);
        if let Some(version) = version {
            request = request.header(header::IF_MATCH, version);
        }
        let (value, _) = self.answer(request.send_json(configuration))?;
        self.configuration(value)
    }

    /// Counts usage of a stretch of time again under the configuration. Returns the answer, as JSON and parsed.
    pub(super) fn simulate(
        &self,
        configuration: &Value,
        occurred: Range<Timestamp>,
    ) -> Result<(Value, Simulated), Failure> {
        let request = self.agent.post(self.url("simulate"));
        let request = request.header(header::AUTHORIZATION, &self.key);
        let request = request.config().timeout_global(Some(PATIENCE_TO_SIMULATE)).build();
        let body = json!({
            "from": occurred.start.to_string(),
            "to": occurred.end.to_string(),
            "configuration": configuration,
        });
        let (value, _) = self.answer(request.send_json(body))?;
        let simulated = Simulated::deserialize(&value).map_err(|_| self.is_not_kana(200))?;
        Ok((value, simulated))
    }

    /// Returns the server's address, with its password hidden.
    pub(super) fn address(&self) -> String {
        let address = self.without_password(&self.address);
        printable(address.strip_suffix("/cli").unwrap_or(&address))
    }

    fn url(&self, call: &str) -> String {
        format!("{}/{call}", self.address)
    }

    /// Hides the password of the server's address in a text that may repeat it.
    fn without_password(&self, text: &str) -> String {
        without_passwords(text, [self.address.as_str()])
    }

    fn is_not_kana(&self, status: u16) -> Failure {
        Failure::NotKana { address: self.without_password(&self.address), status }
    }

    fn configuration(&self, value: Value) -> Result<(Value, Configuration), Failure> {
        let configuration = Configuration::read(&value).map_err(|_| self.is_not_kana(200))?;
        Ok((value, configuration))
    }

    /// Returns the JSON of an answer, and its version.
    fn answer(
        &self,
        response: Result<Response<ureq::Body>, ureq::Error>,
    ) -> Result<(Value, Option<String>), Failure> {
        let unreachable = |error: &dyn std::fmt::Display| Failure::Unreachable {
            address: self.without_password(&self.address),
            problem: self.without_password(&error.to_string()),
        };
        let mut response = response.map_err(|error| unreachable(&error))?;
        let status = response.status().as_u16();
        let version = response.headers().get(header::ETAG);
        let version = version.and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let mut bytes = Vec::new();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).reader();
        body.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| unreachable(&error))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| self.is_not_kana(status))?;
        if status == 200 {
            return Ok((value, version));
        }
        let Some(problem) = value["error"].as_str() else {
            return Err(self.is_not_kana(status));
        };
        let problem = printable(problem);
        Err(match status {
            401 => Failure::Unauthorised { name: key_name(self.environment), problem },
            412 => Failure::Stale,
            _ => Failure::Refused { status, problem },
        })
    }
}
