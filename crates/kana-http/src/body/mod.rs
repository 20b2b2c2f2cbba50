//! Request bodies: their memory, their encoding, and how they are read.

mod byte_order_mark;
mod content_encoding;
mod error;
mod gunzip;
mod memory;
mod request_body;

pub use content_encoding::{ContentEncoding, UnsupportedEncoding};
pub use error::BodyError;
pub use memory::{BodyMemory, BodyShare, NoMemory, in_use};
pub use request_body::RequestBody;
