use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::byte_order_mark::MarkStripper;
use super::content_encoding::ContentEncoding;
use super::error::BodyError;
use super::gunzip::{Gunzip, Unpacked};
use super::memory::{BodyBuffer, BodyMemory};

/// How long a client may send nothing before the end of its body.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A request body as it arrives, decompressed and without a byte order mark.
pub struct RequestBody {
    body: Body,
    /// Collects a body that is read as a whole.
    buffer: BodyBuffer,
    /// Decompresses the body, if it is compressed.
    gunzip: Option<Gunzip>,
    mark: MarkStripper,
}

impl RequestBody {
    /// Reads this body. Its memory is counted in `memory`.
    #[must_use]
    pub fn new(body: Body, memory: &Arc<BodyMemory>) -> Self {
        let buffer = BodyBuffer::new(memory);
        Self { body, buffer, gunzip: None, mark: MarkStripper::default() }
    }

    /// Sets the encoding that the body is decompressed from as it arrives.
    pub fn unpack(&mut self, encoding: ContentEncoding) {
        self.gunzip = (encoding == ContentEncoding::Gzip).then(Gunzip::new);
    }

    /// Returns true if the body is decompressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.gunzip.is_some()
    }

    /// Returns the next bytes, as many as there are; `None` at the end.
    ///
    /// # Errors
    ///
    /// Fails if the body cannot be read on.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        match self.next_unpacked().await? {
            Some(piece) => Ok(Some(self.mark.strip(piece))),
            None => Ok(self.mark.rest()),
        }
    }

    async fn next_unpacked(&mut self) -> Result<Option<Bytes>, BodyError> {
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
    async fn next_arrived(&mut self) -> Result<Option<Bytes>, BodyError> {
        // Most bodies arrive with their head, and need no timer.
        if let Some(arrived) = self.next_data().now_or_never() {
            return arrived;
        }
        timeout(SILENCE_MAX, self.next_data()).await.unwrap_or(Err(BodyError::TooSlow))
    }

    async fn next_data(&mut self) -> Result<Option<Bytes>, BodyError> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(data) = frame.map_err(|_| BodyError::Cut)?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Returns the whole body. Its memory is counted until this `RequestBody` is dropped.
    ///
    /// # Errors
    ///
    /// Fails if the body has more than `bytes_max` bytes once it is decompressed, or cannot be read
    /// to its end.
    pub async fn whole(&mut self, bytes_max: usize) -> Result<Bytes, BodyError> {
        let announced = self.body.size_hint().lower();
        let is_too_large = usize::try_from(announced).map_or(true, |bytes| bytes > bytes_max);
        if is_too_large && !self.is_compressed() {
            return Err(BodyError::TooLarge);
        }
        while let Some(data) = self.next().await? {
            if self.buffer.len() + data.len() > bytes_max {
                return Err(BodyError::TooLarge);
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
