//! Settings: a flag, else an environment variable, else `kana.toml` in the working directory,
//! else the default (contract: `server.md`).
//!
//! This module defines the settings; [`reading`] reads their values and reports invalid ones.

mod address;
mod lifetime;
mod listen;
mod log;
pub(crate) mod reading;
mod request_limits;
mod secret;
mod tls;
mod traces;
pub(crate) mod variable;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use kana_api::client::AllowedOrigins;
use kana_core::Timestamp;
use kana_core::id::UserId;
use kana_core::metadata::Label;
use kana_service::{EnvironmentKind, KeyKind, Role};
use kana_store::jobs::JobId;
use kana_store::postgres::Pooler;

pub(crate) use self::address::{AddressSettings, DashboardSettings, ListenSettings};
pub(crate) use self::listen::ListenAddress;
pub(crate) use self::log::{LogFilter, LogFormat, LogSettings, RequestLogSettings};
pub(crate) use self::request_limits::RequestLimitSettings;
pub(crate) use self::secret::{DatabaseUrl, without_passwords};
pub(crate) use self::tls::TlsSettings;
pub(crate) use self::traces::{OtlpEndpoint, TraceSettings};
use crate::version::FULL_VERSION;

/// Pricing and packaging, self-hosted: which features a user's packages include, how much of
/// each, and how much of that is used.
///
/// Every setting can be a flag, an environment variable, or a line of kana.toml in the working
/// directory, where it is named like the flag with underscores: data_dir = "/var/lib/kana".
#[derive(Debug, Parser)]
#[command(name = "kana", version = FULL_VERSION)]
struct Cli {
    /// The file of settings, which must exist. Default: kana.toml in the working directory, if it is there
    #[arg(long, env = "KANA_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    log: LogSettings,
    /// With --version: print JSON, with the version of SQLite and the schemas that this release works with
    // Only for the help: --version ends the parser, and without it there is no such flag.
    #[arg(long, requires = "version")]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// Returns the definition of the command line.
pub(crate) fn command_line() -> clap::Command {
    Cli::command()
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server. On an empty database, first run `kana init`
    Serve(ServeSettings),
    /// Create the app with its two environments, and print their keys once
    ///
    /// Does nothing if the database already has the app.
    Init(InitSettings),
    /// Ask the server at --listen whether it is ready, for containers: exit 0 if it is, else 1
    Healthcheck {
        #[command(flatten)]
        address: ListenSettings,
    },
    /// Show the settings that kana serve would run with, and where each comes from
    ///
    /// Takes every flag of kana serve. Opens no database, and makes no file.
    Config(ConfigSettings),
    /// Check whether kana serve would run here, and say what to do if not
    ///
    /// Takes every flag of kana serve. Changes nothing, and needs no set-up that works. Exits with 1 if a
    /// check fails.
    Doctor(DoctorSettings),
    /// List, create and revoke keys, also while a server runs on the same database
    Keys {
        #[command(flatten)]
        database: DatabaseSettings,
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// List, create and remove the people who may use the dashboard, also while a server runs on the
    /// same database
    Admins {
        #[command(flatten)]
        database: DatabaseSettings,
        #[command(flatten)]
        address: AddressSettings,
        #[command(subcommand)]
        command: AdminsCommand,
    },
    /// Export what is stored of a user, or delete it, also while a server runs on the same database
    Users {
        #[command(flatten)]
        database: DatabaseSettings,
        #[command(subcommand)]
        command: UsersCommand,
    },
    /// List background jobs and retry failed ones, also while a server runs on the same database
    Jobs {
        #[command(flatten)]
        database: DatabaseSettings,
        #[command(subcommand)]
        command: JobsCommand,
    },
    /// Export the database, or one environment of it, to a file
    ///
    /// The export is a snapshot of one instant, also while a server runs. `kana import` loads it into
    /// an empty database of either engine.
    Export(ExportSettings),
    /// Import an export into an empty database, all or nothing
    ///
    /// Everything is read back and compared before it is committed.
    Import(ImportSettings),
    /// Copy the embedded database, of one instant, to a file
    ///
    /// Also while a server runs and writes. The copy is checked before the file has its name. Prints what it
    /// holds as JSON.
    Backup(BackupSettings),
    /// Put a backup into an empty data directory
    ///
    /// The backup is checked first. No server may run on the directory.
    Restore(RestoreSettings),
    /// Check everything that the database holds, as it is now
    ///
    /// Also while a server runs and writes. Prints a line for each finding; exits with 1 if there is one.
    Check {
        #[command(flatten)]
        database: DatabaseSettings,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Migrate the database to the schema of this release, as kana serve does when it starts
    ///
    /// kana keys, kana jobs and kana export never migrate. No server of an older release may run on an
    /// embedded database meanwhile.
    Migrate {
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: CompletedShell,
    },
    /// Write a man page for each command into a directory
    Man {
        /// The directory, which is made if it is not there
        directory: PathBuf,
    },
    #[command(flatten)]
    Pricing(PricingCommand),
}

/// A shell for which there are completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompletedShell {
    Bash,
    Zsh,
    Fish,
}

impl From<CompletedShell> for Shell {
    fn from(shell: CompletedShell) -> Self {
        match shell {
            CompletedShell::Bash => Self::Bash,
            CompletedShell::Zsh => Self::Zsh,
            CompletedShell::Fish => Self::Fish,
        }
    }
}

/// Pricing as code: an environment's features and packages in a file of your repository.
#[derive(Debug, Subcommand)]
pub(crate) enum PricingCommand {
    /// Write the features and packages of an environment to kana/kana.dev.yaml
    ///
    /// Leaves the file alone if it already says the same.
    Pull(PricingSettings),
    /// Show what publishing the file would change
    ///
    /// Exits with 1 if there is an error: a breaking change, or something that cannot be published.
    Validate(PricingSettings),
    /// Publish the file to an environment, all or nothing
    ///
    /// Shows the changes and asks. With an error it changes nothing, unless --force is given.
    Publish(PricingSettings),
    /// Write an example to kana/kana.example.yaml
    Bootstrap(PricingSettings),
    /// Show what recorded usage would have come to under the packages of the file
    ///
    /// Counts the usage of a stretch of time again, from 0, and changes nothing. Overrides, grants, holds and
    /// rollover are left out.
    Simulate(SimulateSettings),
}

#[derive(Debug, Args)]
#[command(
    after_help = "KANA_URL is the server (default: http://127.0.0.1:4000). KANA_DEV_KEY and, for \
    --live, KANA_LIVE_KEY are the private keys. All of them can be in a file .env."
)]
pub(crate) struct SimulateSettings {
    /// The first instant, like 2026-11-01 or 2026-11-01T09:00:00Z. Dates begin at midnight, UTC
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(crate) from: Timestamp,
    /// The first instant after it, at most 366 days later
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(crate) to: Timestamp,
    /// Use live and kana/kana.yaml instead of test and kana/kana.dev.yaml
    #[arg(long)]
    pub(crate) live: bool,
    /// Print JSON for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Reads an instant, or a date.
fn instant(text: &str) -> Result<Timestamp, String> {
    let is_date = text.len() == "2026-11-01".len();
    let read = if is_date {
        Timestamp::parse("it", &format!("{text}T00:00:00Z"))
    } else {
        Timestamp::parse("it", text)
    };
    read.map_err(|_| "must be like 2026-11-01 or 2026-11-01T09:00:00Z".to_owned())
}

#[derive(Debug, Args)]
#[command(
    after_help = "KANA_URL is the server (default: http://127.0.0.1:4000). KANA_DEV_KEY and, for \
    --live, KANA_LIVE_KEY are the private keys. All of them can be in a file .env."
)]
pub(crate) struct PricingSettings {
    /// Use live and kana/kana.yaml instead of test and kana/kana.dev.yaml
    #[arg(long)]
    pub(crate) live: bool,
    /// Go on despite errors; with bootstrap, overwrite an example that was edited
    #[arg(long, short)]
    pub(crate) force: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Print JSON for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeSettings {
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
    #[command(flatten)]
    pub(crate) address: AddressSettings,
    #[command(flatten)]
    pub(crate) dashboard: DashboardSettings,
    /// All requests come through a proxy that adds the address it sees to X-Forwarded-For. The dashboard
    /// then goes by the last address there, for failed sign-ins and the list of sessions
    #[arg(
        long,
        env = "KANA_TRUST_PROXY",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "true|false",
        value_parser = BoolishValueParser::new()
    )]
    pub(crate) trust_proxy: bool,
    /// The origins of the web pages that may call the Client API, separated by commas, each like
    /// `https://app.example.com` or `http://localhost:3000`. `*` allows all
    #[arg(long, env = "KANA_CLIENT_ORIGINS", default_value = "*", value_name = "ORIGINS")]
    pub(crate) client_origins: AllowedOrigins,
    /// Maximum number of connections to the database of --database-url, 6 to 1000
    #[arg(
        long,
        env = "KANA_DATABASE_CONNECTIONS",
        default_value = "20",
        value_name = "CONNECTIONS",
        value_parser = clap::value_parser!(u32).range(6..=1000)
    )]
    pub(crate) database_connections: u32,
    /// Memory for users' facts and counters of the embedded database, in MiB, 0 to 65536. Questions about
    /// users who are in memory need no statement. 0 keeps none
    #[arg(
        long,
        env = "KANA_FACTS_CACHE_MIB",
        default_value = "128",
        value_name = "MIB",
        value_parser = clap::value_parser!(u32).range(0..=65536)
    )]
    pub(crate) facts_cache_mib: u32,
    #[command(flatten)]
    pub(crate) connections: ConnectionSettings,
    #[command(flatten)]
    pub(crate) request_limits: RequestLimitSettings,
    #[command(flatten)]
    pub(crate) tokens: TokenSettings,
    /// Minimum number of days that idempotency keys are kept, 1 to 3650. After that, a request with
    /// the same key counts as new
    #[arg(
        long,
        env = "KANA_IDEMPOTENCY_DAYS",
        default_value = "30",
        value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(1..=3650)
    )]
    pub(crate) idempotency_days: u32,
    /// Memory for the filters of idempotency keys, in MiB, 0 to 65536. Each key takes 1.75 bytes; with less,
    /// new keys are also looked for in the file. Embedded database only
    #[arg(
        long,
        env = "KANA_KEY_FILTERS_MIB",
        default_value = "64",
        value_name = "MIB",
        value_parser = clap::value_parser!(u32).range(0..=65536)
    )]
    pub(crate) key_filters_mib: u32,
    /// Minimum number of days that usage events are kept, 1 to 36500. Default: for ever. Counters stay,
    /// so entitlements do not change. PostgreSQL deletes whole months
    #[arg(
        long,
        env = "KANA_EVENTS_DAYS",
        value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(1..=36500)
    )]
    pub(crate) events_days: Option<u32>,
    #[command(flatten)]
    pub(crate) retention: RetentionSettings,
    #[command(flatten)]
    pub(crate) request_log: RequestLogSettings,
    #[command(flatten)]
    pub(crate) traces: TraceSettings,
    /// Another address to listen on, for /metrics, /healthz and /readyz alone. /metrics is then not at
    /// --listen
    #[arg(long, env = "KANA_METRICS_LISTEN", value_name = "ADDRESS")]
    pub(crate) metrics_listen: Option<ListenAddress>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigSettings {
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) serve: ServeSettings,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorSettings {
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) serve: ServeSettings,
}

