//! Tells the failures of TLS from those of the network, which waiting can mend.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;

/// Returns true if a connection failed because the two sides agree on no TLS: the server has none,
/// one refuses the other's certificate, or the password cannot be bound to the connection.
pub(crate) fn is_failure(error: &Error) -> bool {
    // The driver tells the kinds of its errors only by their text.
    let text = error.to_string();
    if text.starts_with("authentication error") {
        let why = error.source().map(ToString::to_string).unwrap_or_default();
        return why.contains("channel binding");
    }
    let mut is_of_network = false;
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            is_of_network = true;
            // What an error of the network is made of does not count as its source.
            if let Some(inside) = io.get_ref()
                && inside.is::<rustls::Error>()
            {
                return true;
            }
        }
        cause = error.source();
    }
    text.starts_with("error performing TLS handshake") && !is_of_network
}
