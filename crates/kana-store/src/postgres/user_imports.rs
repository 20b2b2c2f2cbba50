//! Files of users that wait to be imported.

use std::collections::HashMap;

use async_trait::async_trait;
use kana_core::id::UserId;
use kana_core::metadata::Label;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::locks;
use super::parameters::count;
use super::rows::{instant, text, user_id};
use super::statements as sql;
use super::transaction::{PostgresTransaction, Question};
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::user_imports::{
    EMAIL_OWNERS_MAX, UserImport, UserImportId, UserImportLine, UserImportName,
    UserImportTransaction, UserImports,
};

#[async_trait]
impl UserImports for PostgresTransaction {
    async fn user_imports(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<Vec<UserImport>, StoreError> {
        let rows = self.ask_one(sql::USER_IMPORTS, &[&environment.0]).await?;
        let import = |row: &Row| {
            let (id, data) = (UserImportId(row.try_get(0)?), row.try_get(2)?);
            Ok(UserImport { id, created_at: instant(row, 1)?, data })
        };
        rows.iter().map(import).collect()
    }

    async fn user_import_lines(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        kind: &str,
        after: u32,
        limit: usize,
    ) -> Result<Vec<UserImportLine>, StoreError> {
        let (after, limit) = (i64::from(after), count(limit));
        let asked: &[&(dyn ToSql + Sync)] = &[&environment.0, &import.0, &kind, &after, &limit];
        let rows = self.ask_one(sql::USER_IMPORT_LINES_AFTER, asked).await?;
        let line = |row: &Row| {
            let (kind, data) = (row.try_get(0)?, row.try_get(2)?);
            Ok(UserImportLine { kind, line: line(row, 1)?, data })
        };
        rows.iter().map(line).collect()
    }

    async fn user_import_names(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        names: &[UserId],
    ) -> Result<Vec<Option<UserImportName>>, StoreError> {
        let texts: Vec<&str> = names.iter().map(UserId::as_str).collect();
        let asked: &[&(dyn ToSql + Sync)] = &[&environment.0, &import.0, &texts];
        let rows = self.ask_one(sql::USER_IMPORT_NAMES, asked).await?;
        let mut found: HashMap<&str, (u32, String)> = HashMap::with_capacity(rows.len());
        for row in &rows {
            found.insert(text(row, 0)?, (line(row, 1)?, row.try_get(2)?));
        }
        let name = |name: &UserId| {
            let (line, kind) = found.remove(name.as_str())?;
            Some(UserImportName { name: name.clone(), line, kind })
        };
        Ok(names.iter().map(name).collect())
    }

    async fn users_with_email(
        &mut self,
        environment: EnvironmentId,
        emails: &[Label],
    ) -> Result<Vec<Vec<UserId>>, StoreError> {
        let texts: Vec<&str> = emails.iter().map(Label::as_str).collect();
        let limit = count(EMAIL_OWNERS_MAX);
        let asked: &[&(dyn ToSql + Sync)] = &[&environment.0, &texts, &limit];
        let rows = self.ask_one(sql::USERS_WITH_EMAIL, asked).await?;
        let mut owners: HashMap<&str, Vec<UserId>> = HashMap::new();
        for row in &rows {
            owners.entry(text(row, 0)?).or_default().push(user_id(row, 1)?);
        }
        Ok(texts.into_iter().map(|email| owners.remove(email).unwrap_or_default()).collect())
    }
}

#[async_trait]
impl UserImportTransaction for PostgresTransaction {
    async fn lock_user_imports(&mut self, environment: EnvironmentId) -> Result<(), StoreError> {
        let [class, object] = locks::user_imports(environment);
        self.change(&[(sql::LOCK_USER_IMPORTS, &[&class, &object])]).await?;
        Ok(())
    }

    async fn put_user_import(
        &mut self,
        environment: EnvironmentId,
        import: &UserImport,
    ) -> Result<(), StoreError> {
        let UserImport { id, created_at, data } = import;
        let row: &[&(dyn ToSql + Sync)] = &[&environment.0, &id.0, &created_at.as_ms(), data];
        self.change(&[(sql::PUT_USER_IMPORT, row)]).await?;
        Ok(())
    }

    async fn add_user_import_lines(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        lines: &[UserImportLine],
        names: &[UserImportName],
    ) -> Result<(), StoreError> {
        let kinds: Vec<&str> = lines.iter().map(|line| line.kind.as_str()).collect();
        let numbers: Vec<i64> = lines.iter().map(|line| i64::from(line.line)).collect();
        let data: Vec<&str> = lines.iter().map(|line| line.data.as_str()).collect();
        let texts: Vec<&str> = names.iter().map(|name| name.name.as_str()).collect();
        let of_names: Vec<i64> = names.iter().map(|name| i64::from(name.line)).collect();
        let their_kinds: Vec<&str> = names.iter().map(|name| name.kind.as_str()).collect();
        let lines: Question<'_> =
            (sql::ADD_USER_IMPORT_LINES, &[&environment.0, &import.0, &kinds, &numbers, &data]);
        let names: Question<'_> = (
            sql::ADD_USER_IMPORT_NAMES,
            &[&environment.0, &import.0, &texts, &of_names, &their_kinds],
        );
        self.change(&[lines, names]).await?;
        Ok(())
    }

    async fn forget_user_import(
        &mut self,
        environment: EnvironmentId,
        import: UserImportId,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        let at_most = count(at_most);
        let asked: &[&(dyn ToSql + Sync)] = &[&environment.0, &import.0, &at_most];
        let statements =
            [(sql::FORGET_USER_IMPORT_LINES, asked), (sql::FORGET_USER_IMPORT_NAMES, asked)];
        let deleted: usize = self.change(&statements).await?.iter().map(Vec::len).sum();
        if deleted > 0 {
            return Ok(deleted);
        }
        let deleted = self.change(&[(sql::FORGET_USER_IMPORT, &asked[..2])]).await?;
        Ok(deleted.iter().map(Vec::len).sum())
    }
}

fn line(row: &Row, column: usize) -> Result<u32, StoreError> {
    let line: i64 = row.try_get(column)?;
    u32::try_from(line).map_err(|_| StoreError::Unreadable(format!("line {line}")))
}
