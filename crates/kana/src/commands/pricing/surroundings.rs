//! The server's address and the keys, from environment variables and a `.env` file.

use std::collections::HashMap;
use std::io::ErrorKind;

use kana_service::EnvironmentKind;

use super::failure::Failure;
use crate::settings::{variable, without_passwords};

/// The file in the working directory.
const FILE: &str = ".env";
/// The maximum size of the file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
const SERVER: &str = "http://127.0.0.1:4000";

/// Variables of the process and of the file. Those of the process win.
pub(super) struct Surroundings {
    file: HashMap<String, String>,
    of_process: fn(&str) -> Option<String>,
}

impl Surroundings {
    /// Reads the variables of this process and of the file in its working directory.
    pub(super) fn read() -> Result<Self, Failure> {
        let failed = |error| Failure::Read(FILE.into(), error);
        let text = match std::fs::metadata(FILE) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
            Ok(file) if file.len() > FILE_BYTES_MAX => {
                let error = std::io::Error::other("it is larger than 1 MiB");
                return Err(failed(error));
            }
            Ok(_) => String::from_utf8_lossy(&std::fs::read(FILE).map_err(failed)?).into_owned(),
        };
        Ok(Self { file: variables(&text), of_process: variable::read_text })
    }

    /// Returns a variable; `None` if it is unset or empty.
    fn get(&self, name: &str) -> Option<String> {
        let set = |value: &String| !value.trim().is_empty();
        (self.of_process)(name).filter(set).or_else(|| self.file.get(name).cloned().filter(set))
    }

    /// Returns the private key of an environment.
    pub(super) fn key(&self, environment: EnvironmentKind) -> Result<String, Failure> {
        let name = key_name(environment);
        let key = self.get(name).ok_or(Failure::NoKey(name))?;
        let key = key.trim();
        let other = match environment {
            EnvironmentKind::Test => EnvironmentKind::Live,
            EnvironmentKind::Live => EnvironmentKind::Test,
        };
        // A key of the other environment would change the wrong one.
        if key.starts_with(&format!("prv_{other}_")) {
            return Err(Failure::KeyOf { name, other });
        }
        Ok(key.to_owned())
    }

    /// Returns the base address of the REST calls.
    pub(super) fn address(&self) -> Result<String, Failure> {
        let (name, given, path) = match self.get("KANA_DEV_URL") {
            Some(address) => ("KANA_DEV_URL", address, ""),
            None => ("KANA_URL", self.get("KANA_URL").unwrap_or_else(|| SERVER.to_owned()), "/cli"),
        };
        let given = given.trim();
        let address = given.trim_end_matches('/');
        let host = ["http://", "https://"].iter().find_map(|scheme| address.strip_prefix(scheme));
        match host {
            Some(host) if !host.is_empty() && !host.starts_with('/') => {
                Ok(format!("{address}{path}"))
            }
            _ => Err(Failure::Address { name, value: without_passwords(given, [given]) }),
        }
    }
}

/// Returns the name of the variable with the private key of an environment.
pub(super) fn key_name(environment: EnvironmentKind) -> &'static str {
    match environment {
        EnvironmentKind::Test => "KANA_DEV_KEY",
        EnvironmentKind::Live => "KANA_LIVE_KEY",
    }
}

/// Parses lines like `NAME=value`, with optional `export` and quotes.
fn variables(text: &str) -> HashMap<String, String> {
    let line = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || name.starts_with('#') {
            return None;
        }
        let quoted = ['"', '\''].into_iter().find_map(|quote| {
            let (value, _) = value.strip_prefix(quote)?.split_once(quote)?;
            Some(value)
        });
        // A comment has a space before it.
        let value = quoted.unwrap_or_else(|| value.split(" #").next().unwrap_or(value).trim_end());
        Some((name.to_owned(), value.to_owned()))
    };
    text.trim_start_matches('\u{feff}').lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(text: &str) -> Surroundings {
        Surroundings { file: variables(text), of_process: |_| None }
    }

    #[test]
    fn a_file_has_lines_of_several_kinds() {
        let file = variables(
            "# comment\nA=1\nexport B = two words # and a comment\r\nC=\"x # y\" # z\nD='\"'\nE=\n\
             F=a=b#c\n#G=1\nnothing\n=x\n",
        );
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "x # y"),
            ("D", "\""),
            ("E", ""),
            ("F", "a=b#c"),
        ];
        let expected: HashMap<String, String> =
            expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(file, expected);
    }

    #[test]
    fn the_address_is_that_of_the_server_or_of_the_calls() {
        for (file, address) in [
            ("", "http://127.0.0.1:4000/cli"),
            ("KANA_URL=", "http://127.0.0.1:4000/cli"),
            ("KANA_URL=https://kana.example.com/", "https://kana.example.com/cli"),
            ("KANA_DEV_URL=http://localhost:1/cli", "http://localhost:1/cli"),
            ("KANA_URL=http://a\nKANA_DEV_URL=http://b/cli/", "http://b/cli"),
        ] {
            assert_eq!(around(file).address().unwrap(), address);
        }
        for wrong in [
            "KANA_URL=localhost:4000",
            "KANA_DEV_URL=ftp://x",
            "KANA_URL=http://",
            "KANA_URL=ftp://kana:hunter2@x",
        ] {
            let name = wrong.split('=').next().unwrap();
            let failure = around(wrong).address().unwrap_err();
            assert!(failure.to_string().starts_with(name), "{failure}");
            assert!(!failure.to_string().contains("hunter2"), "{failure}");
            assert_eq!(failure.exit_code(), 2);
        }
    }

    #[test]
    fn each_environment_has_its_own_key() {
        let both = around("KANA_DEV_KEY=prv_test_1\nKANA_LIVE_KEY=prv_live_2");
        assert_eq!(both.key(EnvironmentKind::Test).unwrap(), "prv_test_1");
        assert_eq!(both.key(EnvironmentKind::Live).unwrap(), "prv_live_2");
        let swapped = around("KANA_LIVE_KEY=prv_test_1");
        for environment in EnvironmentKind::ALL {
            let failure = swapped.key(environment).unwrap_err();
            assert!(failure.to_string().contains(key_name(environment)), "{failure}");
            assert!(!failure.to_string().contains("prv_test_1"), "{failure}");
            assert_eq!(failure.exit_code(), 2);
        }
    }
}
