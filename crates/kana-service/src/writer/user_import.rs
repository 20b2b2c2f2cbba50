//! A slice of an import of users: decided and committed in one transaction, like a batch of commands.

use std::collections::BTreeSet;
use std::sync::Arc;

use kana_core::Refusal;
use kana_core::change::{AuditEntry, AuditKind};
use kana_core::decide::{Command, CreateUser, UpdateUser};
use kana_core::id::UserId;
use kana_core::subjects::Subject;
use kana_core::user::User;
use kana_store::user_imports::UserImport;
use kana_store::{EnvironmentId, StoreError, WriteTransaction};
use serde_json::json;

use super::batch::{Decided, Decider};
use super::queue::{Asked, ImportOutcome, ImportSlice};
use super::traced::committing;
use crate::error::Error;
use crate::feed::Recorder;
use crate::ids;
use crate::user_fields::{Fields, differs_from, edit_of, user_of};
use crate::user_import::{ImportData, UserImportLine, UserImportLineKind, UserImportState};

/// A line that waits to be decided.
struct Step {
    kind: UserImportLineKind,
    line: UserImportLine,
    user: UserId,
    command: Command,
}

impl Decider {
    /// Applies the next lines of an import. A line that no longer fits is left alone and noted.
    pub(super) async fn import_users(
        &self,
        environment: EnvironmentId,
        slice: &ImportSlice,
    ) -> Result<ImportOutcome, Error> {
        let mut transaction = self.store.write().await?;
        transaction.lock_user_imports(environment).await?;
        let imports = transaction.user_imports(environment).await?;
        let stored = imports.into_iter().find(|import| import.id == slice.import);
        let Some(stored) = stored else { return Ok(ImportOutcome::Gone) };
        let (mut data, now) = (ImportData::read(&stored)?, self.clock.now());
        if data.state == UserImportState::Done {
            return Ok(ImportOutcome::Finished);
        }
        if let Some(actor) = &slice.begins
            && data.is_importable()
            && !data.is_over(now)
        {
            data.state = UserImportState::Applying;
            data.actor = Some(actor.clone());
        }
        let actor = match (data.state, &data.actor) {
            (UserImportState::Applying, Some(actor)) => Arc::new(actor.actor()),
            _ => return Ok(ImportOutcome::Gone),
        };
        let steps = next_steps(transaction.as_mut(), environment, slice, &mut data).await?;
        let is_last = steps.len() < slice.lines_max;
        let mut left = Vec::new();
        let fitting =
            self.fitting(transaction.as_mut(), environment, steps, (&mut data, &mut left)).await?;
        let (lines, asked): (Vec<_>, Vec<Asked>) = fitting
            .into_iter()
            .map(|Step { kind, line, mut command, .. }| {
                command.set_ids(&mut || ids::next(now));
                ((kind, line), Asked::new(command, &actor))
            })
            .unzip();
        let Decided { answers, changes, mut records, .. } =
            self.decide_all(transaction.as_mut(), environment, &asked).await?;
        for ((kind, line), answer) in lines.into_iter().zip(answers) {
            count(&mut data, kind, answer.err().map(|refusal| leave(line, &refusal)), &mut left);
        }
        transaction.change_facts(environment, &changes).await?;
        // One entry tells of the whole import.
        records.audit.clear();
        if is_last {
            data.result.unchanged += data.counts.unchanged;
            data.enter(UserImportState::Done, now);
            let mut recorder = Recorder::default();
            recorder.audit(&actor, now, vec![entry(&data)]);
            records.audit = recorder.finish().audit;
        }
        let left: Vec<_> =
            left.iter().map(|line| line.stored(UserImportLineKind::LeftAlone)).collect();
        transaction.add_user_import_lines(environment, slice.import, &left, &[]).await?;
        let import = UserImport { data: data.written(), ..stored };
        transaction.put_user_import(environment, &import).await?;
        transaction.append(environment, records).await?;
        committing(self.commits.measure(transaction.commit())).await?;
        Ok(if is_last { ImportOutcome::Finished } else { ImportOutcome::GoesOn })
    }

