//! Admins, their sessions, and invitations. This engine has one writer, so who writes has the lock.

use async_trait::async_trait;
use kana_core::Timestamp;
use rusqlite::{OptionalExtension as _, Params, Row, params};

use super::connection::Connection;
use super::rows::{limit, text};
use super::statements as sql;
use super::store::SqliteStore;
use super::transaction::{SqliteTransaction, WriteLease};
use super::{feed, keys};
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
impl People for SqliteStore {
    async fn admins(&self) -> Result<Vec<Admin>, StoreError> {
        self.ask(admins)
    }

    async fn credentials(&self, email_folded: &str) -> Result<Option<Credentials>, StoreError> {
        self.ask(|connection| {
            let mut statement = connection.statement(sql::CREDENTIALS)?;
            first(statement.query([email_folded])?.next()?, credentials)
        })
    }

    async fn session(&self, hash: SecretHash) -> Result<Option<SignedIn>, StoreError> {
        self.ask(|connection| {
            let mut statement = connection.statement(sql::SESSION)?;
            first(statement.query([hash.0])?.next()?, signed_in)
        })
    }

    async fn sessions_of(&self, admin: AdminId) -> Result<Vec<Session>, StoreError> {
        self.ask(|connection| {
            let mut statement = connection.statement(sql::SESSIONS_OF)?;
            let mut rows = statement.query([admin.0])?;
            let mut sessions = Vec::new();
            while let Some(row) = rows.next()? {
                sessions.push(session(row, 0)?);
            }
            Ok(sessions)
        })
    }

    async fn note_seen(
        &self,
        hash: SecretHash,
        at: Timestamp,
        ends_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(|connection| {
            run(connection, sql::NOTE_SEEN, params![hash.0, at.as_ms(), ends_at.as_ms()])
        })
        .await
    }

    async fn invitation(
        &self,
        hash: SecretHash,
        now: Timestamp,
    ) -> Result<Option<OpenInvitation>, StoreError> {
        self.ask(|connection| invitation(connection, hash, now))
    }

    async fn claim_form(
        &self,
        form: SecretHash,
        at: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let claimed = self.forget(|connection| {
            Ok(connection.statement(sql::CLAIM_FORM)?.execute(params![form.0, at.as_ms()])?)
        });
        if claimed.await? > 0 {
            return Ok(None);
        }
        self.ask(|connection| {
            let mut statement = connection.statement(sql::FORM)?;
            let led_to = statement.query_row([form.0], |row| row.get::<_, Option<String>>(0));
            Ok(Some(led_to.optional()?.flatten().unwrap_or_default()))
        })
    }

    async fn settle_form(&self, form: SecretHash, led_to: Option<&str>) -> Result<(), StoreError> {
        self.change(|connection| match led_to {
            Some(led_to) => run(connection, sql::SETTLE_FORM, params![form.0, led_to]),
            None => run(connection, sql::GIVE_UP_FORM, params![form.0]),
        })
        .await
    }

    async fn forget_ended(&self, now: Timestamp, at_most: usize) -> Result<usize, StoreError> {
        self.forget(|connection| {
            let ended = params![now.as_ms(), limit(at_most)];
            let sent = params![now.saturating_add_ms(-FORM_KEPT_MS).as_ms(), limit(at_most)];
            let sessions = connection.statement(sql::FORGET_SESSIONS)?.execute(ended)?;
            let invitations = connection.statement(sql::FORGET_INVITATIONS)?.execute(ended)?;
            Ok(sessions + invitations + connection.statement(sql::FORGET_FORMS)?.execute(sent)?)
        })
        .await
    }

    async fn audit_log_of_app(&self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        self.ask(|connection| feed::audit_log(connection, EnvironmentId::NONE, query))
    }

    async fn forget_audit_log_of_app(
        &self,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.forget(|connection| {
            feed::forget_audit_log(connection, EnvironmentId::NONE, before, at_most)
        })
        .await
    }
}

