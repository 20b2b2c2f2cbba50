use std::time::Duration;

/// The number of connections, and how long each may keep the server waiting.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections that are open at the same time.
    pub connections_max: u32,
    /// From the last response, or from the start of the connection, until a request begins.
    pub idle: Duration,
    /// From the first byte of a request's head to its last.
    pub head: Duration,
    /// From the end of a request's head to the start of the response, without the time in which the body
    /// arrives.
    pub response: Duration,
    /// Without a byte of a body that the handler waits for, or without a byte of the response that
    /// the client takes.
    pub stall: Duration,
    /// The bytes per second that a client must send of a body, or take of a response, on average
    /// over the time that the server waits for it. [`stall`](Self::stall) is granted beside that.
    pub rate_min: u32,
    /// For reading and dropping the unread rest of a body.
    pub discard: Duration,
    /// From the last response until the client closes the connection.
    pub linger: Duration,
}

impl Limits {
    /// Returns how often all connections are swept. A limit takes effect late by up to this time.
    pub(crate) fn sweep_interval(&self) -> Duration {
        let all = [self.head, self.response, self.stall, self.discard, self.linger];
        let shortest = all.into_iter().fold(self.idle, Duration::min);
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }
}
