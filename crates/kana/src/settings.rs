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
    /// Run the server. On an empty database, first do what `kana init` does
    Serve(ServeSettings),
    /// Make the app with its two environments and print their keys, once
    ///
    /// On a database that has the app already, change nothing.
    Init(InitSettings),
    /// List, create and revoke keys, also while a server runs on the same database
    Keys {
        #[command(flatten)]
        database: DatabaseSettings,
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Write everything that the database holds, or one environment of it, to a file
    ///
    /// What is written is of one instant, also while a server runs on the database. kana import
    /// makes it a database again, of either engine.
    Export(ExportSettings),
    /// Make an export the content of an empty database, all or nothing
    ///
    /// Everything is read back and compared before it counts.
    Import(ImportSettings),
    /// Migrate the database to the schema of this release, as kana serve does when it starts
    ///
    /// kana keys and kana export never migrate. No server of an older release may run on an
    /// embedded database meanwhile.
    Migrate {
        #[command(flatten)]
        database: DatabaseSettings,
    },
    #[command(flatten)]
    Pricing(PricingCommand),
}

/// Pricing as code: the features and packages of an environment in a file of one's own repository.
#[derive(Debug, Subcommand)]
pub(crate) enum PricingCommand {
    /// Write what an environment holds to kana/kana.dev.yaml
    ///
    /// A file that says the same already is left as it is.
    Pull(PricingSettings),
    /// Say what publishing the file would change
    ///
    /// Exits with 1 if anything is an error: a breaking change, or something that cannot be
    /// published.
    Validate(PricingSettings),
    /// Make an environment what the file says, all or nothing
    ///
    /// Shows what changes and asks. With an error it changes nothing, unless it is forced.
    Publish(PricingSettings),
    /// Write an example to kana/kana.example.yaml
    Bootstrap(PricingSettings),
}

#[derive(Debug, Args)]
#[command(after_help = "The server is named by KANA_URL (http://127.0.0.1:4000 otherwise); the \
    private keys stand in KANA_DEV_KEY and, for --live, KANA_LIVE_KEY. All of them may stand in a \
    file .env.")]
pub(crate) struct PricingSettings {
    /// The live environment and kana/kana.yaml, instead of test and kana/kana.dev.yaml
    #[arg(long)]
    pub(crate) live: bool,
    /// Go on in spite of errors; with bootstrap, overwrite another example
    #[arg(long, short)]
    pub(crate) force: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Print what a program can read
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeSettings {
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
    /// The address to listen on: an IP address and a port, localhost:4000, or :4000 for all
    /// addresses of the machine. With port 0, a free port is picked
    #[arg(long, env = "KANA_LISTEN", default_value = "127.0.0.1:4000", value_name = "ADDRESS")]
    pub(crate) listen: ListenAddress,
    /// The origins of the web pages that may call the Client API, separated by commas, each like
    /// `https://app.example.com` or `http://localhost:3000`. With `*`, all may
    #[arg(long, env = "KANA_CLIENT_ORIGINS", default_value = "*", value_name = "ORIGINS")]
    pub(crate) client_origins: AllowedOrigins,
    /// How many connections to the database of --database-url this server opens at most, 6 to 1000
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
    /// For how many days an idempotency key is kept at least, 1 to 3650. After that, a request with
    /// it counts as new
    #[arg(
        long,
        env = "KANA_IDEMPOTENCY_DAYS",
        default_value = "30",
        value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(1..=3650)
    )]
    pub(crate) idempotency_days: u32,
    /// For how many days a usage event is kept at least, 1 to 36500; without it, for ever. Counters
    /// stay, so that nobody may do more or less for it. PostgreSQL forgets whole months
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

/// How long the changes feed and the audit log go back.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LogSettings {
    /// For how many days a change stays in the changes feed, 1 to 365
    #[arg(
        long,
        env = "KANA_CHANGES_DAYS",
        default_value = "30",
        value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(1..=365)
    )]
    pub(crate) changes_days: u32,
    /// How many changes the changes feed of an environment keeps at most, 100 to 1000000000. The
    /// oldest go first, however new they are
    #[arg(
        long,
        env = "KANA_CHANGES_MAX",
        default_value = "10000000",
        value_name = "CHANGES",
        value_parser = clap::value_parser!(i64).range(100..=1_000_000_000)
    )]
    pub(crate) changes_max: i64,
    /// For how many days an entry of the audit log is kept, 1 to 36500
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
    /// How many connections may be open at once, 1 to 1000000. For one more, the one that has
    /// waited longest for a request is closed
    #[arg(
        long,
        env = "KANA_CONNECTIONS_MAX",
        default_value = "10000",
        value_name = "CONNECTIONS",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub(crate) connections_max: u32,
    /// For how many seconds a connection may wait for its next request, 1 to 86400. Behind a load
    /// balancer, choose more than that keeps its connections
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
    /// For how many days a user token is good, 1 to 3650
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

/// Checks the name of an app, which has the limits of other names and no control characters.
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
    /// Only this environment. Both otherwise
    #[arg(long)]
    pub(crate) env: Option<Env>,
    /// With the secrets that sign user tokens. Whoever has the file can then make tokens
    #[arg(long)]
    pub(crate) token_secrets: bool,
    /// The file to make, which must not exist yet. Standard output otherwise, and with -
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportSettings {
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
    /// The export to import. With -, standard input
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
    /// A PostgreSQL database to use instead of the embedded one, which any number of servers can
    /// share: postgres://user:password@host:5432/database
    #[arg(long, env = "KANA_DATABASE_URL", value_name = "URL", global = true)]
    pub(crate) database_url: Option<DatabaseUrl>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Show every key: id, environment, kind, last four characters, created, revoked
    List,
    /// Make a key and print it, once
    Create {
        /// The environment that the key opens
        #[arg(long)]
        env: Env,
        /// private for the Admin API, public for the Client API
        #[arg(long)]
        kind: Kind,
    },
    /// Sign user tokens with a new secret. Those signed before stay good until they expire
    ///
    /// Running servers obey within five seconds.
    RotateTokenSecret {
        /// The environment whose tokens these are
        #[arg(long)]
        env: Env,
        /// Withdraw the tokens signed before at once
        #[arg(long)]
        at_once: bool,
        #[command(flatten)]
        tokens: TokenSettings,
    },
    /// Say whether a public key and a user's id are enough for the Client API
    ///
    /// While it is on, as it is at first, anyone who has the public key can read any user's
    /// entitlements. Running servers obey within five seconds.
    SimpleMode {
        /// The environment
        #[arg(long)]
        env: Env,
        /// on or off
        mode: Switch,
    },
    /// Revoke a key. Running servers obey within five seconds
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
