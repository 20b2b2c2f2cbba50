use std::fmt;
use std::path::PathBuf;

use kana_core::configuration::quoted;
use kana_service::EnvironmentKind;

/// Why a command of pricing as code failed.
#[derive(Debug)]
pub(super) enum Failure {
    NoKey(&'static str),
    KeyOf {
        name: &'static str,
        other: EnvironmentKind,
    },
    /// The password in `value` is hidden.
    Address {
        name: &'static str,
        value: String,
    },
    NoFile(PathBuf),
    FileExists(PathBuf),
    TooLarge(PathBuf),
    NotText {
        path: PathBuf,
        line: usize,
    },
    Read(PathBuf, std::io::Error),
    /// `is_published` tells whether the environment has changed.
    Write {
        path: PathBuf,
        error: std::io::Error,
        is_published: bool,
    },
    FileMoved(PathBuf),
    Unreachable {
        address: String,
        problem: String,
    },
    Refused {
        status: u16,
        problem: String,
    },
    Unauthorised {
        name: &'static str,
        problem: String,
    },
    NotKana {
        address: String,
        status: u16,
    },
    Stale,
    Output(std::io::Error),
}

impl Failure {
    /// Returns 2 for wrong usage, 1 for a failure.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::NoKey(_) | Self::KeyOf { .. } | Self::Address { .. } => 2,
            _ => 1,
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey(name) => write!(
                f,
                "{name} is not set: set it to the private key of the environment, as a variable or in \
                 the file .env"
            ),
            Self::KeyOf { name, other } => {
                write!(f, "{name} is a key of the other environment, {other}: nothing was done")
            }
            Self::Address { name, value } => write!(
                f,
                "{name} must be an address like https://kana.example.com; it is {}",
                quoted(value)
            ),
            Self::NoFile(path) => write!(
                f,
                "there is no file {}: create it with kana pull, or start from the example that kana \
                 bootstrap writes",
                path.display()
            ),
            Self::FileExists(path) => {
                write!(f, "{} exists and was edited: --force overwrites it", path.display())
            }
            Self::TooLarge(path) => {
                write!(f, "{} is larger than 8 MiB: nothing was done", path.display())
            }
            Self::NotText { path, line } => {
                write!(f, "{} is not valid UTF-8: see line {line}", path.display())
            }
            Self::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Write { path, error, is_published } => {
                let done = if *is_published { "published, but " } else { "" };
                write!(f, "{done}cannot write {}: {error}", path.display())
            }
            Self::FileMoved(path) => write!(
                f,
                "published, but {} has changed meanwhile and was not updated: run kana pull",
                path.display()
            ),
            Self::Unreachable { address, problem } => write!(
                f,
                "no answer from the server at {address}: {problem}. Set KANA_URL, or KANA_DEV_URL if \
                 you use it, to the server's address"
            ),
            Self::Refused { status, problem } => {
                write!(f, "the server refused with status {status}: {problem}")
            }
            Self::Unauthorised { name, problem } => {
                write!(f, "the server does not accept the key in {name}: {problem}")
            }
            Self::NotKana { address, status } => write!(
                f,
                "{address} answered with status {status}, but is not a Kana server: check KANA_URL, or \
                 KANA_DEV_URL if you use it"
            ),
            Self::Stale => f.write_str(
                "the features and packages have changed since the plan was made; nothing was \
                 published. Run the command again to see the new plan",
            ),
            Self::Output(error) => write!(f, "cannot write the output: {error}"),
        }
    }
}
