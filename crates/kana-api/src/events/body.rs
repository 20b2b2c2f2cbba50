use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::answer::Stop;
use crate::body_memory::{BodyBuffer, BodyMemory};

/// For how long a sender may send nothing before the end of its body.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A request body as it arrives.
pub(crate) struct RequestBody {
    body: Body,
    /// What was read as a whole.
    buffer: BodyBuffer,
}

impl RequestBody {
    pub(crate) fn new(body: Body, memory: &Arc<BodyMemory>) -> Self {
        Self { body, buffer: BodyBuffer::new(memory) }
    }

    /// The next bytes, as many as there are; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Stop> {
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

    /// All of it, at most `bytes_max`; of a larger one, `too_large` is what its sender is told. Its
    /// memory is counted until this is dropped.
    pub(crate) async fn whole(&mut self, bytes_max: usize, too_large: &str) -> Result<Bytes, Stop> {
        let announced = self.body.size_hint().lower();
        if usize::try_from(announced).map_or(true, |announced| announced > bytes_max) {
            return Err(Stop::too_large(too_large));
        }
        while let Some(data) = self.next().await? {
            if self.buffer.len() + data.len() > bytes_max {
                return Err(Stop::too_large(too_large));
            }
            if self.buffer.len() == 0 && self.body.is_end_stream() {
                self.buffer.count(data.len())?;
                return Ok(data);
            }
            self.buffer.push(&data)?;
        }
        Ok(self.buffer.whole())
    }
}
