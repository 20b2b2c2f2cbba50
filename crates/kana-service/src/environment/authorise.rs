//! Opens environments for keys and user tokens.

use std::sync::Arc;

use kana_telemetry::request;

use super::Environment;
use super::client::ClientUser;
use super::view::EnvironmentView;
use crate::access::Browser;
use crate::counted;
use crate::error::Error;
use crate::kana::Kana;

impl Kana {
    /// Opens the environment of a private key.
    pub async fn authorise_private(
        self: &Arc<Self>,
        presented: &str,
    ) -> Result<Environment, Error> {
        let valid = self.access.private_key(presented).await?;
        let (id, kind) = (valid.key.environment, valid.key.environment_kind);
        request::note_environment(counted::environment(kind), Some(valid.key.id));
        Ok(Environment::new(Arc::clone(self), id, kind, Arc::clone(&valid.actor)))
    }

    /// Opens a user for a public key with the user's id: the Client API's simple mode.
    pub async fn authorise_public(
        self: &Arc<Self>,
        presented: &str,
        user: Option<&str>,
    ) -> Result<ClientUser, Error> {
        Ok(self.client_user(self.access.public_key(presented, user).await?))
    }

    /// Opens the user of a user token: the Client API's secure mode.
    pub async fn authorise_token(self: &Arc<Self>, token: &str) -> Result<ClientUser, Error> {
        Ok(self.client_user(self.access.user_token(token).await?))
    }

    fn client_user(self: &Arc<Self>, browser: Browser) -> ClientUser {
        let Browser { environment, kind, user, key_id, issued_for } = browser;
        request::note_environment(counted::environment(kind), key_id);
        let environment = EnvironmentView::new(Arc::clone(self), environment, kind);
        ClientUser::new(environment, user, issued_for)
    }
}
