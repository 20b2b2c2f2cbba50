use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use crate::activity::{Activity, Responding};
use crate::request_log::Answering;

/// The body of a request, which notes whether the handler waits for it, and what is left unread.
pub(crate) struct RequestBody {
    /// `None` once it was read to its end.
    body: Option<Incoming>,
    /// Whether the client waits for `100 Continue` before it sends the body.
    waits: bool,
    activity: Arc<Activity>,
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, headers: &HeaderMap, activity: &Arc<Activity>) -> Self {
        let waits = headers.contains_key(header::EXPECT);
        Self { body: Some(body), waits, activity: Arc::clone(activity) }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // The first poll makes hyper send `100 Continue`.
        self.waits = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        self.activity.set_body_awaited(frame.is_pending());
        let frame = ready!(frame);
        match &frame {
            Some(Ok(frame)) => {
                self.activity.note_body_read(frame.data_ref().map_or(0, Bytes::len));
            }
            _ => self.body = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.activity.set_body_awaited(false);
        if let Some(body) = self.body.take_if(|body| !body.is_end_stream()) {
            self.activity.leave_unread(body, self.waits);
        }
    }
}

/// The body of a response. The response ends when this is dropped.
pub(crate) struct ResponseBody {
    pub(crate) body: Body,
    pub(crate) answering: Answering,
    pub(crate) _responding: Responding,
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            self.answering.note_sent(frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
