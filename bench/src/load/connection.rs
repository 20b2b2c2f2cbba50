//! One connection with at most one request on its way.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::talk::{Answer, Talk};

/// The room that is made at a time, and the most that an answer may have.
const ROOM: usize = 16 * 1024;
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

pub(super) struct Connection {
    stream: TcpStream,
    /// The request, and how much of it is sent.
    out: Vec<u8>,
    sent: usize,
    /// The answer, as far as it has come: the first `filled` bytes.
    input: Vec<u8>,
    filled: usize,
    kind: usize,
    /// When the request was sent, or due; `None` when there is none.
    asked_at: Option<Instant>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            out: Vec::new(),
            sent: 0,
            input: vec![0; ROOM],
            filled: 0,
            kind: 0,
            asked_at: None,
        })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn asked_at(&self) -> Option<Instant> {
        self.asked_at
    }

    pub(super) fn take_asked_at(&mut self) -> Option<Instant> {
        self.asked_at.take()
    }

    /// Sends the next request, or as much of it as fits; its time counts from `since`.
    pub(super) fn ask(&mut self, talk: &mut dyn Talk, since: Instant) -> Result<()> {
        self.out.clear();
        self.sent = 0;
        self.kind = talk.ask(&mut self.out);
        self.asked_at = Some(since);
        self.send_rest()
    }

    /// Sends what did not fit before.
    pub(super) fn send_rest(&mut self) -> Result<()> {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(0) => bail!("the server takes no more"),
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads what has come; `Some` when the answer is whole.
    pub(super) fn receive(&mut self, talk: &mut dyn Talk) -> Result<Option<Answer>> {
        if !self.read()? {
            return Ok(None);
        }
        if self.asked_at.is_none() {
            bail!("something came that nobody asked for: {}", self.excerpt(self.filled));
        }
        let answer = talk
            .read(self.kind, &self.input[..self.filled])
            .with_context(|| format!("no answer is this: {}", self.excerpt(self.filled)))?;
        if let Some(answer) = answer {
            if answer.len != self.filled {
                bail!("more came than was asked for: {}", self.excerpt(self.filled));
            }
            // The bytes stay for whoever wants to show them.
            self.filled = 0;
        }
        Ok(answer)
    }

    /// Reads all that has come, and says whether there was anything. A connection that reads less
    /// than it has room for has read everything: what comes later is another event.
    fn read(&mut self) -> Result<bool> {
        let before = self.filled;
        loop {
            if self.filled == self.input.len() {
                if self.filled >= ANSWER_BYTES_MAX {
                    bail!("an answer is larger than {ANSWER_BYTES_MAX} bytes");
                }
                self.input.resize(self.filled + ROOM.max(self.filled), 0);
            }
            match self.stream.read(&mut self.input[self.filled..]) {
                Ok(0) => bail!("the server has closed the connection"),
                Ok(read) => {
                    self.filled += read;
                    if self.filled < self.input.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot read an answer"),
            }
        }
        Ok(self.filled > before)
    }

    /// The answer that [`receive`](Self::receive) has just read, as text.
    pub(super) fn last_answer(&self, answer: Answer) -> String {
        self.excerpt(answer.len)
    }

    fn excerpt(&self, len: usize) -> String {
        let bytes = &self.input[..len.min(600)];
        String::from_utf8_lossy(bytes).replace(['\r', '\n'], " ")
    }
}
