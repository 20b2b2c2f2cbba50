//! Admins, their sessions, and invitations. Whoever changes any of them holds the row of the app, so
//! that the rules about several of them (the last owner) hold however many nodes change them.

use async_trait::async_trait;
use kana_core::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::feed::{appending, audit_log, forget};
use super::parameters::count;
use super::rows::{instant, optional, optional_instant, text};
use super::statements as sql;
use super::store::PostgresStore;
use super::transaction::PostgresTransaction;
use crate::app::{App, EnvironmentId};
use crate::columns::Named;
use crate::error::StoreError;
use crate::feed::{AuditPage, AuditQuery, NewAuditEntry, Records};
use crate::people::{
    Admin, AdminId, Credentials, FORM_KEPT_MS, INVITATIONS_MAX, Invitee, NewAdmin, NewInvitation,
    OpenInvitation, PasswordHash, People, PeopleTransaction, Role, SESSIONS_MAX, SecretHash,
    Session, SignedIn,
};

#[async_trait]
impl People for PostgresStore {
    async fn admins(&self) -> Result<Vec<Admin>, StoreError> {
        admins(&mut self.begin_read()).await
    }

    async fn credentials(&self, email_folded: &str) -> Result<Option<Credentials>, StoreError> {
        let rows = self.begin_read().ask_one(sql::CREDENTIALS, &[&email_folded]).await?;
        rows.first().map(credentials).transpose()
    }

    async fn session(&self, hash: SecretHash) -> Result<Option<SignedIn>, StoreError> {
        let rows = self.begin_read().ask_one(sql::SESSION, &[&hash.0.as_slice()]).await?;
        rows.first().map(signed_in).transpose()
    }

    async fn sessions_of(&self, admin: AdminId) -> Result<Vec<Session>, StoreError> {
        let rows = self.begin_read().ask_one(sql::SESSIONS_OF, &[&admin.0]).await?;
        rows.iter().map(|row| session(row, 0)).collect()
    }

    async fn note_seen(
        &self,
        hash: SecretHash,
        at: Timestamp,
        ends_at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin_write();
        let seen: &[&(dyn ToSql + Sync)] = &[&hash.0.as_slice(), &at.as_ms(), &ends_at.as_ms()];
        run(&mut transaction, sql::NOTE_SEEN, seen).await?;
        transaction.commit_changes().await
    }

    async fn invitation(
        &self,
        hash: SecretHash,
        now: Timestamp,
    ) -> Result<Option<OpenInvitation>, StoreError> {
        invitation(&mut self.begin_read(), hash, now).await
    }

    async fn claim_form(
        &self,
        form: SecretHash,
        at: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let mut transaction = self.begin_write();
        let row: &[&(dyn ToSql + Sync)] = &[&form.0.as_slice(), &at.as_ms()];
        let claimed = transaction.change(&[(sql::CLAIM_FORM, row)]).await?;
        transaction.commit_changes().await?;
        if claimed.iter().any(|rows| !rows.is_empty()) {
            return Ok(None);
        }
        let rows = self.begin_read().ask_one(sql::FORM, &[&form.0.as_slice()]).await?;
        let led_to = rows.first().map(|row| optional(row, 0, |text| Ok(text.to_owned())));
        Ok(Some(led_to.transpose()?.flatten().unwrap_or_default()))
    }

    async fn settle_form(&self, form: SecretHash, led_to: Option<&str>) -> Result<(), StoreError> {
        let mut transaction = self.begin_write();
        let hash = form.0.as_slice();
        match led_to {
            Some(led_to) => run(&mut transaction, sql::SETTLE_FORM, &[&hash, &led_to]).await?,
            None => run(&mut transaction, sql::GIVE_UP_FORM, &[&hash]).await?,
        }
        transaction.commit_changes().await
    }

    async fn forget_ended(&self, now: Timestamp, at_most: usize) -> Result<usize, StoreError> {
        let mut transaction = self.begin_write();
        let (now, at_most) = (now.as_ms(), count(at_most));
        let ended: &[&(dyn ToSql + Sync)] = &[&now, &at_most];
        let sent_before = now.saturating_sub(FORM_KEPT_MS);
        let sent: &[&(dyn ToSql + Sync)] = &[&sent_before, &at_most];
        let statements = [
            (sql::FORGET_SESSIONS, ended),
            (sql::FORGET_INVITATIONS, ended),
            (sql::FORGET_FORMS, sent),
        ];
        let deleted = transaction.change(&statements).await?;
        transaction.commit_changes().await?;
        Ok(deleted.iter().map(Vec::len).sum())
    }