#[async_trait]
impl PeopleTransaction for SqliteTransaction<WriteLease> {
    async fn lock_people(&mut self) -> Result<Option<App>, StoreError> {
        self.step(keys::app)
    }

    async fn locked_admins(&mut self) -> Result<Vec<Admin>, StoreError> {
        self.step(admins)
    }

    async fn locked_credentials(&mut self, id: AdminId) -> Result<Option<Credentials>, StoreError> {
        self.step(|connection| {
            let mut statement = connection.statement(sql::CREDENTIALS_BY_ID)?;
            first(statement.query([id.0])?.next()?, credentials)
        })
    }

    async fn add_admin(&mut self, admin: &NewAdmin) -> Result<Option<AdminId>, StoreError> {
        self.step(|connection| {
            let NewAdmin { email, email_folded, role, created_at } = admin;
            let row = params![email, email_folded, role.to_name(), created_at.as_ms()];
            let mut statement = connection.statement(sql::ADD_ADMIN)?;
            Ok(statement.query_row(row, |row| row.get(0)).optional()?.map(AdminId))
        })
    }

    async fn set_password(
        &mut self,
        id: AdminId,
        password: Option<&PasswordHash>,
    ) -> Result<(), StoreError> {
        let password = password.map(|password| password.0.as_str());
        self.step(|connection| run(connection, sql::SET_PASSWORD, params![id.0, password]))
    }

    async fn set_role(&mut self, id: AdminId, role: Role) -> Result<(), StoreError> {
        self.step(|connection| run(connection, sql::SET_ROLE, params![id.0, role.to_name()]))
    }

    async fn remove_admin(&mut self, id: AdminId) -> Result<(), StoreError> {
        self.step(|connection| run(connection, sql::REMOVE_ADMIN, [id.0]))
    }

    async fn note_sign_in(&mut self, id: AdminId, at: Timestamp) -> Result<(), StoreError> {
        self.step(|connection| run(connection, sql::NOTE_SIGN_IN, [id.0, at.as_ms()]))
    }

    async fn add_session(&mut self, session: &Session) -> Result<(), StoreError> {
        self.step(|connection| {
            let kept = limit(SESSIONS_MAX - 1);
            run(connection, sql::END_OLDEST_SESSIONS, [session.admin.0, kept])?;
            let row = params![
                session.hash.0,
                session.admin.0,
                session.created_at.as_ms(),
                session.last_seen_at.as_ms(),
                session.ends_at.as_ms(),
                session.address,
                session.browser,
            ];
            run(connection, sql::ADD_SESSION, row)
        })
    }

    async fn end_sessions(
        &mut self,
        admin: AdminId,
        keep: Option<SecretHash>,
    ) -> Result<(), StoreError> {
        let keep = keep.map(|hash| hash.0);
        self.step(|connection| run(connection, sql::END_SESSIONS, params![admin.0, keep]))
    }

    async fn end_session(&mut self, hash: SecretHash) -> Result<(), StoreError> {
        self.step(|connection| run(connection, sql::END_SESSION, [hash.0]))
    }

    async fn add_invitation(&mut self, invitation: &NewInvitation) -> Result<bool, StoreError> {
        self.step(|connection| {
            let NewInvitation { hash, invitee, created_at, expires_at } = invitation;
            let (admin, role) = match invitee {
                Invitee::Admin(id) => (Some(id.0), None),
                Invitee::Anyone(role) => (None, Some(role.to_name())),
            };
            run(connection, sql::WITHDRAW_INVITATIONS, [admin])?;
            let mut count = connection.statement(sql::OPEN_INVITATIONS)?;
            let open: i64 = count.query_row([created_at.as_ms()], |row| row.get(0))?;
            if open >= limit(INVITATIONS_MAX) {
                return Ok(false);
            }
            let row = params![hash.0, admin, role, created_at.as_ms(), expires_at.as_ms()];
            run(connection, sql::ADD_INVITATION, row)?;
            Ok(true)
        })
    }

