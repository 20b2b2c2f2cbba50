use kana_core::Timestamp;
use kana_service::{
    Actor, Clock, EnvironmentKind, Key, KeyKind, KeyRequest, KeyState, SystemClock, begin_key,
};
use serde_json::{Value, json};

use super::{Failure, open_with_app, print, print_then_commit};
use crate::settings::{DatabaseSettings, TokenSettings};

/// Who these commands are in the changes feed and the audit log.
const ACTOR: Actor = Actor::CommandLine;

/// Shows every key, a line each, or as JSON (contract: `operations.md`, "Keys").
pub(crate) async fn list(settings: &DatabaseSettings, as_json: bool) -> Result<(), Failure> {
    let keys = open_with_app(settings).await?.keys().await?;
    let text = match as_json {
        true => format!("{:#}\n", Value::from_iter(keys.iter().map(to_json))),
        false => table(&keys),
    };
    print(&text).map_err(Failure::Output)
}

fn table(keys: &[Key]) -> String {
    let mut text = format!(
        "{:<4} {:<11} {:<7} {:<9} {:<24} {:<24} {:<24} {:<24} NAME\n",
        "ID", "ENVIRONMENT", "KIND", "LAST FOUR", "CREATED", "LAST USED", "REVOKED", "EXPIRES"
    );
    let shown = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    for key in keys {
        text.push_str(&format!(
            "{:<4} {:<11} {:<7} {:<9} {:<24} {:<24} {:<24} {:<24} {}\n",
            key.id,
            key.environment_kind.name(),
            key.kind.name(),
            key.last_four,
            key.created_at.to_string(),
            shown(key.last_used_at),
            shown(key.revoked_at),
            shown(key.expires_at),
            key.name.as_deref().unwrap_or("-"),
        ));
    }
    text
}

fn to_json(key: &Key) -> Value {
    let shown = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "id": key.id,
        "name": key.name,
        "environment": key.environment_kind.name(),
        "kind": key.kind.name(),
        "lastFour": key.last_four,
        "createdAt": key.created_at.to_string(),
        "lastUsedAt": shown(key.last_used_at),
        "expiresAt": shown(key.expires_at),
        "revokedAt": shown(key.revoked_at),
    })
}

/// Creates a key, and prints nothing but the key.
pub(crate) async fn create(
    settings: &DatabaseSettings,
    request: KeyRequest<'_>,
) -> Result<(), Failure> {
    let store = open_with_app(settings).await?;
    let key = begin_key(store.as_ref(), &SystemClock, &ACTOR, request).await?;
    print_then_commit(key, "the key", |key| format!("{}\n", key.reveal())).await
}

/// Revokes a key; one that is revoked already stays so. The last private key of an environment is only
/// revoked where `even_the_last` says so.
pub(crate) async fn revoke(
    settings: &DatabaseSettings,
    id: i64,
    even_the_last: bool,
) -> Result<(), Failure> {
    let store = open_with_app(settings).await?;
    if !even_the_last && let Some(environment) = locked_out_of(&store.keys().await?, id) {
        return Err(Failure::LastKey(id, environment));
    }
    match kana_service::revoke_key(store.as_ref(), &SystemClock, &ACTOR, id).await? {
        Some(key) => {
            tracing::info!(
                id,
                "the {} {} key that ends in {} is revoked",
                key.environment_kind,
                key.kind,
                key.last_four
            );
            Ok(())
        }
        None => Err(Failure::NoKey(id)),
    }
}

/// Returns the environment into which no program would get without this key.
fn locked_out_of(keys: &[Key], id: i64) -> Option<EnvironmentKind> {
    let now = SystemClock.now();
    let opens = |key: &&Key| key.kind == KeyKind::Private && key.state(now) == KeyState::Active;
    let key = keys.iter().find(|key| key.id == id).filter(opens)?;
    let mut others = keys.iter().filter(opens).filter(|other| other.id != id);
    let is_alone = others.all(|other| other.environment != key.environment);
    is_alone.then_some(key.environment_kind)
}

/// Signs user tokens with a new secret from now on.
pub(crate) async fn rotate_token_secret(
    settings: &DatabaseSettings,
    environment: EnvironmentKind,
    at_once: bool,
    tokens: TokenSettings,
) -> Result<(), Failure> {
    let store = open_with_app(settings).await?;
    let (store, clock) = (store.as_ref(), &SystemClock);
    let settings = tokens.into();
    kana_service::rotate_token_secret(store, clock, &ACTOR, settings, environment, at_once).await?;
    if at_once {
        tracing::info!(
            "a new secret signs the user tokens of {environment}; earlier ones are void"
        );
    } else {
        tracing::info!(
            "a new secret signs the user tokens of {environment}; earlier ones stay good until \
             they expire"
        );
    }
    Ok(())
}

/// Says whether a public key and a user's id are enough for the Client API.
pub(crate) async fn set_simple_mode(
    settings: &DatabaseSettings,
    environment: EnvironmentKind,
    on: bool,
) -> Result<(), Failure> {
    let store = open_with_app(settings).await?;
    let store = store.as_ref();
    kana_service::set_simple_mode(store, &SystemClock, &ACTOR, environment, on).await?;
    let state = if on { "on" } else { "off" };
    tracing::info!("simple mode is {state} for {environment}");
    Ok(())
}
