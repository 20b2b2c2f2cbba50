use kana_core::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::rows::{instant, optional_instant, text};
use super::statements as sql;
use super::transaction::{PostgresTransaction, Question};
use crate::app::{
    App, ClientAccess, EnvironmentId, EnvironmentKind, Key, KeyHash, KeyKind, NewKey, TokenSecret,
};
use crate::columns::Named;
use crate::error::StoreError;

pub(super) async fn app(transaction: &mut PostgresTransaction) -> Result<Option<App>, StoreError> {
    let rows = transaction.ask_one(sql::APP, &[]).await?;
    rows.first().map(|row| Ok(App { name: text(row, 0)?.to_owned() })).transpose()
}

/// Returns true if this call created the app.
pub(super) async fn create_app(
    transaction: &mut PostgresTransaction,
    app: &App,
    keys: &[NewKey],
    created_at: Timestamp,
) -> Result<bool, StoreError> {
    let parameters: &[&(dyn ToSql + Sync)] = &[&app.name, &created_at.as_ms()];
    // A second caller waits here for the first, and then sees the app.
    if changed(transaction, sql::CREATE_APP, parameters).await? == 0 {
        return Ok(false);
    }
    let kinds = EnvironmentKind::ALL.map(Named::to_name).to_vec();
    changed(transaction, sql::CREATE_ENVIRONMENTS, &[&kinds]).await?;
    if !keys.is_empty() {
        add_keys(transaction, keys).await?;
    }
    Ok(true)
}

pub(super) async fn add_keys(
    transaction: &mut PostgresTransaction,
    keys: &[NewKey],
) -> Result<Vec<Key>, StoreError> {
    let environments: Vec<&str> = keys.iter().map(|key| key.environment.to_name()).collect();
    let kinds: Vec<&str> = keys.iter().map(|key| key.kind.to_name()).collect();
    let hashes: Vec<&[u8]> = keys.iter().map(|key| key.hash.0.as_slice()).collect();
    let last_four: Vec<&str> = keys.iter().map(|key| key.last_four.as_str()).collect();
    let created: Vec<i64> = keys.iter().map(|key| key.created_at.as_ms()).collect();
    let names: Vec<Option<&str>> = keys.iter().map(|key| key.name.as_deref()).collect();
    let creators: Vec<Option<&str>> = keys.iter().map(|key| key.created_by.as_deref()).collect();
    let expiries: Vec<Option<i64>> =
        keys.iter().map(|key| key.expires_at.map(Timestamp::as_ms)).collect();
    let rows: &[&(dyn ToSql + Sync)] =
        &[&environments, &kinds, &hashes, &last_four, &created, &names, &creators, &expiries];
    let answers = transaction.change(&[(sql::ADD_KEYS, rows)]).await?;
    let added = answers.first().map_or(&[][..], Vec::as_slice);
    if added.len() < keys.len() {
        return Err(StoreError::Unreadable("no environments: the app was never made".into()));
    }
    let stored = |(key, row): (&NewKey, &Row)| {
        Ok(key.stored(row.try_get(0)?, EnvironmentId(row.try_get(1)?)))
    };
    keys.iter().zip(added).map(stored).collect()
}

/// Stores one key.
pub(super) async fn add_key(
    transaction: &mut PostgresTransaction,
    key: &NewKey,
) -> Result<Key, StoreError> {
    let added = add_keys(transaction, std::slice::from_ref(key)).await?.pop();
    added.ok_or_else(|| StoreError::Engine("a key went astray".into()))
}

pub(super) async fn keys(transaction: &mut PostgresTransaction) -> Result<Vec<Key>, StoreError> {
    transaction.ask_one(sql::KEYS, &[]).await?.iter().map(key).collect()
}

pub(super) async fn find_key(
    transaction: &mut PostgresTransaction,
    hash: KeyHash,
) -> Result<Option<Key>, StoreError> {
    let rows = transaction.ask_one(sql::KEY_BY_HASH, &[&hash.0.as_slice()]).await?;
    rows.first().map(key).transpose()
}

/// Returns the key as it is now, and whether this call revoked it.
pub(super) async fn revoke_key(
    transaction: &mut PostgresTransaction,
    id: i64,
    at: Timestamp,
) -> Result<Option<(Key, bool)>, StoreError> {
    let parameters: &[&(dyn ToSql + Sync)] = &[&id, &at.as_ms()];
    let revoked = changed(transaction, sql::REVOKE_KEY, parameters).await?;
    let rows = transaction.ask_one(sql::KEY_BY_ID, &[&id]).await?;
    let key = rows.first().map(key).transpose()?;
    Ok(key.map(|key| (key, revoked > 0)))
}

pub(super) async fn note_key_uses(
    transaction: &mut PostgresTransaction,
    uses: &[(i64, Timestamp)],
) -> Result<(), StoreError> {
    let mut uses: Vec<(i64, i64)> = uses.iter().map(|(id, at)| (*id, at.as_ms())).collect();
    // All nodes lock the keys in one order, so that no two wait for each other.
    uses.sort_unstable();
    let parameters: Vec<[&(dyn ToSql + Sync); 2]> =
        uses.iter().map(|(id, at)| [id as _, at as _]).collect();
    let questions: Vec<Question<'_>> =
        parameters.iter().map(|of_key| (sql::NOTE_KEY_USE, of_key.as_slice())).collect();
    transaction.change(&questions).await.map(drop)
}

