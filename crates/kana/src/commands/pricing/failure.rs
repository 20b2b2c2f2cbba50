use std::fmt;
use std::path::PathBuf;

use kana_core::configuration::quoted;
use kana_service::EnvironmentKind;

/// Why a command of pricing as code could not be carried out.
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
    /// `is_published` is what has become of the environment by then.
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
    /// 2 for a command that was called wrongly, 1 for one that failed.
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
                "{name} is not set: it holds the private key of the environment, in the process's \
                 environment or in the file .env"
            ),
            Self::KeyOf { name, other } => {
                write!(f, "{name} holds a key of the other environment, {other}: nothing was done")
            }
            Self::Address { name, value } => write!(
                f,
                "{name} must be an address like https://kana.example.com; it is {}",
                quoted(value)
            ),
            Self::NoFile(path) => write!(
                f,
                "there is no file {}: kana pull writes it from the environment, kana bootstrap an \
                 example of one",
                path.display()
            ),
            Self::FileExists(path) => {
                write!(f, "{} says something else already: --force overwrites it", path.display())
            }
            Self::TooLarge(path) => {
                write!(f, "{} is larger than 8 MiB: nothing was done", path.display())
            }
            Self::NotText { path, line } => {
                write!(f, "{} is no UTF-8 text: line {line} has other bytes", path.display())
            }
            Self::Read(path, error) => write!(f, "{} cannot be read: {error}", path.display()),
            Self::Write { path, error, is_published } => {
                let done = if *is_published { "it is published, but " } else { "" };
                write!(f, "{done}{} cannot be written: {error}", path.display())
            }
            Self::FileMoved(path) => write!(
                f,
                "what {} said is published, but the file has changed meanwhile and is left as it is",
                path.display()
            ),
            Self::Unreachable { address, problem } => write!(
                f,
                "the server does not answer at {address}: {problem}; KANA_URL, or KANA_DEV_URL \
                 where it is set, says where it is"
            ),
            Self::Refused { status, problem } => {
                write!(f, "the server refused with status {status}: {problem}")
            }
            Self::Unauthorised { name, problem } => {
                write!(f, "the server does not accept the key in {name}: {problem}")
            }
            Self::NotKana { address, status } => write!(
                f,
                "{address} answered with status {status} and nothing that Kana would say: is \
                 KANA_URL, or KANA_DEV_URL where it is set, right?"
            ),
            Self::Stale => f.write_str(
                "the features and packages have changed since the plan was made: nothing was \
                 published; run the command again to see the plan as it is now",
            ),
            Self::Output(error) => write!(f, "the output cannot be written: {error}"),
        }
    }
}
