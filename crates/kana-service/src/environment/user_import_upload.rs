//! A file of users while it arrives: read, held against the users that there are, and stored as a preview,
//! some lines at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kana_core::Timestamp;
use kana_core::id::UserId;
use kana_core::metadata::Label;
use kana_core::user::User;
use kana_store::user_imports::{
    UserImport, UserImportId, UserImportLine as StoredLine, UserImportName,
};
use kana_store::{EnvironmentId, WriteTransaction};

use super::Environment;
use super::user_imports::locked_import;
use crate::blocking::off_thread;
use crate::error::Error;
use crate::ids;
use crate::retry::retry;
use crate::user_csv::{CsvError, FILE_BYTES_MAX, LineError, Read, UserReader, UserRow};
use crate::user_import::{
    ImportData, Planned, SHOWN_MAX, UserImportError, UserImportLine, UserImportLineKind,
    UserImportState, plan,
};

/// How many previews an environment has. A new one takes the place of the oldest.
const PREVIEWS_MAX: usize = 3;
/// How many imports an environment has with those that are being deleted.
const STORED_MAX: usize = 8;
/// How many lines of one that is over are deleted when another begins.
const DELETED_AT_ONCE: usize = 1000;
/// How many lines are held against the users at once.
const LINES_AT_ONCE: usize = 200;
/// How many bytes of a file are kept until then.
const BYTES_AT_ONCE: usize = 256 * 1024;

/// A file of users that arrives.
pub struct UserImportUpload {
    environment: Environment,
    id: UserImportId,
    created_at: Timestamp,
    data: ImportData,
    reader: UserReader,
    bytes: u64,
    /// Lines that were read and not yet held against the users.
    waiting: Vec<Read>,
    waiting_bytes: usize,
    /// The lines that a later one has made a conflict.
    turned: HashSet<u32>,
}

/// What is known of what some lines are about.
struct Known {
    users: HashMap<UserId, User>,
    /// The ids that earlier lines are about.
    names: HashMap<UserId, UserImportName>,
    /// Users with an e-mail.
    owners: HashMap<String, Vec<UserId>>,
}

/// What is to be stored of some lines.
#[derive(Default)]
struct Stored {
    lines: Vec<StoredLine>,
    names: Vec<UserImportName>,
}

impl Environment {
    /// Begins an import. It takes the place of the oldest one that waits, if there are three.
    pub async fn begin_user_import(
        &self,
        clears_empty: bool,
    ) -> Result<UserImportUpload, UserImportError> {
        let (environment, now) = (self.id(), self.now());
        let id = UserImportId(ids::next(now));
        let data = ImportData::new(clears_empty, now);
        let new = UserImport { id, created_at: now, data: data.written() };
        off_thread(&self.kana().store, move |store| async move {
            let mut transaction = store.write().await?;
            transaction.lock_user_imports(environment).await?;
            let stored = without_what_is_over(transaction.as_mut(), environment, now).await?;
            for import in places_taken(&stored, now)? {
                transaction.put_user_import(environment, &import).await?;
            }
            transaction.put_user_import(environment, &new).await?;
            Ok::<_, UserImportError>(transaction.commit().await?)
        })
        .await?;
        Ok(UserImportUpload {
            environment: self.clone(),
            id,
            created_at: now,
            data,
            reader: UserReader::new(),
            bytes: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            turned: HashSet::new(),
        })
    }
}

/// Deletes up to 2,000 lines of one import that is over, so that small files which are tried again and again
/// do not pile up until the job deletes them. Returns the imports that are left.
async fn without_what_is_over(
    transaction: &mut dyn WriteTransaction,
    environment: EnvironmentId,
    now: Timestamp,
) -> Result<Vec<UserImport>, UserImportError> {
    let stored = transaction.user_imports(environment).await?;
    for import in &stored {
        if ImportData::read(import)?.is_over(now) {
            // Its lines, and then itself if these were all.
            for _ in 0..2 {
                transaction.forget_user_import(environment, import.id, DELETED_AT_ONCE).await?;
            }
            return Ok(transaction.user_imports(environment).await?);
        }
    }
    Ok(stored)
}

/// Returns the imports that make room for one more, forgotten.
fn places_taken(stored: &[UserImport], now: Timestamp) -> Result<Vec<UserImport>, UserImportError> {
    if stored.len() >= STORED_MAX {
        return Err(UserImportError::TooMany);
    }
    let mut waiting = Vec::new();
    let mut count = 0;
    for import in stored {
        let data = ImportData::read(import)?;
        if data.is_over(now) {
            continue;
        }
        count += 1;
        if data.state != UserImportState::Applying {
            waiting.push((import, data));
        }
    }
    let too_many = (count + 1_usize).saturating_sub(PREVIEWS_MAX);
    if waiting.len() < too_many {
        return Err(UserImportError::TooMany);
    }
    let forgotten = waiting.into_iter().take(too_many).map(|(import, mut data)| {
        data.state = UserImportState::Forgotten;
        UserImport { data: data.written(), ..import.clone() }
    });
    Ok(forgotten.collect())
}

