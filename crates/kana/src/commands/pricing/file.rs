//! The file of an environment: read with the place of every value, and replaced as a whole.

use std::fs::{self, File as FsFile};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use kana_core::configuration::{Configuration, Problem};
use serde_json::Value;

use super::failure::Failure;
use super::yaml::{self, Node, Position};

/// The maximum size of a file, in bytes. The server takes no more.
const BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A file as it was read.
pub(super) struct File {
    pub(super) text: String,
    /// Its content with places, or what is wrong with it.
    pub(super) read: Result<Said, Vec<Wrong>>,
}

/// The content of a file.
pub(super) struct Said {
    pub(super) node: Node,
    pub(super) value: Value,
    pub(super) configuration: Configuration,
}

/// Something that is wrong with a file.
pub(super) struct Wrong {
    pub(super) position: Position,
    /// The place within the configuration, if it can be read so far.
    pub(super) place: Option<String>,
    pub(super) problem: String,
}

impl File {
    /// Reads a file. Returns `None` if it does not exist.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let failed = |error| Failure::Read(path.to_path_buf(), error);
        let file = match FsFile::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > BYTES_MAX {
            return Err(Failure::TooLarge(path.to_path_buf()));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.as_bytes().get(..error.utf8_error().valid_up_to());
            let before = valid.unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            Failure::NotText { path: path.to_path_buf(), line }
        })?;
        let read = said(&text);
        Ok(Some(Self { text, read }))
    }

    /// Returns true if it says the same as `configuration`.
    pub(super) fn says(&self, configuration: &Configuration) -> bool {
        let said = self.read.as_ref();
        said.is_ok_and(|said| said.configuration.says_the_same_as(configuration))
    }
}

/// Reads the content of a file.
pub(super) fn said(text: &str) -> Result<Said, Vec<Wrong>> {
    let unreadable = |error: yaml::Unreadable| {
        vec![Wrong { position: error.position, place: None, problem: error.problem }]
    };
    let node = yaml::read(text).map_err(unreadable)?.ok_or_else(|| {
        let position = Position { line: 1, column: 1 };
        vec![Wrong { position, place: None, problem: "the file is empty".to_owned() }]
    })?;
    let value = node.to_value().map_err(unreadable)?;
    let wrong = |problem: &Problem| Wrong {
        position: node.find(&problem.place),
        place: Some(problem.place.to_string()),
        problem: problem.message.clone(),
    };
    match Configuration::read(&value) {
        Ok(configuration) => Ok(Said { node, value, configuration }),
        Err(problems) => Err(problems.iter().map(wrong).collect()),
    }
}

/// Replaces or creates a file, and its directory, atomically: a reader sees the old or the new text.
pub(super) fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    // A symbolic link is followed, not replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let beside = beside(&target);
    let written = write_beside(&beside, &target, text).and_then(|()| fs::rename(&beside, &target));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn beside(target: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    target.with_file_name(name)
}

fn write_beside(beside: &Path, target: &Path, text: &str) -> std::io::Result<()> {
    let mut file = FsFile::create(beside)?;
    if let Ok(known) = fs::metadata(target) {
        file.set_permissions(known.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example with some of its characters replaced.
    fn nearly_a_configuration() -> impl Strategy<Value = String> {
        let example = include_str!("example.yaml");
        let edit =
            (0..example.len(), 0..20_usize, "[-:#{}\\[\\],&*!|>'\"%@` a0~.\n\t\\\\é<?]{0,6}");
        prop::collection::vec(edit, 1..6).prop_map(move |edits| {
            let mut text = example.to_owned();
            for (start, length, by) in edits {
                let start = start.min(text.len());
                let end = (start + length).min(text.len());
                if text.is_char_boundary(start) && text.is_char_boundary(end) {
                    text.replace_range(start..end, &by);
                }
            }
            text
        })
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_file_it_is_read_or_told_with_a_place(
            text in prop_oneof![
                nearly_a_configuration(),
                "[-:#{}\\[\\],&*!|>'\"%@` a0~.\n\t\\\\é<?]{0,40}",
                any::<String>(),
            ]
        ) {
            if let Err(wrong) = said(&text) {
                prop_assert!(!wrong.is_empty());
                let lines = text.split(['\n', '\r']).count();
                for wrong in wrong {
                    prop_assert!((1..=lines + 1).contains(&wrong.position.line));
                    prop_assert!(wrong.position.column >= 1);
                }
            }
        }
    }
}
