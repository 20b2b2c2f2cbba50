//! PostgreSQL on a cluster that is thrown away, with a database for pgbench and one for Kana. It refuses to run as root, so root runs it as the
//! user `postgres` that its package makes.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use super::{Missing, find_program};
use crate::cores::Cores;
use crate::process::{Process, first_line, run_to_end};
use crate::stop::Stop;

/// Where Debian keeps the releases, a directory each.
const RELEASES: &str = "/usr/lib/postgresql";

/// The name of the cluster's owner and of the account that root becomes.
const USER: &str = "postgres";

/// The database that is Kana's.
const KANA: &str = "kana";

/// The tables of one environment's counters and log. Ids are numbers here, which is a little less
/// work than Kana's.
const SCHEMA: &str = "
    CREATE TABLE counters (
        user_id bigint NOT NULL, feature_id text NOT NULL, period_start bigint NOT NULL,
        used bigint NOT NULL, PRIMARY KEY (user_id, feature_id, period_start));
    CREATE TABLE events (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL,
        feature_id text NOT NULL, delta bigint NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO counters SELECT user_id, 'api-calls', 0, 0
        FROM generate_series(0, :users - 1) AS user_id;
    INSERT INTO events (user_id, feature_id, delta)
        SELECT event % :users, 'api-calls', 1 FROM generate_series(1, :events) AS event;
    VACUUM ANALYZE;
    CHECKPOINT;
";

/// What one transaction of pgbench does: count, and log, in one statement.
const RECORD: &str = "\\set user random(0, :users - 1)
WITH counted AS (
    INSERT INTO counters AS c (user_id, feature_id, period_start, used)
    VALUES (:user, 'api-calls', 0, 1)
    ON CONFLICT (user_id, feature_id, period_start) DO UPDATE SET used = c.used + 1
    RETURNING user_id
)
INSERT INTO events (user_id, feature_id, delta) SELECT user_id, 'api-calls', 1 FROM counted;
";

/// A server with counters and events.
pub(crate) struct Postgres {
    programs: PathBuf,
    users: u32,
    script: PathBuf,
    // The server ends before its directories go.
    _process: Process,
    sockets: TempDir,
    _data: TempDir,
}

/// Who runs the server; `None` is whoever runs this.
#[derive(Debug, Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

impl Postgres {
    /// Starts one with its data in `directory`, and fills it.
    pub(crate) fn start(
        directory: &Path,
        users: u32,
        events: u32,
        cores: Cores,
        stop: &Stop,
    ) -> Result<Self> {
        let programs = find_programs()?;
        let account = find_account()?;
        if account.is_some() {
            open_way_to(directory)?;
        }
        let data = owned_directory(directory, account)?;
        // The path of a socket must be short.
        let sockets = owned_directory(&std::env::temp_dir(), account)?;
        let as_account = |program: &str| {
            let mut command = Command::new(programs.join(program));
            if let Some(Account { user, group }) = account {
                command.uid(user).gid(group);
            }
            command.current_dir("/");
            command
        };
        let mut initdb = as_account("initdb");
        initdb.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-U", USER]);
        run_to_end("initdb", initdb.arg("-D").arg(data.path()), stop)
            .context("cannot make a cluster")?;
        let mut server = as_account("postgres");
        server.arg("-D").arg(data.path()).arg("-k").arg(sockets.path());
        server.args(["-c", "listen_addresses=", "-c", "fsync=on", "-c", "synchronous_commit=on"]);
        // SIGINT: without waiting for anybody who is still connected.
        let mut process = Process::start_server("postgres", &mut server, cores, Signal::INT)?;
        process.wait_for_line(stop, |line| {
            line.contains("ready to accept connections").then_some(())
        })?;
        let script = directory.join("record.pgbench");
        std::fs::write(&script, RECORD)?;
        let postgres = Self { programs, users, script, _process: process, sockets, _data: data };
        postgres.fill(events, directory, stop)?;
        Ok(postgres)
    }

    fn fill(&self, events: u32, directory: &Path, stop: &Stop) -> Result<()> {
        let schema = directory.join("schema.sql");
        std::fs::write(&schema, SCHEMA)?;
        let mut psql = self.client("psql");
        psql.args(["--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1"]);
        psql.args(["-v", &format!("users={}", self.users), "-v", &format!("events={events}")]);
        run_to_end("psql", psql.arg("-f").arg(schema).arg(USER), stop)
            .context("cannot fill the database")?;
        Ok(())
    }

    /// Makes a new database for Kana and answers its URL.
    pub(crate) fn create_for_kana(&self, stop: &Stop) -> Result<String> {
        self.say(USER, &format!("CREATE DATABASE {KANA}"), stop)?;
        let sockets = self.sockets.path().display().to_string().replace('/', "%2F");
        Ok(format!("postgresql://{USER}@{sockets}/{KANA}"))
    }

    /// Does what would be done sooner or later, once Kana's database was filled: not in the middle
    /// of a measurement.
    pub(crate) fn settle(&self, stop: &Stop) -> Result<()> {
        self.say(KANA, "VACUUM ANALYZE", stop)?;
        self.say(KANA, "CHECKPOINT", stop)
    }

    fn say(&self, database: &str, statement: &str, stop: &Stop) -> Result<()> {
        let mut psql = self.client("psql");
        psql.args(["--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1"]);
        run_to_end("psql", psql.args(["-c", statement, database]), stop)?;
        Ok(())
    }

    /// Transactions a second that so many clients reach.
    pub(crate) fn record(&self, clients: usize, length: Duration, stop: &Stop) -> Result<f64> {
        let mut pgbench = self.client("pgbench");
        pgbench.args(["--no-vacuum", "--protocol=prepared", "--jobs=1"]);
        pgbench.arg(format!("--client={clients}"));
        // Whole seconds only.
        pgbench.arg(format!("--time={}", length.as_secs().max(1)));
        pgbench.arg(format!("--define=users={}", self.users));
        pgbench.arg("--file").arg(&self.script).arg(USER);
        let report = run_to_end("pgbench", &mut pgbench, stop)?;
        let (rate, failed) = read_report(&report)
            .with_context(|| format!("pgbench does not tell the rate: {report}"))?;
        ensure!(failed == 0, "{failed} transactions of pgbench have failed");
        Ok(rate)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.arg("-h").arg(self.sockets.path()).args(["-U", USER]);
        command
    }
}

/// Transactions a second, and how many have failed.
fn read_report(report: &str) -> Option<(f64, u64)> {
    let after = |prefix: &str| {
        let rest = report.lines().find_map(|line| line.strip_prefix(prefix))?;
        rest.split_whitespace().next()
    };
    let failed = after("number of failed transactions: ").unwrap_or("0").parse().ok()?;
    // It then tells no rate: the server may have had to wait for its disk.
    if after("number of transactions actually processed: ") == Some("0") {
        return Some((0.0, failed));
    }
    Some((after("tps = ")?.parse().ok()?, failed))
}

/// The directory with the programs of the newest release, the clients among them.
fn find_programs() -> Result<PathBuf, Missing> {
    let all = |directory: &Path| {
        ["initdb", "postgres", "psql", "pgbench"]
            .iter()
            .all(|program| directory.join(program).is_file())
    };
    let in_path = find_program("postgres").ok();
    let releases = std::fs::read_dir(RELEASES).into_iter().flatten().flatten();
    let mut releases: Vec<(u32, PathBuf)> = releases
        .filter_map(|release| {
            let number = release.file_name().to_str()?.parse().ok()?;
            Some((number, release.path().join("bin")))
        })
        .collect();
    releases.sort_unstable();
    in_path
        .and_then(|program| program.parent().map(Path::to_owned))
        .into_iter()
        .chain(releases.into_iter().rev().map(|(_, directory)| directory))
        .find(|directory| all(directory))
        .ok_or_else(|| Missing(format!("no PostgreSQL with pgbench in PATH or {RELEASES}")))
}

fn find_account() -> Result<Option<Account>, Missing> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let account = accounts.lines().find_map(|line| {
        let mut fields = line.strip_prefix(USER)?.strip_prefix(':')?.split(':').skip(1);
        let user = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        Some(Some(Account { user, group }))
    });
    account.ok_or_else(|| Missing(format!("PostgreSQL needs a user {USER} when run by root")))
}

