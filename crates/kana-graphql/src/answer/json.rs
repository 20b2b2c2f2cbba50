use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;
use tokio::sync::OwnedSemaphorePermit;

/// Writes a value as JSON. Byte strings within it are JSON already and are copied.
pub(crate) fn to_json(json: &mut Vec<u8>, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(json, BytesAreJson))
}

/// A compact formatter that copies byte strings as JSON.
struct BytesAreJson;

impl Formatter for BytesAreJson {
    fn write_byte_array<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        json: &[u8],
    ) -> io::Result<()> {
        writer.write_all(json)
    }
}

/// The JSON of an answer. Its permits of the budget are held until it is dropped.
pub(crate) struct Held {
    json: Vec<u8>,
    _permits: OwnedSemaphorePermit,
}

impl Held {
    pub(crate) fn new(json: Vec<u8>, permits: OwnedSemaphorePermit) -> Self {
        Self { json, _permits: permits }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.json
    }
}