/// The retention of the changes feed and the audit log.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct RetentionSettings {
    /// Number of days that changes stay in the changes feed, 1 to 365
    #[arg(
        long,
        env = "KANA_CHANGES_DAYS",
        default_value = "30",
        value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(1..=365)
    )]
    pub(crate) changes_days: u32,
    /// Maximum number of changes in the changes feed of an environment, 100 to 1000000000. The oldest
    /// are deleted first, whatever their age
    #[arg(
        long,
        env = "KANA_CHANGES_MAX",
        default_value = "10000000",
        value_name = "CHANGES",
        value_parser = clap::value_parser!(i64).range(100..=1_000_000_000)
    )]
    pub(crate) changes_max: i64,
    /// Number of days that entries of the audit log are kept, 1 to 36500
    #[arg(
        long,
        env = "KANA_AUDIT_DAYS",
        default_value = "400",
        value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(1..=36500)
    )]
    pub(crate) audit_days: u32,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ConnectionSettings {
    /// Maximum number of open connections, 1 to 1000000. For one more, the connection that has waited
    /// longest for a request is closed
    #[arg(
        long,
        env = "KANA_CONNECTIONS_MAX",
        default_value = "10000",
        value_name = "CONNECTIONS",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub(crate) connections_max: u32,
    /// Number of seconds that a connection may wait for its next request, 1 to 86400. Behind a load
    /// balancer, choose more than the load balancer's own idle timeout
    #[arg(
        long,
        env = "KANA_IDLE_TIMEOUT_SECONDS",
        default_value = "75",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(1..=86_400)
    )]
    pub(crate) idle_timeout_seconds: u32,
    /// Number of seconds from the end of a request's head until its answer begins, 1 to 3600. The time in
    /// which its body arrives does not count
    #[arg(
        long,
        env = "KANA_REQUEST_TIMEOUT_SECONDS",
        default_value = "30",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(1..=3600)
    )]
    pub(crate) request_timeout_seconds: u32,
    /// Number of seconds that the server goes on serving after it is told to stop, 0 to 300. Meanwhile
    /// /readyz answers 503, so that load balancers send requests elsewhere
    #[arg(
        long,
        env = "KANA_DRAIN_SECONDS",
        default_value = "0",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(0..=300)
    )]
    pub(crate) drain_seconds: u32,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct TokenSettings {
    /// Number of days that user tokens are valid, 1 to 3650
    #[arg(
        long,
        env = "KANA_USER_TOKEN_DAYS",
        default_value = "30",
        value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(1..=3650)
    )]
    pub(crate) user_token_days: u32,
}

