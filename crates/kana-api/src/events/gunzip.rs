use std::io::{self, BufRead, ErrorKind, Read};

use axum::body::Bytes;
use bytes::BytesMut;
use flate2::bufread::MultiGzDecoder;

use super::answer::Stop;

/// The most bytes that are unpacked at a time.
const PIECE_BYTES_MAX: usize = 64 * 1024;
/// Where less room than this is left for a piece, new room is made.
const PIECE_BYTES_MIN: usize = 4 * 1024;

/// Unpacks a gzip stream that arrives in pieces, a bounded piece at a time.
pub(super) struct Gunzip {
    decoder: MultiGzDecoder<Packed>,
    /// Whether the header of the stream has been read.
    has_begun: bool,
    /// Room for the next pieces.
    room: BytesMut,
}

/// What unpacking has come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unpacked {
    Piece(Bytes),
    /// More of the packed stream is needed.
    NeedsMore,
    End,
}

/// The packed bytes that have arrived and are not unpacked yet.
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

    /// Takes the next packed bytes; `None` at their end. Call it when [`next`](Self::next) needs
    /// more.
    pub(super) fn feed(&mut self, packed: Option<Bytes>) {
        let is_last = packed.is_none();
        *self.decoder.get_mut() = Packed { bytes: packed.unwrap_or_default(), is_last };
    }

    /// The next unpacked piece, which is not empty.
    pub(super) fn next(&mut self) -> Result<Unpacked, Stop> {
        if self.room.len() < PIECE_BYTES_MIN {
            self.room = BytesMut::zeroed(PIECE_BYTES_MAX);
        }
        let read = self.decoder.read(&mut self.room);
        self.has_begun |= self.decoder.header().is_some();
        match read {
            Ok(0) => Ok(Unpacked::End),
            Ok(length) => Ok(Unpacked::Piece(self.room.split_to(length).freeze())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Unpacked::NeedsMore),
            Err(error) => Err(self.stop(&error)),
        }
    }

    fn stop(&self, error: &io::Error) -> Stop {
        if error.kind() == ErrorKind::UnexpectedEof {
            return Stop::bad_request("The gzip stream of the request body was cut before its end");
        }
        // A member's header cannot be read: the first one's, or that of something else behind it.
        if self.has_begun && self.decoder.header().is_none() {
            return Stop::bad_request("The request body has more after the end of its gzip stream");
        }
        Stop::bad_request(format!("The request body is not valid gzip: {error}"))
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
