use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Uri, client, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Events that wait for being sent; the oldest are lost first.
const WAITING_MAX: usize = 100_000;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// In which order, and how often, a webhook is sent its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// Each once, as they happen.
    #[default]
    InOrder,
    /// Each twice, as they happen.
    Twice,
    /// When they are released, each once, shuffled.
    Shuffled,
    /// When they are released, each once, in order.
    Late,
    /// Not at all.
    Never,
}

/// Where events are sent, and those that wait for it.
#[derive(Debug, Default)]
pub(crate) struct Webhook {
    /// The address, and the secret that events are signed with.
    pub(crate) endpoint: Option<(Uri, String)>,
    pub(crate) delivery: Delivery,
    held: VecDeque<Value>,
    queue: VecDeque<Value>,
}

impl Webhook {
    pub(crate) fn accept(&mut self, event: Value) {
        if self.endpoint.is_none() {
            return;
        }
        match self.delivery {
            Delivery::InOrder => push(&mut self.queue, event),
            Delivery::Twice => {
                push(&mut self.queue, event.clone());
                push(&mut self.queue, event);
            }
            Delivery::Shuffled | Delivery::Late => push(&mut self.held, event),
            Delivery::Never => {}
        }
    }

    /// Lets the events go that were held back, and answers how many there were.
    pub(crate) fn release(&mut self) -> usize {
        let count = self.held.len();
        if self.delivery == Delivery::Shuffled {
            fastrand::shuffle(self.held.make_contiguous());
        }
        for event in std::mem::take(&mut self.held) {
            push(&mut self.queue, event);
        }
        count
    }

    /// The event to send next, and where to.
    pub(crate) fn next(&mut self) -> Option<(Value, Uri, String)> {
        let (url, secret) = self.endpoint.clone()?;
        Some((self.queue.pop_front()?, url, secret))
    }
}

fn push(events: &mut VecDeque<Value>, event: Value) {
    if events.len() == WAITING_MAX {
        events.pop_front();
    }
    events.push_back(event);
}

/// Reads the address of a webhook, which is `http://` with a host.
pub(crate) fn webhook_url(url: &str) -> anyhow::Result<Uri> {
    let uri: Uri = url.parse().with_context(|| format!("{url} is not an address"))?;
    let is_http = uri.scheme_str() == Some("http") && uri.host().is_some();
    ensure!(is_http, "{url} is not the address of a webhook: it must begin with http://");
    Ok(uri)
}

/// Sends a signed event once. Fails unless it is answered with 2xx within 10 seconds.
pub(crate) async fn send(url: &Uri, signature: &str, body: &str) -> anyhow::Result<()> {
    tokio::time::timeout(ANSWER_TIMEOUT, post(url, signature, body)).await?
}

async fn post(url: &Uri, signature: &str, body: &str) -> anyhow::Result<()> {
    let host = url.host().context("the address has no host")?;
    let port = url.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::post(url.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, format!("{host}:{port}"))
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header(header::USER_AGENT, "Stripe/1.0 (kana-test-stripe)")
        .header("stripe-signature", signature)
        .body(Full::new(Bytes::from(body.to_owned())))?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    connection.abort();
    let status = answer?.status();
    ensure!(status.is_success(), "the webhook answers {status}");
    Ok(())
}
