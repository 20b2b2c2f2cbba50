//! The driver's TLS connections, by rustls.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::end_point;

/// The protocol version of a connection, once it is agreed. A plain connection has none.
pub(crate) type Agreed = Arc<OnceLock<ProtocolVersion>>;

/// Makes the TLS connections of one attempt to connect.
pub(crate) struct TlsMaker {
    config: Arc<ClientConfig>,
    agreed: Agreed,
}

/// A TLS connection to one host that is yet to be made.
pub(crate) struct Connecting {
    connector: TlsConnector,
    host: ServerName<'static>,
    agreed: Agreed,
}

/// A TLS connection.
pub(crate) struct Stream<S>(TlsStream<S>);

impl TlsMaker {
    pub(super) fn new(config: Arc<ClientConfig>, agreed: Agreed) -> Self {
        Self { config, agreed }
    }
}

impl<S> MakeTlsConnect<S> for TlsMaker
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = Connecting;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Connecting> {
        // Of an address in brackets, too, as URLs have those of IPv6.
        let name = host.trim_start_matches('[').trim_end_matches(']');
        // For a socket, the driver has no name, and no TLS.
        let name = if name.is_empty() { "localhost" } else { name };
        let host = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        Ok(Connecting { connector, host, agreed: Arc::clone(&self.agreed) })
    }
}

impl<S> TlsConnect<S> for Connecting
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let stream = self.connector.connect(self.host, stream).await?;
            if let Some(version) = stream.get_ref().1.protocol_version() {
                // Set already if this is the second address of a host.
                let _ = self.agreed.set(version);
            }
            Ok(Stream(stream))
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let certificates = self.0.get_ref().1.peer_certificates();
        let certificate = certificates.and_then(<[_]>::first);
        match certificate.and_then(|certificate| end_point::hash(certificate)) {
            Some(hash) => ChannelBinding::tls_server_end_point(hash),
            None => ChannelBinding::none(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