    async fn audit_log_of_app(&self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        audit_log(&mut self.begin_read(), EnvironmentId::NONE, query).await
    }

    async fn forget_audit_log_of_app(
        &self,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        let (before, at_most) = (before.as_ms(), count(at_most));
        let parameters: &[&(dyn ToSql + Sync)] = &[&EnvironmentId::NONE.0, &before, &at_most];
        forget(self.begin_write(), sql::FORGET_AUDIT_LOG, parameters).await
    }
}

#[async_trait]
impl PeopleTransaction for PostgresTransaction {
    async fn lock_people(&mut self) -> Result<Option<App>, StoreError> {
        let rows = self.ask_one(sql::LOCK_APP, &[]).await?;
        rows.first().map(|row| Ok(App { name: text(row, 0)?.to_owned() })).transpose()
    }

    async fn locked_admins(&mut self) -> Result<Vec<Admin>, StoreError> {
        admins(self).await
    }

    async fn locked_credentials(&mut self, id: AdminId) -> Result<Option<Credentials>, StoreError> {
        let rows = self.ask_one(sql::CREDENTIALS_BY_ID, &[&id.0]).await?;
        rows.first().map(credentials).transpose()
    }

    async fn add_admin(&mut self, admin: &NewAdmin) -> Result<Option<AdminId>, StoreError> {
        let NewAdmin { email, email_folded, role, created_at } = admin;
        let row: &[&(dyn ToSql + Sync)] =
            &[email, email_folded, &role.to_name(), &created_at.as_ms()];
        let added = self.change(&[(sql::ADD_ADMIN, row)]).await?;
        let id = added.first().and_then(|rows| rows.first());
        id.map(|row| Ok(AdminId(row.try_get(0)?))).transpose()
    }

    async fn set_password(
        &mut self,
        id: AdminId,
        password: Option<&PasswordHash>,
    ) -> Result<(), StoreError> {
        let password = password.map(|password| password.0.as_str());
        run(self, sql::SET_PASSWORD, &[&id.0, &password]).await
    }

    async fn set_role(&mut self, id: AdminId, role: Role) -> Result<(), StoreError> {
        run(self, sql::SET_ROLE, &[&id.0, &role.to_name()]).await
    }

    async fn remove_admin(&mut self, id: AdminId) -> Result<(), StoreError> {
        run(self, sql::REMOVE_ADMIN, &[&id.0]).await
    }

    async fn note_sign_in(&mut self, id: AdminId, at: Timestamp) -> Result<(), StoreError> {
        run(self, sql::NOTE_SIGN_IN, &[&id.0, &at.as_ms()]).await
    }

    async fn add_session(&mut self, session: &Session) -> Result<(), StoreError> {
        let kept = count(SESSIONS_MAX - 1);
        let oldest: &[&(dyn ToSql + Sync)] = &[&session.admin.0, &kept];
        let row: &[&(dyn ToSql + Sync)] = &[
            &session.hash.0.as_slice(),
            &session.admin.0,
            &session.created_at.as_ms(),
            &session.last_seen_at.as_ms(),
            &session.ends_at.as_ms(),
            &session.address,
            &session.browser,
        ];
        self.change(&[(sql::END_OLDEST_SESSIONS, oldest), (sql::ADD_SESSION, row)]).await?;
        Ok(())
    }

    async fn end_sessions(
        &mut self,
        admin: AdminId,
        keep: Option<SecretHash>,
    ) -> Result<(), StoreError> {
        let keep = keep.as_ref().map(|hash| hash.0.as_slice());
        run(self, sql::END_SESSIONS, &[&admin.0, &keep]).await
    }

    async fn end_session(&mut self, hash: SecretHash) -> Result<(), StoreError> {
        run(self, sql::END_SESSION, &[&hash.0.as_slice()]).await
    }

    async fn add_invitation(&mut self, invitation: &NewInvitation) -> Result<bool, StoreError> {
        let NewInvitation { hash, invitee, created_at, expires_at } = invitation;
        let (admin, role) = match invitee {
            Invitee::Admin(id) => (Some(id.0), None),
            Invitee::Anyone(role) => (None, Some(role.to_name())),
        };
        let (created_at, expires_at) = (created_at.as_ms(), expires_at.as_ms());
        let answers = self
            .change(&[
                (sql::WITHDRAW_INVITATIONS, &[&admin]),
                (sql::OPEN_INVITATIONS, &[&created_at]),
            ])
            .await?;
        let open = answers.last().and_then(|rows| rows.first());
        let open: i64 = open.map_or(Ok(0), |row| row.try_get(0))?;
        if open >= count(INVITATIONS_MAX) {
            return Ok(false);
        }
        let row: &[&(dyn ToSql + Sync)] =
            &[&hash.0.as_slice(), &admin, &role, &created_at, &expires_at];
        run(self, sql::ADD_INVITATION, row).await?;
        Ok(true)
    }

