//! The answer to a client that speaks HTTP/2, and says so by the preface of a connection. hyper answers every
//! other head that it cannot read, but takes this for a connection to be handed on.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::watched_socket::WatchedSocket;

/// How long a client has to read why it is refused.
const REFUSAL_TIME: Duration = Duration::from_secs(2);
/// The answer of hyper to other heads. On its way to the socket, it gets what all refusals have.
const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Refuses the request, and ends the connection.
pub(crate) async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WatchedSocket<S>) {
    let refusal = async {
        socket.write_all(BAD_REQUEST).await?;
        socket.shutdown().await
    };
    // There is no one else to tell if it does not arrive.
    let _ = timeout(REFUSAL_TIME, refusal).await;
}
