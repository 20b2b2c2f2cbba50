use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::activity::Activity;
use crate::parser_refusal::ParserRefusal;
use crate::request_framing::RequestFraming;
use crate::request_log::RequestLog;

/// The most bytes that are read at once. hyper enlarges a buffer that a read has filled, so larger
/// reads would make each connection that sends a body cost more, even if the body is not wanted.
const READ_BYTES_MAX: usize = 16 * 1024;

/// A connection's socket, which notes each read and write.
#[derive(Debug)]
pub(crate) struct WatchedSocket<S> {
    pub(crate) socket: S,
    pub(crate) activity: Arc<Activity>,
    pub(crate) request_log: Arc<RequestLog>,
    /// What is being written in place of hyper's own answer.
    pub(crate) refusal: Option<ParserRefusal>,
    pub(crate) framing: RequestFraming,
}

impl<S> WatchedSocket<S> {
    fn note_read(&mut self, bytes: &[u8]) {
        self.activity.note_read(bytes.len());
        // What arrives after the last response is dropped.
        if !self.activity.is_lingering()
            && let Some(finding) = self.framing.read(bytes)
        {
            self.activity.note_framing(finding);
        }
    }
}

impl<S: AsyncWrite + Unpin> WatchedSocket<S> {
    /// Writes the answer to a head that could not be read, if `bytes` are one. Returns `None` otherwise.
    fn poll_refusal(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Option<Poll<io::Result<usize>>> {
        if self.refusal.is_none() {
            self.refusal = ParserRefusal::of(bytes, &self.request_log);
        }
        let written = self.refusal.as_mut()?.poll_write(&mut self.socket, context);
        if written.is_ready() {
            self.refusal = None;
        }
        Some(written)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = if buffer.remaining() <= READ_BYTES_MAX {
            Pin::new(&mut self.socket).poll_read(context, buffer)
        } else {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(READ_BYTES_MAX));
            let read = Pin::new(&mut self.socket).poll_read(context, &mut part);
            let length = part.filled().len();
            buffer.advance(length);
            read
        };
        match read {
            Poll::Ready(Ok(())) => {
                let bytes = buffer.filled().get(before..).unwrap_or_default();
                self.note_read(bytes);
                Poll::Ready(Ok(()))
            }
            // Bytes that came in time are taken, however late they are read.
            Poll::Pending if self.activity.reading_has_ended() => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            other => other,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WatchedSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match self.poll_refusal(context, bytes) {
            Some(written) => written,
            None => Pin::new(&mut self.socket).poll_write(context, bytes),
        };
        self.activity.note_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.first().map_or(&[][..], |first| first);
        let written = match self.poll_refusal(context, first) {
            Some(written) => written,
            None => Pin::new(&mut self.socket).poll_write_vectored(context, slices),
        };
        self.activity.note_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    /// Shuts down the writing half, and drops what still arrives until the client closes the
    /// connection. Closing a socket with unread bytes would reset the connection, and the client
    /// could lose the response.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.activity.is_lingering() {
            ready!(Pin::new(&mut self.socket).poll_shutdown(context))?;
            if self.activity.has_never_read() {
                return Poll::Ready(Ok(()));
            }
            self.activity.begin_lingering();
        }
        loop {
            let mut bytes = [MaybeUninit::uninit(); READ_BYTES_MAX];
            let mut buffer = ReadBuf::uninit(&mut bytes);
            let read = ready!(self.as_mut().poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
