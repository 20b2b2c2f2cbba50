//! Files of users that wait to be imported. This engine has one writer, so who writes has the lock.

use async_trait::async_trait;
use kana_core::id::UserId;
use kana_core::metadata::Label;
use rusqlite::{OptionalExtension as _, params};

use super::connection::Connection;
use super::lease::Lease;
use super::rows::{instant, limit, text};
use super::statements as sql;
use super::transaction::{SqliteTransaction, WriteLease};
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::user_imports::{
    EMAIL_OWNERS_MAX, UserImport, UserImportId, UserImportLine, UserImportName,
    UserImportTransaction, UserImports,
};

#[async_trait]
impl<L: Lease + Send> UserImports for SqliteTransaction<L> {
    async fn user_imports(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<Vec<UserImport>, StoreError> {
        self.look(|connection| {
            let mut statement = connection.statement(sql::USER_IMPORTS)?;
            let mut rows = statement.query([environment.0])?;
            let mut imports = Vec::new();
            while let Some(row) = rows.next()? {
                imports.push(UserImport {
                    id: UserImportId(row.get(0)?),
                    created_at: instant(row, 1)?,
                    data: row.get(2)?,
                });
            }
            Ok(imports)
        })
    }

    async fn user_import_lines(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        kind: &str,
        after: u32,
        at_most: usize,
    ) -> Result<Vec<UserImportLine>, StoreError> {
        self.look(|connection| {
            let mut statement = connection.statement(sql::USER_IMPORT_LINES)?;
            let asked = params![environment.0, import.0, kind, after, limit(at_most)];
            let mut rows = statement.query(asked)?;
            let mut lines = Vec::new();
            while let Some(row) = rows.next()? {
                lines.push(UserImportLine {
                    kind: row.get(0)?,
                    line: row.get(1)?,
                    data: row.get(2)?,
                });
            }
            Ok(lines)
        })
    }

    async fn user_import_names(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        names: &[UserId],
    ) -> Result<Vec<Option<UserImportName>>, StoreError> {
        let find = |connection: &Connection, name: &UserId| {
            let mut statement = connection.statement(sql::USER_IMPORT_NAME)?;
            let asked = params![environment.0, import.0, name.as_str()];
            let found = statement.query_row(asked, |row| {
                Ok(UserImportName { name: name.clone(), line: row.get(0)?, kind: row.get(1)? })
            });
            Ok(found.optional()?)
        };
        self.look(|connection| names.iter().map(|name| find(connection, name)).collect())
    }

    async fn users_with_email(
        &mut self,
        environment: EnvironmentId,
        emails: &[Label],
    ) -> Result<Vec<Vec<UserId>>, StoreError> {
        let owners = |connection: &Connection, email: &Label| {
            let mut statement = connection.statement(sql::USERS_WITH_EMAIL)?;
            let asked = params![environment.0, email.as_str(), limit(EMAIL_OWNERS_MAX)];
            let mut rows = statement.query(asked)?;
            let mut owners = Vec::new();
            while let Some(row) = rows.next()? {
                owners.push(UserId::new("stored user id", text(row, 0)?)?);
            }
            Ok(owners)
        };
        self.look(|connection| emails.iter().map(|email| owners(connection, email)).collect())
    }
}

#[async_trait]
impl UserImportTransaction for SqliteTransaction<WriteLease> {
    async fn lock_user_imports(&mut self, _environment: EnvironmentId) -> Result<(), StoreError> {
        Ok(())
    }

    async fn put_user_import(
        &mut self,
        environment: EnvironmentId,
        import: &UserImport,
    ) -> Result<(), StoreError> {
        self.step(|connection| {
            let UserImport { id, created_at, data } = import;
            let row = params![environment.0, id.0, created_at.as_ms(), data];
            connection.statement(sql::PUT_USER_IMPORT)?.execute(row)?;
            Ok(())
        })
    }

    async fn add_user_import_lines(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        lines: &[UserImportLine],
        names: &[UserImportName],
    ) -> Result<(), StoreError> {
        self.step(|connection| {
            for UserImportLine { kind, line, data } in lines {
                let row = params![environment.0, import.0, kind, line, data];
                connection.statement(sql::ADD_USER_IMPORT_LINE)?.execute(row)?;
            }
            for UserImportName { name, line, kind } in names {
                let row = params![environment.0, import.0, name.as_str(), line, kind];
                connection.statement(sql::ADD_USER_IMPORT_NAME)?.execute(row)?;
            }
            Ok(())
        })
    }

    async fn forget_user_import(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.forget(|connection| {
            let asked = params![environment.0, import.0, limit(at_most)];
            let lines = connection.statement(sql::FORGET_USER_IMPORT_LINES)?.execute(asked)?;
            let names = connection.statement(sql::FORGET_USER_IMPORT_NAMES)?.execute(asked)?;
            if lines + names > 0 {
                return Ok(lines + names);
            }
            let import = params![environment.0, import.0];
            Ok(connection.statement(sql::FORGET_USER_IMPORT)?.execute(import)?)
        })
    }
}
