use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::answer::Stop;
use super::gunzip::{Gunzip, Unpacked};
use crate::body_memory::{BodyBuffer, BodyMemory};
use crate::byte_order_mark::MarkStripper;
use crate::content_encoding::ContentEncoding;

/// For how long a sender may send nothing before the end of its body.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A request body as it arrives.
pub(crate) struct RequestBody {
    body: Body,
    /// Collects a body that is read as a whole.
    buffer: BodyBuffer,
    /// Decompresses the body, if it is compressed.
    gunzip: Option<Gunzip>,
    mark: MarkStripper,
}

impl RequestBody {
    pub(crate) fn new(body: Body, memory: &Arc<BodyMemory>) -> Self {
        let buffer = BodyBuffer::new(memory);
        Self { body, buffer, gunzip: None, mark: MarkStripper::default() }
    }

    /// Sets the encoding that the body is decompressed from as it arrives.
    pub(super) fn unpack(&mut self, encoding: ContentEncoding) {
        self.gunzip = (encoding == ContentEncoding::Gzip).then(Gunzip::new);
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.gunzip.is_some()
    }

    /// Returns the next bytes of the text, as many as there are; `None` at the end.
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

    /// Returns the next bytes as they were sent.
    async fn next_arrived(&mut self) -> Result<Option<Bytes>, Stop> {
        timeout(SILENCE_MAX, self.next_data()).await.unwrap_or_else(|_| {
            Err(Stop::too_slow("Nothing of the request body has arrived for 30 seconds"))
        })
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

    /// Returns the whole text. Fails with the message `too_large` if it has more than `bytes_max`
    /// bytes. Its memory is counted until this body is dropped.
    pub(crate) async fn whole(&mut self, bytes_max: usize, too_large: &str) -> Result<Bytes, Stop> {
        let announced = self.body.size_hint().lower();
        let is_too_large = usize::try_from(announced).map_or(true, |bytes| bytes > bytes_max);
        if is_too_large && !self.is_compressed() {
            return Err(Stop::too_large(too_large));
        }
        while let Some(data) = self.next().await? {
            if self.buffer.len() + data.len() > bytes_max {
                return Err(Stop::too_large(too_large));
            }
            let is_all = !self.is_compressed() && self.body.is_end_stream();
            if is_all && self.buffer.len() == 0 && !data.is_empty() {
                self.buffer.count(data.len())?;
                return Ok(data);
            }
            self.buffer.push(&data)?;
        }
        Ok(self.buffer.whole())
    }
}
