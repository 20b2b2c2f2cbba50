//! The loop that accepts connections, each of which is served by a task of its own.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tower_service::Service;

use super::connections::{Connections, Limits, Taken};
use super::head;
use super::pulse::{AnswerBody, Pulse, RequestBody, Watched};
use super::rarely::Rarely;

/// The most bytes of a request's head. Its URL alone can have nearly as many.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Connections that may wait to be accepted, as far as the operating system lets them. One more
/// would try again after a second.
const BACKLOG: u32 = 4096;
/// How long nothing is accepted when the operating system cannot give a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens on an address, whose earlier connections may still be about to end.
pub(super) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // Accept IPv4 as well, whatever the machine's default is.
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop`, then takes no more connections and finishes the requests in flight, for
/// up to `drain_time`. Whether all of them were finished.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
    drain_time: Duration,
) -> bool {
    let connections = Connections::new(limits);
    tokio::select! {
        () = accept_all(&listener, &router, &connections) => {}
        () = connections.watch() => {}
        () = stop => {}
    }
    drop(listener);
    connections.finish(drain_time).await
}

async fn accept_all(listener: &TcpListener, router: &Router, connections: &Arc<Connections>) {
    let failing = Rarely::default();
    let mut accepted = 0;
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let room = connections.room().await;
                accepted += 1;
                let pulse = Arc::new(Pulse::default());
                let place = connections.take_place(accepted, &pulse);
                let served = serve_connection(socket, router.clone(), pulse, place);
                tokio::spawn(async move {
                    served.await;
                    drop(room);
                });
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                // Out of files or memory, most likely. What waits for nothing gives some back.
                if failing.is_due() {
                    tracing::error!(%error, "connections cannot be accepted; trying again");
                }
                connections.close_idle();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether the client went away before it was accepted.
fn is_about_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

async fn serve_connection(socket: TcpStream, router: Router, pulse: Arc<Pulse>, place: Taken) {
    // An answer is written at once, and must not wait for what could follow it.
    let _ = socket.set_nodelay(true);
    let io = TokioIo::new(Watched { socket, pulse: Arc::clone(&pulse) });
    let service = service_fn(|request| answer(router.clone(), &pulse, request));
    let mut connection = pin!(
        http1::Builder::new()
            // The connections are looked at all at once instead.
            .header_read_timeout(None)
            // A client may shut down its writing half after the request and still read the answer.
            .half_close(true)
            .max_header_size(HEAD_BYTES_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(io, service)
    );
    let mut begun = false;
    let mut told = false;
    let served = poll_fn(|context| {
        if !begun {
            begun = true;
            place.set_waker(context.waker());
        }
        if place.all().abandoned() {
            return Poll::Ready(Ok(()));
        }
        if place.all().finishing() {
            if !told {
                told = true;
                pulse.end_if_idle();
                connection.as_mut().graceful_shutdown();
            }
            pulse.end_discarding_if_answered();
        }
        let served = connection.as_mut().poll(context);
        pulse.discard(context);
        served
    })
    .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn answer(
    mut router: Router,
    pulse: &Arc<Pulse>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<hyper::Response<AnswerBody>, Infallible>> + use<> {
    let answering = pulse.begin_answer();
    let (head, body) = request.into_parts();
    let body = Body::new(RequestBody::new(body, &head.headers, pulse));
    let pulse = Arc::clone(pulse);
    let request = Request::from_parts(head, body);
    let answer = match head::problem(&request) {
        // A router is always ready, so this need not poll it first.
        None => Ok(router.call(request)),
        Some(problem) => Err(problem),
    };
    async move {
        let mut answer = match answer {
            Ok(answer) => answer.await?,
            Err(problem) => (StatusCode::BAD_REQUEST, problem).into_response(),
        };
        if pulse.must_close() {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer.map(|body| AnswerBody { body, _answering: answering }))
    }
}
