//! How an environment lets browsers in: the secrets that sign user tokens, and simple mode
//! (contract: `client-api.md`).

use kana_store::Store;
use kana_store::app::EnvironmentKind;

use super::tokens;
use crate::clock::Clock;
use crate::error::Error;
use crate::settings::Settings;

/// Makes a new secret that signs an environment's user tokens from now on. Tokens that were signed
/// before stay good until they expire by themselves, or not at all when `at_once`. Running
/// servers obey within five seconds. Says whether there is an app.
pub async fn rotate_token_secret(
    store: &dyn Store,
    clock: &dyn Clock,
    settings: Settings,
    environment: EnvironmentKind,
    at_once: bool,
) -> Result<bool, Error> {
    let now = clock.now();
    let grace_ms = if at_once { 0 } else { settings.user_token_ms() };
    let secret = tokens::new_secret()?;
    let until = now.saturating_add_ms(grace_ms);
    Ok(store.rotate_token_secret(environment, secret, now, until).await?)
}

/// Says whether a public key and a user's id are enough for the Client API of an environment.
/// Running servers obey within five seconds. Answers whether there is an app.
pub async fn set_simple_mode(
    store: &dyn Store,
    environment: EnvironmentKind,
    on: bool,
) -> Result<bool, Error> {
    Ok(store.set_simple_mode(environment, on).await?)
}
