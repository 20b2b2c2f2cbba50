//! How an environment lets browsers in: the secrets that sign user tokens, and simple mode
//! (contract: `client-api.md`).

use kana_store::app::EnvironmentKind;
use kana_store::{Actor, Store};

use super::tokens;
use crate::clock::Clock;
use crate::error::Error;
use crate::feed;
use crate::settings::Settings;

/// Creates a secret that signs an environment's user tokens from now on. Earlier tokens stay valid
/// until they expire by themselves, or not at all with `at_once`. Running servers obey within five
/// seconds. Returns false if there is no app.
pub async fn rotate_token_secret(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    settings: Settings,
    environment: EnvironmentKind,
    at_once: bool,
) -> Result<bool, Error> {
    let now = clock.now();
    let grace_ms = if at_once { 0 } else { settings.user_token_ms() };
    let secret = tokens::new_secret()?;
    let until = now.saturating_add_ms(grace_ms);
    let mut transaction = store.write().await?;
    let rotated = transaction.rotate_token_secret(environment, secret, now, until).await?;
    let Some(environment) = rotated else {
        return Ok(false);
    };
    transaction.append(environment, feed::token_secret_rotated(actor, now, until)).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Sets whether a public key and a user's id are enough for the Client API of an environment.
/// Running servers obey within five seconds. Returns false if there is no app.
pub async fn set_simple_mode(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    environment: EnvironmentKind,
    on: bool,
) -> Result<bool, Error> {
    let mut transaction = store.write().await?;
    let Some((environment, was_on)) = transaction.set_simple_mode(environment, on).await? else {
        return Ok(false);
    };
    if was_on != on {
        let records = feed::simple_mode_set(actor, clock.now(), on);
        transaction.append(environment, records).await?;
        transaction.commit().await?;
    }
    Ok(true)
}
