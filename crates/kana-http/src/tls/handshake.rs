use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use kana_telemetry::metrics::tls::{self as metrics, Done};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Tls;
use crate::activity::Activity;
use crate::connections::Slot;

/// How long a handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long a client that speaks no TLS has to read why it is refused.
const REFUSAL_TIME: Duration = Duration::from_secs(2);
/// The first byte of a TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;
/// The answer to a client that speaks no TLS: it begins with [`SPEAKS_TLS`](super::SPEAKS_TLS).
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 46\r\nConnection: close\r\n\r\nThis port speaks TLS: ask it with https://...\n";

impl Tls {
    /// Makes a connection one with TLS. Returns `None` if it is over: the client has not come to terms in
    /// time, speaks no TLS, or the server needs the place or ends.
    pub(crate) async fn handshake(
        &self,
        socket: TcpStream,
        activity: &Activity,
        slot: &Slot,
    ) -> Option<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.config.load_full());
        let mut accepting = pin!(timeout(HANDSHAKE_TIME, accept(acceptor, socket)));
        let accepted = poll_fn(|context| {
            slot.set_waker(context.waker());
            let connections = slot.connections();
            if activity.reading_has_ended() || connections.finishing() || connections.abandoned() {
                return Poll::Ready(None);
            }
            accepting.as_mut().poll(context).map(Some)
        });
        let stream = accepted.await?.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        metrics::shaken_hands(if stream.is_ok() { Done::Ok } else { Done::Failed });
        if let Err(error) = &stream {
            tracing::debug!(%error, "a TLS handshake failed");
        }
        stream.ok()
    }
}

async fn accept(acceptor: TlsAcceptor, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    if socket.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
        let _ = timeout(REFUSAL_TIME, Box::pin(refuse(socket))).await;
        return Err(io::Error::other("the client speaks no TLS"));
    }
    acceptor.accept(socket).await
}

/// Says that TLS is spoken here, and waits for the client to read it.
async fn refuse(mut socket: TcpStream) -> io::Result<()> {
    socket.write_all(PLAIN).await?;
    socket.shutdown().await?;
    // A socket that is closed with unread bytes is reset, and the client could lose the answer.
    let mut dropped = [0; 4096];
    while socket.read(&mut dropped).await? > 0 {}
    Ok(())
}
