//! The router that answers, which can be replaced once while it is served.

use std::sync::{Arc, OnceLock};

use axum::Router;

/// What answers requests: a first router, and from [`replace`](Self::replace) on another one. Clones share both.
#[derive(Debug, Clone)]
pub struct Routes(Arc<Both>);

#[derive(Debug)]
struct Both {
    first: Router,
    then: OnceLock<Router>,
}

impl Routes {
    /// Has another router answer every request that begins from now on, also on connections that are open. Does
    /// nothing the second time.
    pub fn replace(&self, router: Router) {
        let _ = self.0.then.set(router);
    }

    /// Returns the router that answers now.
    pub(crate) fn current(&self) -> Router {
        self.0.then.get().unwrap_or(&self.0.first).clone()
    }
}

impl From<Router> for Routes {
    fn from(first: Router) -> Self {
        Self(Arc::new(Both { first, then: OnceLock::new() }))
    }
}