impl UserImportUpload {
    /// Takes the next bytes of the file.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), UserImportError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > FILE_BYTES_MAX {
            return Err(CsvError::TooLarge.into());
        }
        let mut rest = bytes;
        loop {
            let before = rest.len();
            let read = self.reader.next(&mut rest)?;
            self.waiting_bytes += before - rest.len();
            let Some(read) = read else { return Ok(()) };
            self.wait(read).await?;
        }
    }

    /// Takes the end of the file.
    pub async fn end(&mut self) -> Result<(), UserImportError> {
        while let Some(read) = self.reader.last()? {
            self.wait(read).await?;
        }
        self.data.ignores_packages = self.reader.ignores_packages();
        self.hold_waiting().await
    }

    /// Makes a file that has come to its [end](Self::end) a preview. Returns its id.
    pub async fn finish(mut self) -> Result<UserImportId, UserImportError> {
        self.data.enter(UserImportState::Ready, self.environment.now());
        self.store(Stored::default()).await?;
        Ok(self.id)
    }

    /// Gives up the import, since its file cannot be read.
    pub async fn discard(mut self) {
        self.data.state = UserImportState::Forgotten;
        self.waiting.clear();
        if let Err(error) = self.store(Stored::default()).await {
            // It is deleted in an hour.
            tracing::debug!(%error, "an import could not be given up");
        }
    }

    async fn wait(&mut self, read: Read) -> Result<(), UserImportError> {
        self.waiting.push(read);
        if self.waiting.len() < LINES_AT_ONCE && self.waiting_bytes < BYTES_AT_ONCE {
            return Ok(());
        }
        self.hold_waiting().await
    }

    /// Holds the lines that wait against the users, and stores what they would do.
    async fn hold_waiting(&mut self) -> Result<(), UserImportError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let rows: Vec<&UserRow> = waiting.iter().filter_map(|read| read.as_ref().ok()).collect();
        let mut known = self.known(&rows).await?;
        let mut stored = Stored::default();
        for read in &waiting {
            self.judge(read, &mut known, &mut stored);
        }
        self.store(stored).await
    }

    /// Looks up what the lines are about.
    async fn known(&self, rows: &[&UserRow]) -> Result<Known, Error> {
        let named = rows.iter().flat_map(|row| names_of(row));
        let ids: Vec<UserId> = named.cloned().collect::<HashSet<_>>().into_iter().collect();
        let emails: HashSet<&str> = rows.iter().filter_map(|row| row.email()).collect();
        let emails = emails.into_iter().filter_map(|email| Label::new("email", email).ok());
        let emails: Vec<Label> = emails.collect();
        let (environment, import) = (&self.environment, self.id);
        let (ids, emails) = (&ids, &emails);
        retry(|| async move {
            let mut transaction = environment.begin().await?;
            let here = environment.id();
            let users = transaction.users(here, ids).await?;
            let names = transaction.user_import_names(here, import, ids).await?;
            let owners = transaction.users_with_email(here, emails).await?;
            Ok(Known {
                users: users.into_iter().flatten().map(|user| (user.id.clone(), user)).collect(),
                names: names.into_iter().flatten().map(|it| (it.name.clone(), it)).collect(),
                owners: emails.iter().map(|email| email.as_str().to_owned()).zip(owners).collect(),
            })
        })
        .await
    }

    /// Decides what a line would do, or why it cannot.
    fn judge(&mut self, read: &Read, known: &mut Known, stored: &mut Stored) {
        let row = match read {
            Ok(row) => row,
            Err(error) => {
                return self.keep(UserImportLineKind::Error, &refused(error), stored);
            }
        };
        let earlier = names_of(row).find_map(|name| known.names.get(name)).cloned();
        let (kind, line) = match &earlier {
            Some(earlier) => {
                (UserImportLineKind::Conflict, conflict(row.line, &row.id, earlier.line))
            }
            None => self.planned(row, known),
        };
        if let Some(earlier) = earlier {
            self.turn_into_conflict(&earlier, row.line, stored);
        }
        for name in names_of(row).filter(|name| !known.names.contains_key(*name)) {
            let kind = kind.name().to_owned();
            stored.names.push(UserImportName { name: name.clone(), line: row.line, kind });
        }
        let new = stored.names.iter().filter(|name| name.line == row.line);
        known.names.extend(new.map(|name| (name.name.clone(), name.clone())));
        if matches!(kind, UserImportLineKind::Create | UserImportLineKind::Update) {
            self.warn_of_email(row, known, stored);
        }
        self.keep(kind, &line, stored);
    }

    /// Says what a line would do that no earlier one is in the way of.
    fn planned(&self, row: &UserRow, known: &Known) -> (UserImportLineKind, UserImportLine) {
        let line = UserImportLine::of(row.line, row.id.as_str());
        let planned = match plan(row, known.users.get(&row.id), self.data.clears_empty) {
            Ok(planned) => planned,
            Err(error) => {
                let user = line.user;
                let line = UserImportLine { line: row.line, user, ..refused(&error) };
                return (UserImportLineKind::Error, line);
            }
        };
        let new_id = row.new_id.as_ref().map(|(new_id, _)| new_id);
        if let Some(taken) = new_id.filter(|new_id| known.users.contains_key(*new_id)) {
            let message = format!("Another user has the id {taken}.");
            return (UserImportLineKind::Conflict, UserImportLine { message, ..line });
        }
        match planned {
            Planned::Create(after) => {
                (UserImportLineKind::Create, UserImportLine { after: Some(after), ..line })
            }
            Planned::Update { before, after } => {
                let (before, after) = (Some(before), Some(after));
                (UserImportLineKind::Update, UserImportLine { before, after, ..line })
            }
            Planned::Unchanged => (UserImportLineKind::Unchanged, line),
        }
    }

    /// Makes an earlier line a conflict, too, unless it is one or cannot be read.
    fn turn_into_conflict(&mut self, earlier: &UserImportName, by: u32, stored: &mut Stored) {
        let Some(kind) = UserImportLineKind::of_change(&earlier.kind) else { return };
        if self.turned.insert(earlier.line) {
            self.data.counts.uncount(kind);
            let line = conflict(earlier.line, &earlier.name, by);
            self.keep(UserImportLineKind::Conflict, &line, stored);
        }
    }

    /// Warns of an e-mail that a line gives to a user and that another user has.
    fn warn_of_email(&mut self, row: &UserRow, known: &Known, stored: &mut Stored) {
        let Some(email) = row.email() else { return };
        let had = known.users.get(&row.id).and_then(|user| user.email.as_ref());
        if had.is_some_and(|had| had.as_str() == email) {
            return;
        }
        let owners = known.owners.get(email).into_iter().flatten();
        if let Some(owner) = owners.into_iter().find(|owner| **owner != row.id) {
            let message = format!("The user {owner} has the e-mail {email}, too.");
            let line = UserImportLine { message, ..UserImportLine::of(row.line, row.id.as_str()) };
            self.keep(UserImportLineKind::Warning, &line, stored);
        }
    }

    /// Counts a line, and stores it where it will be applied or shown.
    fn keep(&mut self, kind: UserImportLineKind, line: &UserImportLine, stored: &mut Stored) {
        let number = self.data.counts.count(kind);
        let is_applied = matches!(kind, UserImportLineKind::Create | UserImportLineKind::Update)
            && self.data.counts.is_clean();
        if is_applied || number <= SHOWN_MAX {
            stored.lines.push(line.stored(kind));
        }
    }

    /// Stores lines and names with what is known of the import, unless newer ones took its place.
    async fn store(&self, stored: Stored) -> Result<(), UserImportError> {
        let (environment, id) = (self.environment.id(), self.id);
        let import = UserImport { id, created_at: self.created_at, data: self.data.written() };
        let (import, stored) = (Arc::new(import), Arc::new(stored));
        let store = &self.environment.kana().store;
        let is_here = retry(|| {
            let (import, stored) = (Arc::clone(&import), Arc::clone(&stored));
            off_thread(store, move |store| async move {
                let mut transaction = store.write().await?;
                let found = locked_import(transaction.as_mut(), environment, id).await?;
                let is_read = |data: &ImportData| data.state == UserImportState::Reading;
                if !found.is_some_and(|(_, data)| is_read(&data)) {
                    return Ok(false);
                }
                let Stored { lines, names } = &*stored;
                transaction.add_user_import_lines(environment, id, lines, names).await?;
                transaction.put_user_import(environment, &import).await?;
                transaction.commit().await?;
                Ok(true)
            })
        });
        if is_here.await? { Ok(()) } else { Err(UserImportError::Replaced) }
    }
}

/// Returns the ids that a line is about: each may stand in one line only.
fn names_of(row: &UserRow) -> impl Iterator<Item = &UserId> {
    std::iter::once(&row.id).chain(row.new_id.as_ref().map(|(new_id, _)| new_id))
}

fn refused(error: &LineError) -> UserImportLine {
    let LineError { place, message } = error;
    UserImportLine {
        line: place.line,
        place: Some((place.line, place.column)),
        message: message.clone(),
        ..UserImportLine::default()
    }
}

fn conflict(line: u32, user: &UserId, other: u32) -> UserImportLine {
    let message = format!("The same id as in line {other}.");
    UserImportLine { other: Some(other), message, ..UserImportLine::of(line, user.as_str()) }
}
