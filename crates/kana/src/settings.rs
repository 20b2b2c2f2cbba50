//! Settings: a flag, else an environment variable, else `kana.toml` in the working directory,
//! else the default (contract: `server.md`).
//!
//! This module defines the settings; [`reading`] reads their values and reports invalid ones.

mod listen;
pub(crate) mod reading;
mod secret;
pub(crate) mod variable;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use kana_api::client::AllowedOrigins;
use kana_core::metadata::Label;
use kana_service::{EnvironmentKind, KeyKind};
use kana_store::jobs::JobId;

pub(crate) use self::listen::ListenAddress;
pub(crate) use self::secret::{DatabaseUrl, without_passwords};

/// Pricing and packaging, self-hosted: which features a user's packages include, how much of
/// each, and how much of that is used.
///
/// Every setting can be a flag, an environment variable, or a line of kana.toml in the working
/// directory, where it is named like the flag with underscores: data_dir = "/var/lib/kana".
#[derive(Debug, Parser)]
#[command(name = "kana", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server. On an empty database, first run `kana init`
    Serve(ServeSettings),
    /// Create the app with its two environments, and print their keys once
    ///
    /// Does nothing if the database already has the app.
    Init(InitSettings),
    /// List, create and revoke keys, also while a server runs on the same database
    Keys {
        #[command(flatten)]
        database: DatabaseSettings,
        #[command(subcommand)]
        command: KeysCommand,
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
    /// Migrate the database to the schema of this release, as kana serve does when it starts
    ///
    /// kana keys, kana jobs and kana export never migrate. No server of an older release may run on an
    /// embedded database meanwhile.
    Migrate {
        #[command(flatten)]
        database: DatabaseSettings,
    },
    #[command(flatten)]
    Pricing(PricingCommand),
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
    /// The address to listen on: an IP address and a port, localhost:4000, or :4000 for all
    /// addresses of the machine. Port 0 picks a free port
    #[arg(long, env = "KANA_LISTEN", default_value = "127.0.0.1:4000", value_name = "ADDRESS")]
    pub(crate) listen: ListenAddress,
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
    #[command(flatten)]
    pub(crate) connections: ConnectionSettings,
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
    pub(crate) logs: LogSettings,
}

/// The retention of the changes feed and the audit log.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LogSettings {
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
    /// The name of the app, 1 to 255 characters
    #[arg(long, default_value = "app", value_name = "NAME", value_parser = app_name)]
    pub(crate) app: String,
}

/// Checks the name of an app: the limits of other names, and no control characters.
fn app_name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    Label::new("app", text).map_err(|invalid| invalid.problem)?;
    Ok(text.to_owned())
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

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// List all keys: id, environment, kind, last four characters, created, revoked
    List,
    /// Create a key and print it once
    Create {
        /// The environment that the key opens
        #[arg(long)]
        env: Env,
        /// private for the Admin API, public for the Client API
        #[arg(long)]
        kind: Kind,
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
    Revoke {
        /// The key's id, as `kana keys list` shows it
        id: i64,
    },
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
