use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::answer::Stop;

/// For how long a sender may send nothing before the end of its body.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A request body as it arrives.
pub(crate) struct RequestBody {
    body: Body,
}

impl RequestBody {
    pub(crate) fn new(body: Body) -> Self {
        Self { body }
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

    /// All of it, at most `bytes_max`; of a larger one, `too_large` is what its sender is told.
    pub(crate) async fn whole(&mut self, bytes_max: usize, too_large: &str) -> Result<Bytes, Stop> {
        let announced = self.body.size_hint().lower();
        if usize::try_from(announced).map_or(true, |announced| announced > bytes_max) {
            return Err(Stop::too_large(too_large));
        }
        let mut kept = BytesMut::new();
        while let Some(data) = self.next().await? {
            if kept.len() + data.len() > bytes_max {
                return Err(Stop::too_large(too_large));
            }
            if kept.is_empty() && self.body.is_end_stream() {
                return Ok(data);
            }
            kept.extend_from_slice(&data);
        }
        Ok(kept.freeze())
    }
}
