use kana_core::Timestamp;
use kana_store::people::{Invitee, NewInvitation, PeopleTransaction};

use super::secret::WelcomeToken;
use crate::error::Error;

/// How long a welcome link works.
const LASTS_MS: i64 = 24 * 60 * 60 * 1000;

/// Stores an invitation and returns its token, to be shown once. Returns `None` if too many others can
/// be used.
pub(crate) async fn invite<T: PeopleTransaction + ?Sized>(
    transaction: &mut T,
    invitee: Invitee,
    now: Timestamp,
) -> Result<Option<WelcomeToken>, Error> {
    let token = WelcomeToken::generate()?;
    let invitation = NewInvitation {
        hash: token.hash(),
        invitee,
        created_at: now,
        expires_at: now.saturating_add_ms(LASTS_MS),
    };
    let is_stored = transaction.add_invitation(&invitation).await?;
    Ok(is_stored.then_some(token))
}
