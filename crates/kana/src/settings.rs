//! Settings: a flag, else an environment variable, else `kana.toml` in the working directory,
//! else the default (contract: `server.md`).

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use kana_api::client::AllowedOrigins;
use kana_service::{EnvironmentKind, KeyKind};

/// The file in the working directory. Its keys are the flags' names with underscores.
const FILE: &str = "kana.toml";

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
    /// Bring the database to the schema of this release, as kana serve does when it starts
    ///
    /// kana keys and kana export never do it. A server of an older release must not run on an
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
    /// The address to listen on. With port 0, a free port is picked
    #[arg(long, env = "KANA_LISTEN", default_value = "127.0.0.1:4000", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
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
    /// What the app is called
    #[arg(long, default_value = "app", value_name = "NAME")]
    pub(crate) app: String,
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
    /// Where the embedded database lies. Created by kana serve, init and import
    #[arg(long, env = "KANA_DATA_DIR", default_value = "./kana-data", value_name = "DIRECTORY")]
    pub(crate) data_dir: PathBuf,
    /// A PostgreSQL database to use instead of the embedded one, which any number of servers can
    /// share: postgres://user:password@host:5432/database
    // Its value can hold a password, and help would show what the environment holds.
    #[arg(long, env = "KANA_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
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

/// Reads the settings; on wrong ones, says which and ends the process with exit code 2.
pub(crate) fn read() -> Command {
    let file = match std::fs::read_to_string(FILE) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => wrong(&format!("{FILE} cannot be read: {error}")),
    };
    let parsed = with_file(Cli::command(), &file)
        .unwrap_or_else(|problem| wrong(&problem))
        .try_get_matches()
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    match parsed {
        Ok(cli) => cli.command,
        Err(error) => error.exit(),
    }
}

fn wrong(problem: &str) -> ! {
    Cli::command().error(ErrorKind::InvalidValue, problem).exit()
}

/// Makes what stands in the file the default of the flag with its name.
fn with_file(mut cli: clap::Command, text: &str) -> Result<clap::Command, String> {
    let file: toml::Table =
        text.parse().map_err(|error| format!("{FILE} is not valid TOML: {error}"))?;
    let mut names: Vec<&String> = file.keys().collect();
    names.sort_unstable();
    for name in names {
        let value = file.get(name).and_then(as_flag).ok_or_else(|| {
            format!("{FILE}: {name} must be a string, a whole number or a list of strings")
        })?;
        if !is_setting(&cli, name) {
            return Err(format!("{FILE}: there is no setting {name}; see kana serve --help"));
        }
        cli = with_default(cli, name, &value);
    }
    Ok(cli)
}

/// A value of the file as a flag would be given.
fn as_flag(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            items.map(|items| items.join(","))
        }
        _ => None,
    }
}

/// Whether the command or one below it has a setting with this name. What no variable can set is
/// no setting, but an argument.
fn is_setting(command: &clap::Command, name: &str) -> bool {
    command.get_arguments().any(|arg| arg.get_id() == name && arg.get_env().is_some())
        || command.get_subcommands().any(|subcommand| is_setting(subcommand, name))
}

/// The command with another default for a setting, in itself and below.
fn with_default(mut command: clap::Command, name: &str, value: &str) -> clap::Command {
    if command.get_arguments().any(|arg| arg.get_id() == name) {
        command = command.mut_arg(name, |arg| arg.default_value(value.to_owned()));
    }
    command.mut_subcommands(|subcommand| with_default(subcommand, name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(file: &str, arguments: &[&str]) -> Result<ServeSettings, String> {
        let arguments = ["kana", "serve"].iter().chain(arguments);
        let matches = with_file(Cli::command(), file)?.try_get_matches_from(arguments);
        let cli = matches.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
        match cli.map_err(|error| error.to_string())?.command {
            Command::Serve(settings) => Ok(settings),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_flag_comes_before_the_file_and_the_file_before_the_default() {
        let file = "listen = \"127.0.0.1:1\"\ndata_dir = \"/from/file\"";
        let settings = parse(file, &["--listen", "127.0.0.1:2"]).unwrap();
        assert_eq!(settings.listen.port(), 2);
        assert_eq!(settings.database.data_dir, PathBuf::from("/from/file"));
        assert_eq!(parse("", &[]).unwrap().listen.to_string(), "127.0.0.1:4000");
    }

    #[test]
    fn numbers_and_lists_stand_in_the_file_as_such() {
        let file = "user_token_days = 7\nclient_origins = [\"https://a.co\", \"https://b.co\"]";
        let settings = parse(file, &[]).unwrap();
        assert_eq!(settings.tokens.user_token_days, 7);
        assert_eq!(settings.client_origins, "https://a.co,https://b.co".parse().unwrap());
    }

    #[test]
    fn a_page_of_any_origin_may_call_by_default_and_with_a_star() {
        for (file, arguments) in [
            ("", &[][..]),
            ("", &["--client-origins", "*"]),
            ("client_origins = \"*\"", &[]),
            ("client_origins = [\"*\"]", &[]),
        ] {
            let settings = parse(file, arguments).unwrap();
            assert_eq!(settings.client_origins, AllowedOrigins::Any);
        }
    }

    #[test]
    fn a_setting_in_the_file_reaches_the_commands_below_a_command() {
        let arguments = ["kana", "keys", "rotate-token-secret", "--env", "test"];
        let cli = with_file(Cli::command(), "user_token_days = 7").unwrap();
        let matches = cli.try_get_matches_from(arguments).unwrap();
        let (_, keys) = matches.subcommand().unwrap();
        let (_, rotate) = keys.subcommand().unwrap();
        assert_eq!(rotate.get_one::<u32>("user_token_days"), Some(&7));
    }

    #[test]
    fn a_wrong_setting_is_named() {
        for (file, arguments, named) in [
            ("listne = \"x\"", &[][..], "listne"),
            ("app = \"not a setting\"", &[], "app"),
            ("listen = 4000", &[], "--listen"),
            ("listen = true", &[], "listen"),
            ("user_token_days = 0", &[], "--user-token-days"),
            ("idempotency_days = 0", &[], "--idempotency-days"),
            ("events_days = 0", &[], "--events-days"),
            ("connections_max = 0", &[], "--connections-max"),
            ("idle_timeout_seconds = 0", &[], "--idle-timeout-seconds"),
            ("database_connections = 5", &[], "--database-connections"),
            ("listen = \"4000\"", &[], "--listen"),
            ("listen = ", &[], "kana.toml"),
            ("", &["--listen", "nowhere"], "--listen"),
            ("", &["--client-origins", "foo"], "--client-origins"),
            ("", &["--client-origins", ""], "--client-origins"),
            ("client_origins = \"https://a.co/\"", &[], "--client-origins"),
            ("client_origins = [\"https://a.co\", \"null\"]", &[], "--client-origins"),
            ("client_origins = []", &[], "--client-origins"),
        ] {
            let problem = parse(file, arguments).unwrap_err();
            assert!(problem.contains(named), "{file} {arguments:?}: {problem}");
        }
    }
}