impl From<TokenSettings> for kana_service::Settings {
    fn from(settings: TokenSettings) -> Self {
        Self { user_token_days: settings.user_token_days, ..Self::default() }
    }
}

#[derive(Debug, Args)]
pub(crate) struct InitSettings {
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
    #[command(flatten)]
    pub(crate) address: AddressSettings,
    #[command(flatten)]
    pub(crate) dashboard: DashboardSettings,
    /// The name of the app, 1 to 255 characters
    #[arg(long, default_value = "app", value_name = "NAME", value_parser = app_name)]
    pub(crate) app: String,
}

fn app_name(text: &str) -> Result<String, String> {
    kana_service::check_app_name(text).map_err(|invalid| invalid.problem)
}

#[derive(Debug, Args)]
pub(crate) struct ExportSettings {
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
    /// Export only this environment. Default: both
    #[arg(long)]
    pub(crate) env: Option<Env>,
    /// Include the secrets that sign user tokens. Anyone who has the file can then create tokens
    #[arg(long)]
    pub(crate) token_secrets: bool,
    /// The file to create; it must not exist yet. Default, or with -: standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportSettings {
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
    /// The export to import; - reads standard input
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct BackupSettings {
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
    /// The file to create; it must not exist yet
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreSettings {
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
    /// The backup to restore
    pub(crate) file: PathBuf,
    /// Move what is in the data directory to a directory beside it, whose name ends in .before- and the
    /// time
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DatabaseSettings {
    /// The directory of the embedded database. Created by kana serve, init and import
    #[arg(
        long,
        env = "KANA_DATA_DIR",
        default_value = "./kana-data",
        value_name = "DIRECTORY",
        global = true
    )]
    pub(crate) data_dir: PathBuf,
    /// A PostgreSQL database to use instead of the embedded one; any number of servers can share it:
    /// postgres://user:password@host:5432/database
    #[arg(long, env = "KANA_DATABASE_URL", value_name = "URL", global = true)]
    pub(crate) database_url: Option<DatabaseUrl>,
    /// A file with the URL of --database-url, instead of that setting
    #[arg(long, env = "KANA_DATABASE_URL_FILE", value_name = "FILE", global = true)]
    pub(crate) database_url_file: Option<PathBuf>,
    /// What is between Kana and PostgreSQL: none, or a pooler that gives each transaction another
    /// session, like PgBouncer in transaction mode
    #[arg(
        long,
        env = "KANA_DATABASE_POOLER",
        default_value = "none",
        value_name = "POOLER",
        global = true
    )]
    pub(crate) database_pooler: DatabasePooler,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DatabasePooler {
    /// No pooler, or one in session mode that passes options on
    None,
    /// A pooler in transaction mode
    Transaction,
}

