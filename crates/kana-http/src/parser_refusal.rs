//! The answers of hyper itself, to a head that it cannot read. They have no body and pass no handler, so that
//! what every answer has is added on their way to the socket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::StatusCode;
use kana_telemetry::RequestId;
use tokio::io::AsyncWrite;

use crate::answer_headers::{OF_EVERY_ANSWER, PROBLEM, problem};
use crate::request_log::{REQUEST_ID, RequestLog};

/// What begins each of these answers.
const START: &[u8] = b"HTTP/1.1 4";

/// An answer that is written in place of hyper's own.
#[derive(Debug)]
pub(crate) struct ParserRefusal {
    bytes: Vec<u8>,
    written: usize,
    /// The length of hyper's own.
    replaced: usize,
}

impl ParserRefusal {
    /// Returns what is written in place of `bytes`, if they are an answer that no handler has made: those
    /// have an id. Logs the request.
    pub(crate) fn of(bytes: &[u8], log: &RequestLog) -> Option<Self> {
        if !bytes.starts_with(START) {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let (head, _) = text.split_once("\r\n\r\n")?;
        let (status_line, headers) = head.split_once("\r\n")?;
        let is_id = |header: &str| {
            header.split_once(':').is_some_and(|(name, _)| name == REQUEST_ID.as_str())
        };
        if headers.split("\r\n").any(is_id) {
            return None;
        }
        let status = StatusCode::from_bytes(status_line.split(' ').nth(1)?.as_bytes()).ok()?;
        let id = RequestId::new();
        let (code, detail) = problem_of(status);
        let body = problem(status, code, detail);
        log.note_unread_head(id.clone(), status, code, body.len());
        let written = written(status_line, headers, &id, &body);
        Some(Self { bytes: written.into_bytes(), written: 0, replaced: bytes.len() })
    }

    /// Writes it, and returns the length of what it replaces once all of it is written.
    pub(crate) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut *socket).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        Poll::Ready(Ok(self.replaced))
    }
}

/// Returns a code for what was wrong with the head, and says it.
fn problem_of(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ("HEAD_TOO_LARGE", "The head of the request has more than 64 KiB or 100 fields.")
        }
        _ => ("BAD_REQUEST", "The head of the request is not valid HTTP/1.1."),
    }
}

/// Writes hyper's answer with a body, and with the headers that every answer has.
fn written(status_line: &str, headers: &str, id: &RequestId, body: &str) -> String {
    let mut written = format!("{status_line}\r\n{REQUEST_ID}: {id}\r\n");
    let is_length = |header: &&str| header.to_ascii_lowercase().starts_with("content-length:");
    for header in headers.split("\r\n").filter(|header| !is_length(header)) {
        written.push_str(header);
        written.push_str("\r\n");
    }
    for (name, value) in OF_EVERY_ANSWER {
        written.push_str(&format!("{name}: {value}\r\n"));
    }
    written.push_str(&format!("content-type: {PROBLEM}\r\ncontent-length: {}\r\n\r\n", body.len()));
    written.push_str(body);
    written
}