/// Lets another account come to its data in `directory`, though not see what lies beside.
fn open_way_to(directory: &Path) -> Result<()> {
    const PASS: u32 = 0o001;
    std::fs::set_permissions(directory, Permissions::from_mode(0o711))?;
    for above in directory.ancestors().skip(1) {
        if std::fs::metadata(above)?.permissions().mode() & PASS == 0 {
            let message = format!("the user {USER} cannot come to {}", above.display());
            return Err(Missing(message + ": name a directory elsewhere with --data").into());
        }
    }
    Ok(())
}

fn owned_directory(parent: &Path, account: Option<Account>) -> Result<TempDir> {
    let directory = tempfile::Builder::new().prefix("kana-bench-pg-").tempdir_in(parent)?;
    if let Some(Account { user, group }) = account {
        chown(directory.path(), Some(user), Some(group))?;
    }
    Ok(directory)
}

/// The release that is installed.
pub(crate) fn version() -> Result<String> {
    let program = find_programs()?.join("postgres");
    Ok(first_line(&program, "--version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_pgbench_is_read() {
        let report = "number of failed transactions: 3 (0.1%)\nlatency average = 1 ms\n\
                      tps = 1234.5 (without initial connection time)\n";
        assert_eq!(read_report(report), Some((1234.5, 3)));
        assert_eq!(read_report("tps = 7 (including)\n"), Some((7.0, 0)));
        assert_eq!(read_report("number of transactions actually processed: 0\n"), Some((0.0, 0)));
        assert_eq!(read_report("pgbench: error\n"), None);
    }
}
