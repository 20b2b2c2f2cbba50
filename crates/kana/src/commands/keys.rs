use std::sync::Arc;

use kana_service::{Actor, EnvironmentKind, KeyKind, SystemClock, begin_key};
use kana_store::Store;

use super::{Failure, open_existing, print, print_then_commit};
use crate::settings::{DatabaseSettings, TokenSettings};

/// Who these commands are in the changes feed and the audit log.
const ACTOR: Actor = Actor::CommandLine;

/// Shows every key, a line each.
pub(crate) async fn list(settings: &DatabaseSettings) -> Result<(), Failure> {
    let keys = open_with_app(settings).await?.keys().await?;
    let mut text = format!(
        "{:<4} {:<11} {:<7} {:<9} {:<24} REVOKED\n",
        "ID", "ENVIRONMENT", "KIND", "LAST FOUR", "CREATED"
    );
    for key in keys {
        text.push_str(&format!(
            "{:<4} {:<11} {:<7} {:<9} {:<24} {}\n",
            key.id,
            key.environment_kind.name(),
            key.kind.name(),
            key.last_four,
            key.created_at.to_string(),
            key.revoked_at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
        ));
    }
    print(&text).map_err(Failure::Output)
}

/// Creates a key, and prints nothing but the key.
pub(crate) async fn create(
    settings: &DatabaseSettings,
    environment: EnvironmentKind,
    kind: KeyKind,
) -> Result<(), Failure> {
    let store = open_with_app(settings).await?;
    let key = begin_key(store.as_ref(), &SystemClock, &ACTOR, environment, kind).await?;
    print_then_commit(key, "the key", |key| format!("{}\n", key.reveal())).await
}

/// Revokes a key; one that is revoked already stays so.
pub(crate) async fn revoke(settings: &DatabaseSettings, id: i64) -> Result<(), Failure> {
    let store = open_with_app(settings).await?;
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

async fn open_with_app(settings: &DatabaseSettings) -> Result<Arc<dyn Store>, Failure> {
    let store = open_existing(settings).await?;
    match store.app().await? {
        Some(_) => Ok(store),
        None => Err(Failure::NoApp),
    }
}
