use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinHandle, JoinSet};

use crate::error::ApiError;
use crate::faults::Fault;
use crate::keys::Access;
use crate::reply::Reply;
use crate::signature::sign;
use crate::state::{Call, HeldKey, Outcome, State};
use crate::webhook::{Delivery, send, webhook_url};
use crate::{control, pay};

const BODY_BYTES_MAX: usize = 1024 * 1024;
const CONNECTIONS_MAX: usize = 1000;
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// How long a request that meets a time-out is left without an answer.
const HANG: Duration = Duration::from_secs(60);
/// How often an event is sent until it is answered with 2xx, and the first pause between, which doubles.
const ATTEMPTS_MAX: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// A server that answers as Stripe does. It ends when it is dropped.
#[derive(Debug)]
pub struct StripeServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
    delivering: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told when there may be events to send.
    events: Notify,
}

impl StripeServer {
    /// Starts a server at `address`; with port 0 at a free one. Fails if the address is taken.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(&format!("http://{address}"))),
            events: Notify::new(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        let delivering = tokio::spawn(deliver(Arc::clone(&shared)));
        Ok(StripeServer { shared, address, accepting, delivering })
    }

    /// Where the server listens: `http://127.0.0.1:12111`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets a key do all, in the mode that it begins with. Answers false if it is no key.
    pub fn add_key(&self, key: &str) -> bool {
        self.shared.state().keys.add(key)
    }

    /// Lets a key do only this: resources as in `customers`. Answers false if it is no key.
    pub fn add_restricted_key(&self, key: &str, permissions: &[(&str, Access)]) -> bool {
        let permissions: HashMap<_, _> = permissions
            .iter()
            .map(|(resource, access)| ((*resource).to_owned(), *access))
            .collect();
        self.shared.state().keys.add_restricted(key, permissions)
    }

    /// Lets the next requests meet a fault. Answers false if too many faults wait.
    pub fn add_fault(&self, fault: Fault) -> bool {
        self.shared.state().faults.add(fault)
    }

    /// Moves the clock forwards: subscriptions are renewed, and end, as they were to.
    pub fn advance(&self, seconds: u32) {
        self.shared.state().advance(seconds);
        self.shared.events.notify_one();
    }

    /// The server's time in seconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.shared.state().clock.now()
    }

    /// Sends events from now on to `url`, which begins with `http://`, signed with `secret`.
    pub fn set_webhook(&self, url: &str, secret: &str, delivery: Delivery) -> anyhow::Result<()> {
        let url = webhook_url(url)?;
        let webhook = &mut self.shared.state().webhook;
        webhook.endpoint = Some((url, secret.to_owned()));
        webhook.delivery = delivery;
        Ok(())
    }

    /// Sends the events that [`Delivery::Late`] or [`Delivery::Shuffled`] held back, and answers how many.
    pub fn release_events(&self) -> usize {
        let released = self.shared.state().webhook.release();
        self.shared.events.notify_one();
        released
    }

    /// The events of the second version of the API that there were, as the webhook gets them.
    #[must_use]
    pub fn thin_events(&self, livemode: bool) -> Vec<Value> {
        let mut state = self.shared.state();
        let events = state.mode(livemode).account.thin_events.rows();
        let without_data = |event: &Value| {
            let fields = event.as_object().into_iter().flatten();
            fields
                .filter(|(name, _)| *name != "data")
                .map(|(name, it)| (name.clone(), it.clone()))
                .collect()
        };
        events.map(without_data).collect()
    }

    /// How many requests came with this method, or any if it is empty, and a path that begins so.
    #[must_use]
    pub fn request_count(&self, method: &str, path: &str) -> usize {
        self.shared.state().log.count(method, path)
    }

    /// The most such requests that came within any one second.
    #[must_use]
    pub fn busiest_second(&self, method: &str, path: &str) -> usize {
        self.shared.state().log.busiest_second(method, path)
    }
}

impl Drop for StripeServer {
    fn drop(&mut self) {
        self.accepting.abort();
        self.delivering.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a held idempotency key go when its request ends, also if the client hangs up.
struct Holding<'a>(&'a Shared, HeldKey);

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.0.state().let_go(&self.1);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // They end with this task.
    let mut connections = JoinSet::new();
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // The process has too many files open, which passes as connections end.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| respond(&shared, request));
            // A client that hangs up is no failure of the server.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Answers a request; an error cuts the connection.
async fn respond(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let cut = || io::Error::other("the connection is cut");
    let (head, body) = request.into_parts();
    let header =
        |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return response(Reply::from(&ApiError::too_large()));
    };
    let query = head.uri.query().unwrap_or_default();
    let form = [query.as_bytes(), b"&", &body.to_bytes()].concat();
    let (method, path) = (head.method.as_str().to_owned(), head.uri.path().to_owned());
    if let Some(path) = path.strip_prefix("/_control/") {
        let answer = control::answer(&mut shared.state(), &method, path, &form);
        shared.events.notify_one();
        return response(Reply::from(answer));
    }
    if let Some(id) = path.strip_prefix("/pay/") {
        let reply = pay::answer(&mut shared.state(), &method, id, &form);
        shared.events.notify_one();
        return response(reply);
    }
    let (authorization, idempotency_key) = (header("authorization"), header("idempotency-key"));
    let outcome =
        shared.state().handle(&Call { method, path, form, authorization, idempotency_key });
    shared.events.notify_one();
    match outcome {
        Outcome::Reply(reply) => response(reply),
        Outcome::Cut => Err(cut()),
        Outcome::Hang(held) => {
            let _holding = held.map(|held| Holding(shared, held));
            tokio::time::sleep(HANG).await;
            Err(cut())
        }
    }
}

fn response(reply: Reply) -> Result<Response<Full<Bytes>>, io::Error> {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(Bytes::from(reply.body))).map_err(io::Error::other)
}

/// Sends one event after the other, as they come.
async fn deliver(shared: Arc<Shared>) {
    loop {
        let next = shared.state().webhook.next();
        let Some((event, url, secret)) = next else {
            shared.events.notified().await;
            continue;
        };
        let body = format!("{event:#}");
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS_MAX {
            let signature = sign(&secret, shared.state().clock.now(), body.as_bytes());
            if send(&url, &signature, &body).await.is_ok() || attempt == ATTEMPTS_MAX {
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}
