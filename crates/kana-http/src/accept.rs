//! The loop that accepts connections. Each is served by a task of its own.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kana_telemetry::metrics::connections::{self, Closed};
use kana_telemetry::sampling;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tower_service::Service;

use crate::activity::Activity;
use crate::answer_headers;
use crate::connections::{Connections, Slot};
use crate::head;
use crate::http2_preface;
use crate::limits::Limits;
use crate::log_throttle::LogThrottle;
use crate::message_body::{RequestBody, ResponseBody};
use crate::overdue;
use crate::own_time::OwnTime;
use crate::peer_address::PeerAddress;
use crate::request_framing::RequestFraming;
use crate::request_log::{self, Answering, RequestLog, RequestLogSettings};
use crate::routes::Routes;
use crate::tls::Tls;
use crate::watched_socket::WatchedSocket;

/// The most bytes of a request's head. Its URL alone can have nearly as many.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long nothing is accepted when the operating system cannot give a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the routes until `stop`. Then accepts no more connections and finishes the requests in
/// flight, for up to `drain_time`. Returns true if all of them were finished.
///
/// Each request has an id, which its answer has in `X-Request-Id`, and a line in the log as the settings
/// say.
pub async fn serve(
    listener: TcpListener,
    routes: impl Into<Routes>,
    settings: ServerSettings,
    stop: impl Future<Output = ()>,
    drain_time: Duration,
) -> bool {
    let ServerSettings { limits, request_log, tls } = settings;
    let connections = Connections::new(limits);
    let request_log = RequestLog::new(request_log, tls.is_some());
    let routes = routes.into();
    let served = Served { routes, request_log: Arc::clone(&request_log), tls };
    tokio::select! {
        () = accept_all(&listener, &served, &connections) => {}
        () = connections.sweep_regularly() => {}
        () = request_log.report_regularly() => {}
        () = stop => {}
    }
    drop(listener);
    connections.finish(drain_time).await
}

/// How connections are served.
#[derive(Clone)]
pub struct ServerSettings {
    /// What clients may ask of the server.
    pub limits: Limits,
    /// How requests are logged.
    pub request_log: RequestLogSettings,
    /// What protects connections; `None` for plain HTTP.
    pub tls: Option<Arc<Tls>>,
}

/// What answers requests, what notes them, and what protects them on their way.
#[derive(Clone)]
struct Served {
    routes: Routes,
    request_log: Arc<RequestLog>,
    tls: Option<Arc<Tls>>,
}

