use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderMap, header};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::answer::Stop;
use super::gunzip::{Gunzip, Unpacked};
use crate::byte_order_mark::MarkStripper;
use crate::content_encoding::ContentEncoding;

/// For how long a sender may send nothing before the end of its body.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// What is read, at most, of a body that is not wanted any more, and for how long.
const DRAINED_BYTES_MAX: usize = 64 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A request body as it arrives.
pub(crate) struct RequestBody {
    body: Body,
    /// Whether its sender waits to be told to go on.
    waits: bool,
    /// Whether nothing more is to be expected of it.
    is_over: bool,
    /// What unpacks it, if it is compressed.
    gunzip: Option<Gunzip>,
    mark: MarkStripper,
}

impl RequestBody {
    pub(crate) fn new(body: Body, headers: &HeaderMap) -> Self {
        let waits = headers.contains_key(header::EXPECT);
        Self { body, waits, is_over: false, gunzip: None, mark: MarkStripper::default() }
    }

    /// Unpacks it as it arrives, if it is compressed.
    pub(super) fn unpack(&mut self, encoding: ContentEncoding) {
        self.gunzip = (encoding == ContentEncoding::Gzip).then(Gunzip::new);
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.gunzip.is_some()
    }

    /// The next bytes of its text, as many as there are; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Stop> {
        match self.next_unpacked().await? {
            Some(piece) => Ok(Some(self.mark.strip(piece))),
            None => Ok(self.mark.rest()),
        }
    }

    async fn next_unpacked(&mut self) -> Result<Option<Bytes>, Stop> {
        if self.gunzip.is_none() {
            return self.next_arrived().await;
        }
        while let Some(gunzip) = &mut self.gunzip {
            match gunzip.next()? {
                Unpacked::Piece(piece) => return Ok(Some(piece)),
                Unpacked::End => break,
                Unpacked::NeedsMore => {
                    let arrived = self.next_arrived().await?;
                    if let Some(gunzip) = &mut self.gunzip {
                        gunzip.feed(arrived);
                    }
                }
            }
        }
        Ok(None)
    }

    /// The next bytes as they were sent.
    async fn next_arrived(&mut self) -> Result<Option<Bytes>, Stop> {
        // Whoever waits is told to go on when the first bytes are asked for.
        self.waits = false;
        let next = timeout(SILENCE_MAX, self.next_data()).await.unwrap_or_else(|_| {
            Err(Stop::too_slow("Nothing of the request body has arrived for 30 seconds"))
        });
        self.is_over = !matches!(next, Ok(Some(_)));
        next
    }

    async fn next_data(&mut self) -> Result<Option<Bytes>, Stop> {
        while let Some(frame) = self.body.frame().await {
            let frame =
                frame.map_err(|_| Stop::bad_request("The request body was cut before its end"))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// All of its text, at most `bytes_max`; of a larger one, `too_large` is what its sender is told.
    pub(crate) async fn whole(&mut self, bytes_max: usize, too_large: &str) -> Result<Bytes, Stop> {
        let announced = self.body.size_hint().lower();
        let is_too_large = usize::try_from(announced).map_or(true, |bytes| bytes > bytes_max);
        if is_too_large && !self.is_compressed() {
            return Err(Stop::too_large(too_large));
        }
        let mut kept = BytesMut::new();
        while let Some(data) = self.next().await? {
            if kept.len() + data.len() > bytes_max {
                return Err(Stop::too_large(too_large));
            }
            let is_all = !self.is_compressed() && self.body.is_end_stream();
            if is_all && kept.is_empty() && !data.is_empty() {
                return Ok(data);
            }
            kept.extend_from_slice(&data);
        }
        Ok(kept.freeze())
    }

    /// Reads on, within bounds, what will not be looked at: many clients read no answer before they
    /// have sent it all. Whoever still waits to be told to go on sends nothing.
    pub(crate) async fn drain(&mut self) {
        if self.waits || self.is_over {
            return;
        }
        let _ = timeout(DRAIN_TIME, async {
            let mut length = 0_usize;
            while let Ok(Some(data)) = self.next_arrived().await {
                length += data.len();
                if length > DRAINED_BYTES_MAX {
                    break;
                }
            }
        })
        .await;
    }
}