impl From<DatabasePooler> for Pooler {
    fn from(pooler: DatabasePooler) -> Self {
        match pooler {
            DatabasePooler::None => Self::None,
            DatabasePooler::Transaction => Self::Transaction,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Print everything that is stored of a user: record, subscriptions, counters, usage events and
    /// idempotency keys, a JSON object on each line
    Export {
        /// The product's own id of the user
        #[arg(value_parser = user_id)]
        id: UserId,
        /// The environment that the user is in
        #[arg(long)]
        env: Env,
    },
    /// Delete a user for good
    ///
    /// Subscriptions that run are cancelled; name, e-mail, billing id, metadata and the id are forgotten.
    /// Usage stays, under a random id, and the user's own id is free again. This cannot be undone.
    Delete {
        /// The product's own id of the user
        #[arg(value_parser = user_id)]
        id: UserId,
        /// The environment that the user is in
        #[arg(long)]
        env: Env,
    },
}

fn user_id(text: &str) -> Result<UserId, String> {
    UserId::new("the id", text).map_err(|invalid| invalid.to_string())
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// List jobs, dead and failing ones first
    ///
    /// A job is waiting, running, failing (the last attempt failed, and it is tried again when it is
    /// due) or dead (it failed too often, and is not tried again by itself). At most 1000 are shown.
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Make a job due now and forget its failed attempts
    Retry {
        /// The job's id, as `kana jobs list` shows it
        #[arg(value_parser = job_id)]
        id: JobId,
    },
}

fn job_id(text: &str) -> Result<JobId, String> {
    text.parse().map_err(|_| "must be the id of a job, as kana jobs list shows it".to_owned())
}

fn key_name(text: &str) -> Result<Label, String> {
    match kana_service::key_name(text) {
        Ok(Some(name)) => Ok(name),
        Ok(None) => Err("must not be empty".to_owned()),
        Err(invalid) => Err(invalid.problem.to_string()),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// List all keys: id, environment, kind, last four characters, created, last used, revoked,
    /// expires, name
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Create a key and print it once
    Create {
        /// The environment that the key opens
        #[arg(long)]
        env: Env,
        /// private for the Admin API, public for the Client API
        #[arg(long)]
        kind: Kind,
        /// The name that people know it by, like CI
        #[arg(long, value_parser = key_name)]
        name: Option<Label>,
        /// How long the key is good: a whole number and s, m, h or d, like 90d. Default: for ever
        #[arg(long, value_name = "TIME", value_parser = lifetime::lifetime)]
        expires_in: Option<Duration>,
    },
    /// Sign user tokens with a new secret. Earlier tokens stay valid until they expire
    ///
    /// Running servers follow within five seconds.
    RotateTokenSecret {
        /// The environment whose tokens these are
        #[arg(long)]
        env: Env,
        /// Make earlier tokens invalid at once
        #[arg(long)]
        at_once: bool,
        #[command(flatten)]
        tokens: TokenSettings,
    },
    /// Set whether a public key and a user's id are enough for the Client API
    ///
    /// While it is on (the default), anyone who has the public key can read any user's entitlements.
    /// Running servers follow within five seconds.
    SimpleMode {
        /// The environment
        #[arg(long)]
        env: Env,
        /// on or off
        mode: Switch,
    },
    /// Revoke a key. Running servers follow within five seconds
    ///
    /// The last private key of an environment is only revoked with --yes.
    Revoke {
        /// The key's id, as `kana keys list` shows it
        id: i64,
        /// Revoke it even if no program can use the environment then
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminsCommand {
    /// Create an admin, and print the link that sets the password
    ///
    /// The link works once, within 24 hours.
    Create {
        /// The e-mail to sign in with
        #[arg(long, value_name = "E-MAIL", value_parser = email)]
        email: String,
        /// viewer reads; editor also changes features, packages, users and usage; owner changes
        /// everything
        #[arg(long, default_value = "owner")]
        role: AdminRole,
        /// Read the password from standard input, so that the admin can sign in at once, and print
        /// nothing
        #[arg(long)]
        password_stdin: bool,
    },
    /// List all admins: e-mail, role, created, last sign-in, invited or active
    List,
    /// End an admin's sessions, take the password away, and print the link that sets another
    ResetPassword {
        /// The admin's e-mail
        #[arg(value_name = "E-MAIL")]
        email: String,
        /// Read the new password from standard input, and print nothing
        #[arg(long)]
        password_stdin: bool,
    },
    /// Remove an admin and end the sessions. The last owner cannot be removed
    Remove {
        /// The admin's e-mail
        #[arg(value_name = "E-MAIL")]
        email: String,
    },
}

fn email(text: &str) -> Result<String, String> {
    kana_service::check_email(text).map_err(|invalid| invalid.problem)
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum AdminRole {
    Viewer,
    Editor,
    Owner,
}

impl From<AdminRole> for Role {
    fn from(role: AdminRole) -> Self {
        match role {
            AdminRole::Viewer => Self::Viewer,
            AdminRole::Editor => Self::Editor,
            AdminRole::Owner => Self::Owner,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Env {
    Test,
    Live,
}

impl From<Env> for EnvironmentKind {
    fn from(env: Env) -> Self {
        match env {
            Env::Test => Self::Test,
            Env::Live => Self::Live,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    Private,
    Public,
}

impl From<Kind> for KeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Private => Self::Private,
            Kind::Public => Self::Public,
        }
    }
}
