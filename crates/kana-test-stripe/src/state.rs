use crate::account::{Account, random_id};
use crate::clock::Clock;
use crate::error::ApiError;
use crate::faults::{Fault, FaultKind, Faults};
use crate::idempotency::IdempotencyKeys;
use crate::keys::Keys;
use crate::params::Params;
use crate::reply::Reply;
use crate::request_log::RequestLog;
use crate::version::API_VERSION;
use crate::webhook::Webhook;
use crate::{routes, subscriptions};

/// All that the server knows.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) keys: Keys,
    pub(crate) faults: Faults,
    pub(crate) log: RequestLog,
    pub(crate) webhook: Webhook,
    pub(crate) test: Mode,
    pub(crate) live: Mode,
}

/// What test and live have each for themselves.
#[derive(Debug)]
pub(crate) struct Mode {
    pub(crate) account: Account,
    idempotency_keys: IdempotencyKeys,
}

/// A request to Stripe's API.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The query and the body.
    pub(crate) form: Vec<u8>,
    pub(crate) authorization: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    Reply(Reply),
    Cut,
    /// No answer. The key is held meanwhile.
    Hang(Option<HeldKey>),
}

/// An idempotency key that a request holds which is not answered.
#[derive(Debug)]
pub(crate) struct HeldKey {
    livemode: bool,
    key: String,
}

impl State {
    pub(crate) fn new(base: &str) -> Self {
        let mode = |livemode| Mode {
            account: Account::new(livemode, base),
            idempotency_keys: IdempotencyKeys::default(),
        };
        State {
            clock: Clock::default(),
            keys: Keys::default(),
            faults: Faults::default(),
            log: RequestLog::default(),
            webhook: Webhook::default(),
            test: mode(false),
            live: mode(true),
        }
    }

    pub(crate) fn handle(&mut self, call: &Call) -> Outcome {
        self.log.add(&call.method, &call.path);
        let fault = self.faults.take(&call.method, &call.path);
        let request_id = random_id("req_");
        let mut outcome = self.answer(call, fault.as_ref(), &request_id);
        if let Outcome::Reply(reply) = &mut outcome {
            reply.headers.push(("request-id", request_id));
            reply.headers.push(("stripe-version", API_VERSION.to_owned()));
            if let Some(should_retry) = fault.and_then(|fault| fault.should_retry) {
                reply.headers.push(("stripe-should-retry", should_retry.to_string()));
            }
        }
        outcome
    }

    /// Forgets a key that was held, so that the request can be sent again.
    pub(crate) fn let_go(&mut self, held: &HeldKey) {
        self.mode(held.livemode).idempotency_keys.abandon(&held.key);
    }

    /// Hands the events of a mode to the webhook.
    pub(crate) fn hand_over_events(&mut self, livemode: bool) {
        let events = std::mem::take(&mut self.mode(livemode).account.outbox);
        for event in events {
            self.webhook.accept(event);
        }
    }

    /// Moves the clock forwards, and lets what was to happen meanwhile happen.
    pub(crate) fn advance(&mut self, seconds: u32) {
        self.clock.advance(seconds);
        let now = self.clock.now();
        for livemode in [false, true] {
            let account = &mut self.mode(livemode).account;
            account.now = now;
            account.cause = (None, None);
            subscriptions::pass_time(account);
            self.hand_over_events(livemode);
        }
    }

    pub(crate) fn mode(&mut self, livemode: bool) -> &mut Mode {
        if livemode { &mut self.live } else { &mut self.test }
    }

    fn answer(&mut self, call: &Call, fault: Option<&Fault>, request_id: &str) -> Outcome {
        let kind = fault.map(|fault| fault.kind);
        if let Some(reply) = kind.and_then(|kind| refusal(kind, call)) {
            return Outcome::Reply(reply);
        }
        let needed = routes::permission(&call.method, &call.path);
        let checked = self.keys.check(call.authorization.as_deref(), needed);
        let params = checked.and_then(|livemode| Ok((livemode, Params::decode(&call.form)?)));
        let (livemode, params) = match params {
            Ok(checked) => checked,
            Err(error) => return Outcome::Reply(Reply::from(&error)),
        };
        let now = self.clock.now();
        // Stripe ignores keys on requests that are harmless when repeated.
        let key = call.idempotency_key.as_deref().filter(|_| call.method == "POST");
        if let Some(key) = key {
            let request = format!("{} {} {}", call.method, call.path, params.json());
            match self.mode(livemode).idempotency_keys.begin(key, &request, now) {
                Ok(None) => {}
                Ok(Some(reply)) => {
                    return Outcome::Reply(reply.with("idempotent-replayed", true.to_string()));
                }
                Err(error) => return Outcome::Reply(Reply::from(&error)),
            }
        }
        let held = || key.map(|key| HeldKey { livemode, key: key.to_owned() });
        match kind {
            Some(FaultKind::TimeOut { done: false }) => return Outcome::Hang(held()),
            Some(FaultKind::Cut { done: false }) => {
                if let Some(held) = held() {
                    self.let_go(&held);
                }
                return Outcome::Cut;
            }
            _ => {}
        }
        let reply = self.execute(call, &params, livemode, kind, request_id);
        match kind {
            Some(FaultKind::TimeOut { .. }) => Outcome::Hang(None),
            Some(FaultKind::Cut { .. }) => Outcome::Cut,
            _ => Outcome::Reply(reply),
        }
    }

    /// Does what the request asks for, or fails as `fault` says, and keeps the reply under its key.
    fn execute(
        &mut self,
        call: &Call,
        params: &Params,
        livemode: bool,
        fault: Option<FaultKind>,
        request_id: &str,
    ) -> Reply {
        let now = self.clock.now();
        let key = call.idempotency_key.as_deref().filter(|_| call.method == "POST");
        let mode = self.mode(livemode);
        mode.account.now = now;
        mode.account.cause = (Some(request_id.to_owned()), key.map(str::to_owned));
        let reply = match fault {
            Some(FaultKind::ServerError { done: false }) => Reply::from(&ApiError::server()),
            fault => {
                let answer = routes::answer(&mut mode.account, &call.method, &call.path, params);
                match fault {
                    Some(FaultKind::ServerError { .. }) => Reply::from(&ApiError::server()),
                    _ => Reply::from(answer),
                }
            }
        };
        if let Some(key) = key {
            // What was refused as invalid has not begun, and may be sent again with the key.
            if matches!(reply.status, 400 | 404) {
                mode.idempotency_keys.abandon(key);
            } else {
                mode.idempotency_keys.finish(key, &reply);
            }
        }
        self.hand_over_events(livemode);
        reply
    }
}

/// The answer of a fault that lets nothing be done.
fn refusal(kind: FaultKind, call: &Call) -> Option<Reply> {
    match kind {
        FaultKind::TooManyRequests { retry_after } => {
            let reply = Reply::from(&ApiError::too_many_requests());
            Some(match retry_after {
                Some(seconds) => reply.with("retry-after", seconds.to_string()),
                None => reply,
            })
        }
        FaultKind::Conflict => {
            let key = call.idempotency_key.as_deref().unwrap_or_default();
            Some(Reply::from(&ApiError::key_in_use(key)))
        }
        FaultKind::Unauthorized => {
            Some(Reply::from(&ApiError::unauthorized("Invalid API Key provided: ****")))
        }
        FaultKind::Html => Some(Reply::html()),
        FaultKind::ServerError { .. } | FaultKind::TimeOut { .. } | FaultKind::Cut { .. } => None,
    }
}
