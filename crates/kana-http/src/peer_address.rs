use std::net::IpAddr;

/// The address at the other end of the connection, among the extensions of each request. Behind a proxy,
/// it is the proxy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);