    async fn use_invitation(
        &mut self,
        hash: SecretHash,
        now: Timestamp,
    ) -> Result<Option<OpenInvitation>, StoreError> {
        self.step(|connection| {
            let found = invitation(connection, hash, now)?;
            if found.is_some() {
                run(connection, sql::USE_INVITATION, params![hash.0, now.as_ms()])?;
            }
            Ok(found)
        })
    }

    async fn withdraw_invitations(&mut self, admin: AdminId) -> Result<(), StoreError> {
        self.step(|connection| run(connection, sql::WITHDRAW_INVITATIONS, [admin.0]))
    }

    async fn set_app_name(&mut self, name: &str) -> Result<(), StoreError> {
        self.step(|connection| run(connection, sql::SET_APP_NAME, [name]))
    }

    async fn audit_app(&mut self, audit: Vec<NewAuditEntry>) -> Result<(), StoreError> {
        let records = Records { changes: Vec::new(), audit };
        self.step(|connection| feed::append(connection, EnvironmentId::NONE, &records).map(|_| ()))
    }
}

fn run(
    connection: &Connection,
    statement: &'static str,
    parameters: impl Params,
) -> Result<(), StoreError> {
    connection.statement(statement)?.execute(parameters)?;
    Ok(())
}

fn first<T>(
    row: Option<&Row<'_>>,
    read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    row.map(read).transpose()
}

fn admins(connection: &Connection) -> Result<Vec<Admin>, StoreError> {
    let mut statement = connection.statement(sql::ADMINS)?;
    let mut rows = statement.query([])?;
    let mut admins = Vec::new();
    while let Some(row) = rows.next()? {
        admins.push(admin(row)?);
    }
    Ok(admins)
}

fn invitation(
    connection: &Connection,
    hash: SecretHash,
    now: Timestamp,
) -> Result<Option<OpenInvitation>, StoreError> {
    let mut statement = connection.statement(sql::INVITATION)?;
    first(statement.query(params![hash.0, now.as_ms()])?.next()?, open_invitation)
}

/// Reads `id, email, role, has_password, created_at, last_sign_in_at`.
fn admin(row: &Row<'_>) -> Result<Admin, StoreError> {
    Ok(Admin {
        id: AdminId(row.get(0)?),
        email: row.get(1)?,
        role: <Role as Named>::from_name(text(row, 2)?)?,
        has_password: row.get(3)?,
        created_at: Timestamp::from_ms(row.get(4)?),
        last_sign_in_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_ms),
    })
}

/// Reads an admin, then `password_hash`.
fn credentials(row: &Row<'_>) -> Result<Credentials, StoreError> {
    let password = row.get::<_, Option<String>>(6)?.map(PasswordHash);
    Ok(Credentials { admin: admin(row)?, password })
}

/// Reads an admin, a session, then the name of the app.
fn signed_in(row: &Row<'_>) -> Result<SignedIn, StoreError> {
    let app = App { name: row.get(13)? };
    Ok(SignedIn { admin: admin(row)?, session: session(row, 6)?, app })
}

/// Reads `hash, admin_id, created_at, last_seen_at, ends_at, address, browser`, from column `from` on.
fn session(row: &Row<'_>, from: usize) -> Result<Session, StoreError> {
    Ok(Session {
        hash: SecretHash(row.get(from)?),
        admin: AdminId(row.get(from + 1)?),
        created_at: Timestamp::from_ms(row.get(from + 2)?),
        last_seen_at: Timestamp::from_ms(row.get(from + 3)?),
        ends_at: Timestamp::from_ms(row.get(from + 4)?),
        address: row.get(from + 5)?,
        browser: row.get(from + 6)?,
    })
}

/// Reads an admin, if there is one, then the role of an invitation without one.
fn open_invitation(row: &Row<'_>) -> Result<OpenInvitation, StoreError> {
    if row.get::<_, Option<i64>>(0)?.is_none() {
        return Ok(OpenInvitation {
            admin: None,
            role: <Role as Named>::from_name(text(row, 6)?)?,
        });
    }
    let admin = admin(row)?;
    Ok(OpenInvitation { role: admin.role, admin: Some(admin) })
}
