use std::fmt;
use std::sync::Arc;

use crate::activity::Activity;

/// Lets the handler of a request take longer than [`Limits::response`](crate::Limits::response). It is among the
/// extensions of each request.
#[derive(Clone)]
pub struct OwnTime(Arc<Activity>);

impl OwnTime {
    pub(crate) fn of(activity: &Arc<Activity>) -> Self {
        Self(Arc::clone(activity))
    }

    /// From now on the handler limits its time itself. Its request's body must have been read.
    pub fn take(&self) {
        self.0.note_answer();
    }
}

impl fmt::Debug for OwnTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnTime")
    }
}