    /// Holds the lines against their users, whom nobody else changes from here on. Returns those that fit.
    async fn fitting(
        &self,
        transaction: &mut dyn WriteTransaction,
        environment: EnvironmentId,
        steps: Vec<Step>,
        (data, left): (&mut ImportData, &mut Vec<UserImportLine>),
    ) -> Result<Vec<Step>, Error> {
        let mut named = BTreeSet::new();
        for Step { command, .. } in &steps {
            for subject in command.subjects().iter() {
                if let Subject::User(id) = subject {
                    named.insert((*id).clone());
                }
            }
        }
        let named: Vec<UserId> = named.into_iter().collect();
        transaction.facts(environment, &named).await?;
        let ids: Vec<UserId> = steps.iter().map(|step| step.user.clone()).collect();
        let users = transaction.users(environment, &ids).await?;
        let mut fitting = Vec::with_capacity(steps.len());
        for (step, user) in steps.into_iter().zip(users) {
            match fit(&step, user.as_ref()) {
                Fit::Fits => fitting.push(step),
                Fit::IsSo => data.result.unchanged += 1,
                Fit::Not(message) => {
                    let line = UserImportLine { message: message.to_owned(), ..step.line };
                    count(data, step.kind, Some(line), left);
                }
            }
        }
        Ok(fitting)
    }
}

/// Whether a line still fits.
enum Fit {
    Fits,
    /// The user is as the line wants.
    IsSo,
    /// It does not, for this reason.
    Not(&'static str),
}

fn fit(step: &Step, user: Option<&User>) -> Fit {
    let (Some(before), Some(after)) = (&step.line.before, &step.line.after) else {
        // That an id is taken, the command finds out.
        return Fit::Fits;
    };
    match user {
        None => Fit::Not("The user is gone."),
        Some(user) if !differs_from(user, before) => Fit::Fits,
        Some(user) if !differs_from(user, after) => Fit::IsSo,
        Some(_) => Fit::Not("Somebody changed the user after the preview."),
    }
}

/// Counts a line that was applied, or was left alone.
fn count(
    data: &mut ImportData,
    kind: UserImportLineKind,
    left_alone: Option<UserImportLine>,
    left: &mut Vec<UserImportLine>,
) {
    match (left_alone, kind) {
        (Some(line), _) => {
            data.result.left_alone += 1;
            left.push(line);
        }
        (None, UserImportLineKind::Create) => data.result.created += 1,
        (None, _) => data.result.updated += 1,
    }
}

fn leave(line: UserImportLine, refusal: &Refusal) -> UserImportLine {
    UserImportLine { message: format!("{refusal}."), ..line }
}

/// Returns the next lines of an import, and moves it on behind them.
async fn next_steps(
    transaction: &mut dyn WriteTransaction,
    environment: EnvironmentId,
    slice: &ImportSlice,
    data: &mut ImportData,
) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::with_capacity(slice.lines_max.min(1024));
    loop {
        let (kind, after) = (data.progress.kind, data.progress.line);
        let missing = slice.lines_max - steps.len();
        let lines = transaction
            .user_import_lines(environment, slice.import, kind.name(), after, missing)
            .await?;
        let is_full = lines.len() == missing;
        for stored in &lines {
            let line = UserImportLine::read(stored)?;
            data.progress.line = line.line;
            steps.push(step(kind, line)?);
        }
        if is_full || kind == UserImportLineKind::Update {
            return Ok(steps);
        }
        (data.progress.kind, data.progress.line) = (UserImportLineKind::Update, 0);
    }
}

fn step(kind: UserImportLineKind, line: UserImportLine) -> Result<Step, StoreError> {
    let none = Fields::new();
    let fields = line.after.as_ref().unwrap_or(&none);
    let unreadable = |error| StoreError::Unreadable(format!("line {}: {error}", line.line));
    let user = UserId::new("stored user id", line.user.as_deref().unwrap_or_default())?;
    let command = match kind {
        UserImportLineKind::Create => {
            Command::CreateUser(CreateUser(user_of(fields).map_err(unreadable)?))
        }
        _ => {
            let edit = edit_of(fields).map_err(unreadable)?;
            Command::UpdateUser(UpdateUser { user: user.clone(), edit })
        }
    };
    Ok(Step { kind, line, user, command })
}

/// The one entry of the audit log about an import.
fn entry(data: &ImportData) -> AuditEntry {
    let result = data.result;
    let after = json!({
        "created": result.created,
        "updated": result.updated,
        "unchanged": result.unchanged,
        "leftAlone": result.left_alone,
    });
    AuditEntry {
        action: "importUsers",
        kind: AuditKind::User,
        subject: None,
        before: None,
        after: Some(after),
    }
}
