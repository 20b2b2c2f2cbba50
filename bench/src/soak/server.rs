//! The server that is started again and again on the same data.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::client::graphql;
use super::ledger::{CREDITS, Feature, Sums, USERS};
use super::reader::panics;
use super::scribe::CREDITS_FEATURE;
use super::verdict::{END_WITHIN, Ending};
use crate::cores::Cores;
use crate::database::Database;
use crate::process::run_to_end;
use crate::seed::{FEATURE, LIMIT, PACKAGE, user_id};
use crate::servers::kana::{Kana, set_up};
use crate::stop::Stop;

/// What a server runs on.
pub(super) struct Place {
    pub(super) program: PathBuf,
    pub(super) directory: PathBuf,
    pub(super) database: Database,
    pub(super) key: String,
    pub(super) stop: Stop,
}

impl Place {
    /// Starts a server, and returns how long it took to get ready.
    pub(super) fn start(&self) -> Result<(Kana, Duration)> {
        let started = Instant::now();
        let (program, directory) = (&self.program, &self.directory);
        let (key, cores) = (self.key.clone(), Cores::unpinned());
        let kana = Kana::serve(program, directory, &self.database, key, cores, &self.stop)?;
        Ok((kana, started.elapsed()))
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(name);
        set_up(&mut command, &self.directory, &self.database);
        command
    }

    /// What `kana check` finds in the data, a line for each finding.
    pub(super) fn check(&self) -> Result<Vec<String>> {
        let output = self.command("check").output().context("cannot run kana check")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut found: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
        if !output.status.success() && found.is_empty() {
            found.push(format!("{}: {}", output.status, text(&output.stderr)));
        }
        Ok(found)
    }

    /// Writes all that the environment holds to a file.
    pub(super) fn export(&self, file: &Path) -> Result<()> {
        let mut command = self.command("export");
        command.args(["--env", "test", "--out"]).arg(file);
        run_to_end("kana export", &mut command, &self.stop).map(|_| ())
    }
}

/// Creates what is used, and what gives it to the seeded users.
pub(super) fn make_catalog(kana: &Kana) -> Result<()> {
    let query = format!(
        "mutation {{ createFeature(input: {{ id: \"{FEATURE}\", type: CONSUMABLE }}) {{ id }} \
           second: createFeature(input: {{ id: \"{CREDITS_FEATURE}\", type: CONSUMABLE }}) {{ id }} \
           createPackage(input: {{ id: \"{PACKAGE}\", features: [ \
             {{ id: \"{FEATURE}\", entitlement: {{ limit: {LIMIT}, resetPeriod: MONTH }} }}, \
             {{ id: \"{CREDITS_FEATURE}\", \
                entitlement: {{ limit: {CREDITS}, resetPeriod: MONTH }} }} ] }}) {{ id }} \
           publishPackage(id: \"{PACKAGE}\") {{ status }} }}"
    );
    kana.ask(&json!({ "query": query }).to_string()).context("cannot make the catalog").map(|_| ())
}

/// Ends a server by `SIGTERM`.
pub(super) fn terminate(kana: &mut Kana) -> Result<Ending> {
    let started = Instant::now();
    kana.process().signal(Signal::TERM)?;
    // Longer than it may take, so that it is seen how long it does.
    let status = kana.process().wait_within(END_WITHIN * 2)?;
    let wrong = match status {
        Some(status) if status.success() => None,
        Some(status) => Some(kana.process().describe(&format!("ended with {status}"))),
        None => Some(kana.process().describe("did not end")),
    };
    Ok(Ending { took: started.elapsed(), wrong })
}

/// Ends a server by `kill -9`.
pub(super) fn kill(kana: &mut Kana) -> Result<()> {
    kana.process().signal(Signal::KILL)?;
    ensure!(kana.process().wait_within(END_WITHIN)?.is_some(), "a killed server is still there");
    Ok(())
}

/// How many panics a server has counted so far. Fails if it does not say.
pub(super) fn count_panics(kana: &Kana) -> Result<u64> {
    panics(kana.address).context("cannot read the metrics")
}

/// What each user of the ledger has used, as a server says.
pub(super) fn used(kana: &Kana) -> Result<Sums> {
    let features = [(Feature::Calls, FEATURE), (Feature::Credits, CREDITS_FEATURE)];
    let mut sums = Sums::new();
    for user in 0..USERS {
        for (feature, id) in features {
            let query = super::reader::CAN_USE_FEATURE;
            let variables = json!({ "userId": user_id(user), "featureId": id });
            let (_, body) = kana.exchange(&graphql(&kana.key, query, &variables))?;
            let body: Value = serde_json::from_str(&body)?;
            let used = body["data"]["canUseFeature"]["consumption"]["used"].as_i64();
            sums.insert((user, feature), used.context("an answer without consumption")?);
        }
    }
    Ok(sums)
}