async fn accept_all(listener: &TcpListener, served: &Served, connections: &Arc<Connections>) {
    let failing = LogThrottle::default();
    let mut accepted = 0;
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                let permit = connections.admit().await;
                accepted += 1;
                let activity = Arc::new(Activity::default());
                let slot = connections.open_slot(accepted, &activity);
                let peer = PeerAddress(peer.ip());
                tokio::spawn(serve_socket(permit, socket, peer, served.clone(), activity, slot));
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                // Out of files or memory, most likely. Closing idle connections releases some.
                if failing.is_due() {
                    tracing::error!(%error, "connections cannot be accepted; trying again");
                }
                connections.close_idle();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Returns true if the client went away before it was accepted.
fn is_about_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

/// Serves a connection, which may be open as long as the permit is held: it is dropped last. The future is
/// spawned as it is, since one around it would have room for it twice.
async fn serve_socket(
    _permit: OwnedSemaphorePermit,
    socket: TcpStream,
    peer: PeerAddress,
    served: Served,
    activity: Arc<Activity>,
    slot: Slot,
) {
    // A response is written at once, and must not wait for what could follow it.
    let _ = socket.set_nodelay(true);
    let Some(tls) = served.tls.clone() else {
        return serve_connection(socket, peer, served, activity, slot).await;
    };
    // A connection without TLS has no room for a handshake, and one that has shaken hands gives it back.
    match Box::pin(tls.handshake(socket, &activity, &slot)).await {
        Some(stream) => Box::pin(serve_connection(stream, peer, served, activity, slot)).await,
        None => connections::closed(activity.why_closed().unwrap_or(Closed::Tls)),
    }
}

async fn serve_connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    socket: S,
    peer: PeerAddress,
    served: Served,
    activity: Arc<Activity>,
    slot: Slot,
) {
    let io = TokioIo::new(WatchedSocket {
        socket,
        activity: Arc::clone(&activity),
        request_log: Arc::clone(&served.request_log),
        refusal: None,
        framing: RequestFraming::default(),
    });
    let service = service_fn(|request| respond(&served, peer, &activity, request));
    let mut connection = http1::Builder::new()
        // One sweep over all connections stands in for a timer for each.
        .header_read_timeout(None)
        // A client may shut down its writing half after the request and still read the response.
        .half_close(true)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(io, service);
    let mut begun = false;
    let mut shutting_down = false;
    let served = poll_fn(|context| {
        if !begun {
            begun = true;
            slot.set_waker(context.waker());
        }
        if slot.connections().abandoned() {
            return Poll::Ready(Ok(()));
        }
        if slot.connections().finishing() {
            if !shutting_down {
                shutting_down = true;
                activity.end_if_idle();
                Pin::new(&mut connection).graceful_shutdown();
            }
            activity.end_discarding_if_answered();
        }
        let served = Pin::new(&mut connection).poll(context);
        activity.discard(context);
        served
    })
    .await;
    let by_default = match &served {
        _ if slot.connections().finishing() => Closed::Shutdown,
        Err(error) if error.is_parse() => Closed::Protocol,
        _ => Closed::Client,
    };
    connections::closed(activity.why_closed().unwrap_or(by_default));
    if served.as_ref().is_err_and(hyper::Error::is_parse_version_h2) {
        let refusal = http2_preface::refuse(connection.into_parts().io.into_inner());
        Box::pin(refusal).await;
    }
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Waits for the handler's answer. Drops the handler and answers in its place if it takes too long.
async fn unless_overdue(
    response: impl Future<Output = Result<Response, Infallible>>,
    activity: &Activity,
) -> Result<Response, Infallible> {
    let mut response = pin!(response);
    // The sweep wakes the connection's task, which polls this.
    poll_fn(|context| match response.as_mut().poll(context) {
        Poll::Pending if activity.handling_has_ended() => Poll::Ready(Ok(overdue::answer())),
        polled => polled,
    })
    .await
}

fn respond(
    served: &Served,
    peer: PeerAddress,
    activity: &Arc<Activity>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<hyper::Response<ResponseBody>, Infallible>> + use<> {
    let responding = activity.begin_response();
    let watch = served.request_log.begin(activity, request.uri().path());
    let mut record = request_log::record(request.headers());
    if sampling::is_on() {
        watch.sample(&request, &mut record);
    }
    let (mut head, body) = request.into_parts();
    head.extensions.insert(peer);
    head.extensions.insert(OwnTime::of(activity));
    let body = Body::new(RequestBody::new(body, &head.headers, activity));
    let (activity, is_protected) = (Arc::clone(activity), served.tls.is_some());
    let request = Request::from_parts(head, body);
    let has_two_lengths = activity.has_two_lengths();
    if has_two_lengths {
        activity.require_close();
    }
    let response = match head::problem(&request, has_two_lengths) {
        // A router is always ready, so this need not poll it first. What it returns is large, and would be
        // moved with each future around it.
        None => Ok(Box::pin(served.routes.current().call(request))),
        Some(problem) => Err(problem),
    };
    // hyper keeps room for what this returns for as long as a connection is open, also while it is idle.
    Box::pin(async move {
        let id = HeaderValue::from_str(record.id.as_str());
        let answer = async {
            match response {
                Ok(response) => unless_overdue(response, &activity).await,
                Err(problem) => Ok(answer_headers::bad_request(problem)),
            }
        };
        let (response, record) = record.scope(answer).await;
        let mut response = answer_headers::complete(response?, is_protected);
        activity.note_answer();
        if let Ok(id) = id {
            response.headers_mut().insert(request_log::REQUEST_ID, id);
        }
        if activity.must_close() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let answering = Answering::new(watch, record, response.status());
        Ok(response.map(|body| ResponseBody { body, answering, _responding: responding }))
    })
}
