use std::sync::Arc;

use kana_store::Store;
use kana_store::people::{SecretHash, SignedIn};

use super::password::Passwords;
use super::tally::Tally;
use super::throttle::Throttle;
use crate::access::recent::Recent;
use crate::clock::Clock;

/// What a running server remembers of people.
pub(crate) struct PeopleOnNode {
    pub(super) passwords: Passwords,
    pub(super) throttle: Throttle,
    pub(crate) tally: Arc<Tally>,
    pub(super) sessions: Recent<SecretHash, Arc<SignedIn>>,
    /// The app's name.
    pub(crate) app_name: Recent<(), String>,
}

impl PeopleOnNode {
    pub(crate) fn new(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Self {
        Self {
            passwords: Passwords::default(),
            throttle: Throttle::default(),
            tally: Arc::new(Tally::new(Arc::clone(store), Arc::clone(clock))),
            sessions: Recent::default(),
            app_name: Recent::default(),
        }
    }
}
