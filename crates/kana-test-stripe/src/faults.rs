/// Faults that wait at one time.
const FAULTS_MAX: usize = 1000;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// 429, with the header `Retry-After` in seconds if given. Nothing is done.
    TooManyRequests {
        /// The value of the header.
        retry_after: Option<u32>,
    },
    /// 409: another request holds the idempotency key. Nothing is done.
    Conflict,
    /// 500, which an idempotency key replays.
    ServerError {
        /// Whether the request was done all the same.
        done: bool,
    },
    /// No answer for a minute, then the connection is cut.
    TimeOut {
        /// Whether the request was done all the same. If not, it holds its idempotency key meanwhile.
        done: bool,
    },
    /// The connection is cut without an answer.
    Cut {
        /// Whether the request was done all the same.
        done: bool,
    },
    /// 401. Nothing is done.
    Unauthorized,
    /// 503 with a page in HTML. Nothing is done.
    Html,
}

/// A fault that the next requests of a kind meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Only requests with this method; `None` for all.
    pub method: Option<String>,
    /// Only requests whose path begins with this; empty for all.
    pub path: String,
    /// How many requests meet it.
    pub times: u32,
    /// The header `Stripe-Should-Retry` of the answer.
    pub should_retry: Option<bool>,
}

impl Fault {
    /// A fault for the next request to Stripe's API, whatever it is.
    #[must_use]
    pub fn next(kind: FaultKind) -> Self {
        Fault { kind, method: None, path: String::new(), times: 1, should_retry: None }
    }
}

/// The faults that wait, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<Fault>,
}

impl Faults {
    /// Answers false, and adds nothing, if too many wait.
    pub(crate) fn add(&mut self, fault: Fault) -> bool {
        let fits = self.waiting.len() < FAULTS_MAX;
        if fits && fault.times > 0 {
            self.waiting.push(fault);
        }
        fits
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The fault that this request meets, which is then used up once.
    pub(crate) fn take(&mut self, method: &str, path: &str) -> Option<Fault> {
        let place = self.waiting.iter().position(|fault| {
            path.starts_with(&fault.path)
                && fault.method.as_deref().is_none_or(|wanted| wanted == method)
        })?;
        let fault = &mut self.waiting[place];
        fault.times -= 1;
        let met = fault.clone();
        if met.times == 0 {
            self.waiting.remove(place);
        }
        Some(met)
    }
}
