/// The browser that a request about people came from.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The address at the other end of the connection.
    pub address: std::net::IpAddr,
    /// The browser, as it names itself.
    pub browser: String,
}
