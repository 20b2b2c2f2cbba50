use std::io::{self, BufRead, ErrorKind, Read};

use axum::body::Bytes;
use bytes::BytesMut;
use flate2::bufread::MultiGzDecoder;

use super::error::BodyError;

/// The most bytes that are decompressed at once.
const PIECE_BYTES_MAX: usize = 64 * 1024;
/// A new buffer is allocated if the current one has less room than this.
const PIECE_BYTES_MIN: usize = 4 * 1024;

/// Decompresses a gzip stream that arrives in pieces, into pieces of bounded size.
pub(super) struct Gunzip {
    decoder: MultiGzDecoder<Packed>,
    /// Whether the header of the stream has been read.
    has_begun: bool,
    /// The buffer for the next pieces.
    room: BytesMut,
}

/// The result of a step of decompression.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unpacked {
    Piece(Bytes),
    /// More of the compressed stream is needed.
    NeedsMore,
    End,
}

/// The compressed bytes that have arrived and are not yet decompressed.
struct Packed {
    bytes: Bytes,
    /// Whether no more follows.
    is_last: bool,
}

impl Gunzip {
    pub(super) fn new() -> Self {
        let packed = Packed { bytes: Bytes::new(), is_last: false };
        Self { decoder: MultiGzDecoder::new(packed), has_begun: false, room: BytesMut::new() }
    }

    /// Supplies the next compressed bytes, or `None` at the end of the stream. To be called when
    /// [`next`](Self::next) returns [`NeedsMore`](Unpacked::NeedsMore).
    pub(super) fn feed(&mut self, packed: Option<Bytes>) {
        let is_last = packed.is_none();
        *self.decoder.get_mut() = Packed { bytes: packed.unwrap_or_default(), is_last };
    }

    /// Returns the next decompressed piece, which is never empty.
    pub(super) fn next(&mut self) -> Result<Unpacked, BodyError> {
        if self.room.len() < PIECE_BYTES_MIN {
            self.room = BytesMut::zeroed(PIECE_BYTES_MAX);
        }
        let read = self.decoder.read(&mut self.room);
        self.has_begun |= self.decoder.header().is_some();
        match read {
            Ok(0) => Ok(Unpacked::End),
            Ok(length) => Ok(Unpacked::Piece(self.room.split_to(length).freeze())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Unpacked::NeedsMore),
            Err(error) => Err(self.fail(&error)),
        }
    }

    fn fail(&self, error: &io::Error) -> BodyError {
        if error.kind() == ErrorKind::UnexpectedEof {
            return BodyError::CutGzip;
        }
        // Without a header after the first one was read, the rest is not another gzip member.
        if self.has_begun && self.decoder.header().is_none() {
            return BodyError::AfterGzip;
        }
        BodyError::InvalidGzip(error.to_string())
    }
}

impl Read for Packed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Packed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.bytes.is_empty() && !self.is_last {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(&self.bytes)
    }

    fn consume(&mut self, length: usize) {
        self.bytes = self.bytes.split_off(length.min(self.bytes.len()));
    }
}
