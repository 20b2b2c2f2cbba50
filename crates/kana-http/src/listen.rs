use std::io::{Error, ErrorKind};
use std::net::{Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted, as far as the operating system lets them. One more
/// would try again after a second.
const BACKLOG: u32 = 4096;

/// Listens on the first of these addresses that the machine has. An address may still have
/// connections of an earlier server that are about to end.
///
/// # Errors
///
/// Fails if an address that the machine has cannot be listened on, or if it has none of them.
pub fn listen(candidates: &[SocketAddr]) -> std::io::Result<TcpListener> {
    let mut missing = Error::from(ErrorKind::AddrNotAvailable);
    for address in candidates {
        match listen_on(*address) {
            Err(error) if is_missing(&error) => missing = error,
            listening => return listening,
        }
    }
    Err(missing)
}

fn listen_on(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // Accept IPv4 as well, whatever the machine's default is.
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Returns true if the machine does not have the address, or no IPv6 at all.
fn is_missing(error: &Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
}
