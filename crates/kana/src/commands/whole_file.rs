//! A file that has its name once it is whole, and that nobody else on the machine may read.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kana_store::transfer::TransferError;
use tempfile::NamedTempFile;

use super::Failure;

/// A file that is being written. Dropped before it is finished, it is removed.
pub(super) struct WholeFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl WholeFile {
    /// Fails if there is a file of this name, which is never overwritten.
    pub(super) fn refuse_existing(path: &Path) -> Result<(), Failure> {
        if path.symlink_metadata().is_ok() {
            let exists = std::io::Error::other("the file exists already: choose another");
            return Err(Failure::File(path.to_owned(), exists));
        }
        Ok(())
    }

    /// Creates the file under another name in the same directory.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::File(path.to_owned(), error);
        let file = NamedTempFile::with_prefix_in(".kana-", directory_of(path)).map_err(failed)?;
        // The umask may also have removed permissions of the owner.
        file.as_file().set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Where the file is until it has its name.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(super) fn as_file_mut(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Makes the file durable and gives it its name. Fails if there is one of that name by now.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let Self { file, path } = self;
        let failed = |error| Failure::File(path.clone(), error);
        let synced = file.as_file().sync_all();
        synced.map_err(|error| Failure::Export(TransferError::Write(error)))?;
        file.persist_noclobber(&path).map_err(|error| failed(error.error))?;
        // So that the name is durable, too.
        File::open(directory_of(&path)).and_then(|it| it.sync_all()).map_err(failed)
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
