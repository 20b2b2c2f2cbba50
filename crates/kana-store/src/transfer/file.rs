//! An export as a file: a header, a record on each line, and an end that says what came before it.

use kana_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::batch::Scope;
use super::line;
use crate::app::EnvironmentKind;
use crate::columns::Named;

/// The format that this release writes, and the newest that it reads.
const FORMAT: u64 = 1;

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    kana_export: u64,
    environments: Vec<String>,
    exported_at: String,
    token_secrets: bool,
}

/// Only what every format has.
#[derive(Deserialize)]
struct AnyHeader {
    kana_export: u64,
}

/// Writes the first line, without its end.
pub(super) fn write_header(
    scope: &Scope,
    exported_at: Timestamp,
) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Header {
        kana_export: FORMAT,
        environments: scope.environments.iter().map(|kind| kind.name().to_owned()).collect(),
        exported_at: exported_at.to_string(),
        token_secrets: scope.token_secrets,
    })
}

/// What the first line says that is in the file, or what is wrong with it.
pub(super) fn read_header(line: &[u8]) -> Result<Scope, String> {
    let any: AnyHeader = serde_json::from_slice(line)
        .map_err(|_| "this is no export of Kana: its first line has no kana_export".to_owned())?;
    if any.kana_export != FORMAT {
        return Err(format!(
            "the export has format {}, and this release reads format {FORMAT}: import it with the \
             release that made it, or a newer one",
            any.kana_export
        ));
    }
    let header: Header = serde_json::from_slice(line).map_err(|error| line::problem(&error))?;
    Timestamp::parse("exported_at", &header.exported_at).map_err(|error| error.to_string())?;
    let mut environments = Vec::new();
    for name in &header.environments {
        let environment = EnvironmentKind::from_name(name)
            .map_err(|_| format!("environments: there is no environment {name:?}"))?;
        if environments.contains(&environment) {
            return Err(format!("environments: {name} stands twice"));
        }
        environments.push(environment);
    }
    if environments.is_empty() {
        return Err("environments must not be empty".to_owned());
    }
    Ok(Scope { environments, token_secrets: header.token_secrets, user: None })
}
