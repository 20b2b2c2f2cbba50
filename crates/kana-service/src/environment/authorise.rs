//! What a key or a user token opens.

use std::sync::Arc;

use super::Environment;
use super::client::ClientUser;
use super::read_only::ReadOnly;
use crate::access::Browser;
use crate::error::Error;
use crate::kana::Kana;

impl Kana {
    /// The environment of a private key, as it was presented.
    pub async fn authorise_private(
        self: &Arc<Self>,
        presented: &str,
    ) -> Result<Environment, Error> {
        let valid = self.access.private_key(presented).await?;
        let (id, kind) = (valid.key.environment, valid.key.environment_kind);
        Ok(Environment::new(Arc::clone(self), id, kind, Arc::clone(&valid.actor)))
    }

    /// The user that whoever presents a public key names: the Client API's simple mode.
    pub async fn authorise_public(
        self: &Arc<Self>,
        presented: &str,
        user: Option<&str>,
    ) -> Result<ClientUser, Error> {
        Ok(self.client_user(self.access.public_key(presented, user).await?))
    }

    /// The user that a user token names: the Client API's secure mode.
    pub async fn authorise_token(self: &Arc<Self>, token: &str) -> Result<ClientUser, Error> {
        Ok(self.client_user(self.access.user_token(token).await?))
    }

    fn client_user(self: &Arc<Self>, browser: Browser) -> ClientUser {
        ClientUser::new(ReadOnly::new(Arc::clone(self), browser.environment), browser.user)
    }
}