fn key(row: &Row) -> Result<Key, StoreError> {
    Ok(Key {
        id: row.try_get(0)?,
        environment: EnvironmentId(row.try_get(1)?),
        environment_kind: EnvironmentKind::from_name(text(row, 2)?)?,
        kind: KeyKind::from_name(text(row, 3)?)?,
        last_four: text(row, 4)?.to_owned(),
        created_at: instant(row, 5)?,
        revoked_at: optional_instant(row, 6)?,
        name: row.try_get(7)?,
        created_by: row.try_get(8)?,
        last_used_at: optional_instant(row, 9)?,
        expires_at: optional_instant(row, 10)?,
    })
}

pub(super) async fn client_access(
    transaction: &mut PostgresTransaction,
    environment: EnvironmentKind,
) -> Result<Option<ClientAccess>, StoreError> {
    let rows = transaction.ask_one(sql::SIMPLE_MODE, &[&environment.to_name()]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let environment = EnvironmentId(row.try_get(0)?);
    let simple_mode = row.try_get(1)?;
    let rows = transaction.ask_one(sql::TOKEN_SECRETS, &[&environment.0]).await?;
    let secret = |row: &Row| {
        Ok(TokenSecret { secret: row.try_get(0)?, valid_until: optional_instant(row, 1)? })
    };
    let token_secrets = rows.iter().map(secret).collect::<Result<_, StoreError>>()?;
    Ok(Some(ClientAccess { environment, simple_mode, token_secrets }))
}

/// Stores a secret unless there is a signing secret already. Returns the signing secret.
pub(super) async fn provide_token_secret(
    transaction: &mut PostgresTransaction,
    environment: EnvironmentId,
    secret: &[u8],
    created_at: Timestamp,
) -> Result<TokenSecret, StoreError> {
    let id: &[&(dyn ToSql + Sync)] = &[&environment.0];
    let row: &[&(dyn ToSql + Sync)] = &[&environment.0, &secret, &created_at.as_ms()];
    let statements = [
        (sql::LOCK_TOKEN_SECRETS, id),
        (sql::PROVIDE_TOKEN_SECRET, row),
        (sql::SIGNING_TOKEN_SECRET, id),
    ];
    let answers = transaction.change(&statements).await?;
    let signing = answers.last().and_then(|rows| rows.first());
    let signing = signing.ok_or_else(|| StoreError::Engine("no secret signs".into()))?;
    Ok(TokenSecret { secret: signing.try_get(0)?, valid_until: None })
}

/// Returns the environment; `None` on an empty database.
pub(super) async fn rotate_token_secret(
    transaction: &mut PostgresTransaction,
    environment: EnvironmentKind,
    secret: &[u8],
    now: Timestamp,
    earlier_valid_until: Timestamp,
) -> Result<Option<EnvironmentId>, StoreError> {
    let name = environment.to_name();
    let locked = transaction.ask_one(sql::LOCK_TOKEN_SECRETS_BY_KIND, &[&name]).await?;
    let Some(environment) = locked.first() else {
        return Ok(None);
    };
    let retired: &[&(dyn ToSql + Sync)] = &[&name, &earlier_valid_until.as_ms()];
    changed(transaction, sql::RETIRE_TOKEN_SECRETS, retired).await?;
    let forgotten: &[&(dyn ToSql + Sync)] = &[&name, &now.as_ms()];
    changed(transaction, sql::FORGET_TOKEN_SECRETS, forgotten).await?;
    let added: &[&(dyn ToSql + Sync)] = &[&name, &secret, &now.as_ms()];
    changed(transaction, sql::ADD_TOKEN_SECRET_BY_KIND, added).await?;
    Ok(Some(EnvironmentId(environment.try_get(0)?)))
}

/// Returns the environment and whether simple mode was on; `None` on an empty database.
pub(super) async fn set_simple_mode(
    transaction: &mut PostgresTransaction,
    environment: EnvironmentKind,
    on: bool,
) -> Result<Option<(EnvironmentId, bool)>, StoreError> {
    let name = environment.to_name();
    let rows = transaction.ask_one(sql::LOCK_SIMPLE_MODE, &[&name]).await?;
    let Some(known) = rows.first() else {
        return Ok(None);
    };
    changed(transaction, sql::SET_SIMPLE_MODE, &[&name, &on]).await?;
    Ok(Some((EnvironmentId(known.try_get(0)?), known.try_get(1)?)))
}

/// Runs a statement that changes rows and returns them. Returns their number.
async fn changed(
    transaction: &mut PostgresTransaction,
    statement: &'static str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<usize, StoreError> {
    let answers = transaction.change(&[(statement, parameters)]).await?;
    Ok(answers.first().map_or(0, Vec::len))
}