    async fn use_invitation(
        &mut self,
        hash: SecretHash,
        now: Timestamp,
    ) -> Result<Option<OpenInvitation>, StoreError> {
        let found = invitation(self, hash, now).await?;
        if found.is_some() {
            run(self, sql::USE_INVITATION, &[&hash.0.as_slice(), &now.as_ms()]).await?;
        }
        Ok(found)
    }

    async fn withdraw_invitations(&mut self, admin: AdminId) -> Result<(), StoreError> {
        run(self, sql::WITHDRAW_INVITATIONS, &[&Some(admin.0)]).await
    }

    async fn set_app_name(&mut self, name: &str) -> Result<(), StoreError> {
        run(self, sql::SET_APP_NAME, &[&name]).await
    }

    async fn audit_app(&mut self, audit: Vec<NewAuditEntry>) -> Result<(), StoreError> {
        let records = Records { changes: Vec::new(), audit };
        self.appending.extend(appending(EnvironmentId::NONE, &records));
        Ok(())
    }
}

async fn run(
    transaction: &mut PostgresTransaction,
    statement: &'static str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<(), StoreError> {
    transaction.change(&[(statement, parameters)]).await?;
    Ok(())
}

async fn admins(transaction: &mut PostgresTransaction) -> Result<Vec<Admin>, StoreError> {
    transaction.ask_one(sql::ADMINS, &[]).await?.iter().map(admin).collect()
}

async fn invitation(
    transaction: &mut PostgresTransaction,
    hash: SecretHash,
    now: Timestamp,
) -> Result<Option<OpenInvitation>, StoreError> {
    let parameters: &[&(dyn ToSql + Sync)] = &[&hash.0.as_slice(), &now.as_ms()];
    let rows = transaction.ask_one(sql::INVITATION, parameters).await?;
    rows.first().map(open_invitation).transpose()
}

/// Reads `id, email, role, has_password, created_at, last_sign_in_at`.
fn admin(row: &Row) -> Result<Admin, StoreError> {
    Ok(Admin {
        id: AdminId(row.try_get(0)?),
        email: text(row, 1)?.to_owned(),
        role: <Role as Named>::from_name(text(row, 2)?)?,
        has_password: row.try_get(3)?,
        created_at: instant(row, 4)?,
        last_sign_in_at: optional_instant(row, 5)?,
    })
}

/// Reads an admin, then `password_hash`.
fn credentials(row: &Row) -> Result<Credentials, StoreError> {
    let password = row.try_get::<_, Option<String>>(6)?.map(PasswordHash);
    Ok(Credentials { admin: admin(row)?, password })
}

/// Reads an admin, a session, then the name of the app.
fn signed_in(row: &Row) -> Result<SignedIn, StoreError> {
    let app = App { name: text(row, 13)?.to_owned() };
    Ok(SignedIn { admin: admin(row)?, session: session(row, 6)?, app })
}

/// Reads `hash, admin_id, created_at, last_seen_at, ends_at, address, browser`, from column `from` on.
fn session(row: &Row, from: usize) -> Result<Session, StoreError> {
    let hash = <[u8; 32]>::try_from(row.try_get::<_, &[u8]>(from)?);
    let hash = hash.map_err(|error| StoreError::Unreadable(format!("a hash: {error}")))?;
    Ok(Session {
        hash: SecretHash(hash),
        admin: AdminId(row.try_get(from + 1)?),
        created_at: instant(row, from + 2)?,
        last_seen_at: instant(row, from + 3)?,
        ends_at: instant(row, from + 4)?,
        address: text(row, from + 5)?.to_owned(),
        browser: text(row, from + 6)?.to_owned(),
    })
}

/// Reads an admin, if there is one, then the role of an invitation without one.
fn open_invitation(row: &Row) -> Result<OpenInvitation, StoreError> {
    if row.try_get::<_, Option<i64>>(0)?.is_none() {
        return Ok(OpenInvitation {
            admin: None,
            role: <Role as Named>::from_name(text(row, 6)?)?,
        });
    }
    let admin = admin(row)?;
    Ok(OpenInvitation { role: admin.role, admin: Some(admin) })
}
