//! The loop that accepts connections. Each is served by a task of its own.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
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
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service;

use crate::activity::Activity;
use crate::connections::{Connections, Slot};
use crate::head;
use crate::limits::Limits;
use crate::log_throttle::LogThrottle;
use crate::message_body::{RequestBody, ResponseBody};
use crate::watched_socket::WatchedSocket;

/// The most bytes of a request's head. Its URL alone can have nearly as many.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long nothing is accepted when the operating system cannot give a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the router until `stop`. Then accepts no more connections and finishes the requests in
/// flight, for up to `drain_time`. Returns true if all of them were finished.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
    drain_time: Duration,
) -> bool {
    let connections = Connections::new(limits);
    tokio::select! {
        () = accept_all(&listener, &router, &connections) => {}
        () = connections.sweep_regularly() => {}
        () = stop => {}
    }
    drop(listener);
    connections.finish(drain_time).await
}

async fn accept_all(listener: &TcpListener, router: &Router, connections: &Arc<Connections>) {
    let failing = LogThrottle::default();
    let mut accepted = 0;
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let permit = connections.admit().await;
                accepted += 1;
                let activity = Arc::new(Activity::default());
                let slot = connections.open_slot(accepted, &activity);
                let served = serve_connection(socket, router.clone(), activity, slot);
                tokio::spawn(async move {
                    served.await;
                    drop(permit);
                });
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

async fn serve_connection(socket: TcpStream, router: Router, activity: Arc<Activity>, slot: Slot) {
    // A response is written at once, and must not wait for what could follow it.
    let _ = socket.set_nodelay(true);
    let io = TokioIo::new(WatchedSocket { socket, activity: Arc::clone(&activity) });
    let service = service_fn(|request| respond(router.clone(), &activity, request));
    let mut connection = pin!(
        http1::Builder::new()
            // One sweep over all connections stands in for a timer for each.
            .header_read_timeout(None)
            // A client may shut down its writing half after the request and still read the response.
            .half_close(true)
            .max_header_size(HEAD_BYTES_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(io, service)
    );
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
                connection.as_mut().graceful_shutdown();
            }
            activity.end_discarding_if_answered();
        }
        let served = connection.as_mut().poll(context);
        activity.discard(context);
        served
    })
    .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn respond(
    mut router: Router,
    activity: &Arc<Activity>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<hyper::Response<ResponseBody>, Infallible>> + use<> {
    let responding = activity.begin_response();
    let (head, body) = request.into_parts();
    let body = Body::new(RequestBody::new(body, &head.headers, activity));
    let activity = Arc::clone(activity);
    let request = Request::from_parts(head, body);
    let response = match head::problem(&request) {
        // A router is always ready, so this need not poll it first.
        None => Ok(router.call(request)),
        Some(problem) => Err(problem),
    };
    async move {
        let mut response = match response {
            Ok(response) => response.await?,
            Err(problem) => (StatusCode::BAD_REQUEST, problem).into_response(),
        };
        if activity.must_close() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| ResponseBody { body, _responding: responding }))
    }
}
