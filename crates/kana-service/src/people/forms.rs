//! Makes sure that a form that creates something creates it once, even if it is sent to several servers.

use kana_store::people::SecretHash;

use crate::error::Error;
use crate::kana::Kana;

impl Kana {
    /// Claims a form for the one who sends it first, and returns `None`. For all others, returns the address
    /// that it led to; an empty one while that is not known. `form` is a hash of all that makes it this form.
    pub async fn claim_form(&self, form: [u8; 32]) -> Result<Option<String>, Error> {
        Ok(self.store.claim_form(SecretHash(form), self.clock.now()).await?)
    }

    /// Notes the address that a claimed form led to. Without one, the form may be sent again.
    pub async fn settle_form(&self, form: [u8; 32], led_to: Option<&str>) -> Result<(), Error> {
        Ok(self.store.settle_form(SecretHash(form), led_to).await?)
    }
}
