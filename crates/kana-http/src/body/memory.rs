//! A limit on the memory of all request bodies together.
//!
//! Bodies are counted as they arrive, not by their `Content-Length`. A slow sender holds what it
//! has sent, rounded up to a block of its buffer, so a client that announces much and sends little
//! does not shut others out.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::body::Bytes;

/// The largest small body. Small bodies may use all of the memory; larger ones leave a reserve, so
/// that many slow large bodies do not stop the small ones of hot operations.
const SMALL_BYTES_MAX: usize = 64 * 1024;
/// The largest body. It always fits if no other body holds memory.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Batches grow only while less than one part in this many of the memory is in use. They take more
/// than is counted, since their lists grow by doubling, and few are handled at a time.
const BATCH_PART: usize = 4;
/// The size of a buffer's blocks.
const BLOCK_BYTES: usize = 64 * 1024;

/// Counts the memory of all request bodies, and limits it.
#[derive(Debug)]
pub struct BodyMemory {
    held: AtomicUsize,
    bytes_max: usize,
    /// The limit for bodies that are not small.
    large_bytes_max: usize,
}

/// All memories of the process, for [`in_use`]. A server has one or two.
static ALL: Mutex<Vec<Weak<BodyMemory>>> = Mutex::new(Vec::new());

/// Returns how many bytes of request bodies are in memory, all together, and how many may be.
#[must_use]
pub fn in_use() -> (usize, usize) {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.iter().filter_map(Weak::upgrade).fold((0, 0), |(held, max), memory| {
        (held + memory.held.load(Ordering::Relaxed), max + memory.bytes_max)
    })
}

/// The memory for request bodies is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many request bodies are being received")
    }
}

impl std::error::Error for NoMemory {}

impl BodyMemory {
    /// Creates a limit of `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<Self> {
        let reserve = (bytes_max / 8).min(bytes_max.saturating_sub(BODY_BYTES_MAX));
        let memory = Arc::new(Self {
            held: AtomicUsize::new(0),
            bytes_max,
            large_bytes_max: bytes_max - reserve,
        });
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&memory));
        memory
    }

    /// Creates an empty share for one body.
    #[must_use]
    pub fn share(self: &Arc<Self>) -> BodyShare {
        BodyShare { memory: Arc::clone(self), bytes: 0 }
    }

    fn take(&self, bytes: usize, bytes_max: usize) -> Result<(), NoMemory> {
        // Relaxed, since no other memory is read depending on this counter.
        let held = self.held.fetch_add(bytes, Ordering::Relaxed);
        if held.saturating_add(bytes) > bytes_max {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
            return Err(NoMemory);
        }
        Ok(())
    }
}

/// The memory that one body takes. Dropping it releases the memory, so keep it as long as the body.
#[derive(Debug)]
pub struct BodyShare {
    memory: Arc<BodyMemory>,
    bytes: usize,
}

impl BodyShare {
    /// Returns the size of the share in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes `bytes` more for a batch that is collected from a long body.
    ///
    /// # Errors
    ///
    /// Fails if the memory for batches is used up. The share is as before then.
    pub fn grow_for_batch(&mut self, bytes: usize) -> Result<(), NoMemory> {
        self.memory.take(bytes, self.memory.bytes_max / BATCH_PART)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Takes `bytes` more.
    ///
    /// # Errors
    ///
    /// Fails if the memory is used up. The share is as before then.
    pub fn grow(&mut self, bytes: usize) -> Result<(), NoMemory> {
        let memory = &self.memory;
        let is_small = self.bytes + bytes <= SMALL_BYTES_MAX;
        memory.take(bytes, if is_small { memory.bytes_max } else { memory.large_bytes_max })?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for BodyShare {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.memory.held.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

/// Collects a body that arrives in pieces. The body is kept in blocks until it is complete: a
/// single buffer would have to grow, which holds old and new buffer at once and fragments memory.
#[derive(Debug)]
pub(crate) struct BodyBuffer {
    share: BodyShare,
    blocks: Vec<Vec<u8>>,
    length: usize,
}

impl BodyBuffer {
    pub(crate) fn new(memory: &Arc<BodyMemory>) -> Self {
        Self { share: memory.share(), blocks: Vec::new(), length: 0 }
    }

    /// Returns how many bytes have arrived.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Counts bytes of a body that are kept elsewhere.
    pub(crate) fn count(&mut self, bytes: usize) -> Result<(), NoMemory> {
        self.share.grow(bytes)
    }

    /// Appends the next piece.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), NoMemory> {
        while !piece.is_empty() {
            let block = self.block_with_room(piece.len())?;
            let fits = piece.len().min(block.capacity() - block.len());
            let (now, later) = piece.split_at(fits);
            block.extend_from_slice(now);
            self.length += fits;
            piece = later;
        }
        Ok(())
    }

    /// Returns the last block, with room for at least one byte.
    fn block_with_room(&mut self, wanted: usize) -> Result<&mut Vec<u8>, NoMemory> {
        let is_full = self.blocks.last().is_none_or(|block| block.len() == BLOCK_BYTES);
        if is_full {
            self.blocks.push(Vec::new());
        }
        let is_first = self.blocks.len() == 1;
        let Some(block) = self.blocks.last_mut() else { return Err(NoMemory) };
        if block.len() == block.capacity() {
            // Only the first block grows, since most bodies are smaller than a block.
            let doubled = (block.len() + wanted).max(2 * block.len());
            let capacity = if is_first { doubled.min(BLOCK_BYTES) } else { BLOCK_BYTES };
            self.share.grow(capacity - block.len())?;
            block.reserve_exact(capacity - block.len());
        }
        Ok(block)
    }

    /// Returns the whole body. Its memory is counted until this buffer is dropped.
    pub(crate) fn whole(&mut self) -> Bytes {
        let blocks = std::mem::take(&mut self.blocks);
        match <[Vec<u8>; 1]>::try_from(blocks) {
            Ok([block]) => block.into(),
            Err(blocks) => blocks.concat().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn held(memory: &BodyMemory) -> usize {
        memory.held.load(Ordering::Relaxed)
    }

    #[test]
    fn what_is_held_has_a_bound_and_comes_back() {
        let memory = BodyMemory::new(10 * MIB);
        let mut first = memory.share();
        first.grow(4 * MIB).unwrap();
        first.grow(4 * MIB).unwrap();
        let mut second = memory.share();
        assert_eq!(second.grow(4 * MIB), Err(NoMemory));
        assert_eq!((held(&memory), second.bytes()), (8 * MIB, 0), "nothing of what was refused");
        drop(first);
        second.grow(4 * MIB).unwrap();
        drop(second);
        assert_eq!(held(&memory), 0);
    }

    #[test]
    fn large_bodies_leave_room_for_small_ones() {
        let memory = BodyMemory::new(80 * MIB);
        let mut large = memory.share();
        large.grow(70 * MIB).unwrap();
        assert_eq!(large.grow(1), Err(NoMemory));
        assert_eq!(memory.share().grow(SMALL_BYTES_MAX + 1), Err(NoMemory));
        let mut small: Vec<BodyShare> = Vec::new();
        for _ in 0..10 * MIB / SMALL_BYTES_MAX {
            small.push(memory.share());
            small.last_mut().unwrap().grow(SMALL_BYTES_MAX).unwrap();
        }
        assert_eq!(memory.share().grow(1), Err(NoMemory));
    }

    #[test]
    fn batches_leave_most_of_the_memory_to_bodies() {
        let memory = BodyMemory::new(80 * MIB);
        let mut batch = memory.share();
        batch.grow_for_batch(20 * MIB).unwrap();
        assert_eq!(batch.grow_for_batch(1), Err(NoMemory));
        memory.share().grow(50 * MIB).unwrap();
        drop(batch);
        assert_eq!(held(&memory), 0);
    }

    #[test]
    fn the_largest_body_fits_into_the_least_memory() {
        assert_eq!(BodyMemory::new(BODY_BYTES_MAX).share().grow(BODY_BYTES_MAX), Ok(()));
    }

    #[test]
    fn a_body_is_whole_however_it_arrived_and_takes_its_size_in_blocks() {
        let memory = BodyMemory::new(10 * MIB);
        for length in [0, 1, 1000, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, MIB] {
            let body: Vec<u8> = (0_u8..251).cycle().take(length).collect();
            for piece in [7, 1000, BLOCK_BYTES, 3 * BLOCK_BYTES] {
                let mut buffer = BodyBuffer::new(&memory);
                for piece in body.chunks(piece) {
                    buffer.push(piece).unwrap();
                    let most = if buffer.len() < BLOCK_BYTES {
                        2 * buffer.len()
                    } else {
                        buffer.len().next_multiple_of(BLOCK_BYTES)
                    };
                    assert!(held(&memory) <= most);
                    assert!(held(&memory) >= buffer.len());
                }
                assert_eq!(buffer.len(), length);
                assert!(buffer.whole() == body, "{length} bytes in pieces of {piece}");
                assert!(held(&memory) >= length, "it is held for as long as the buffer");
                drop(buffer);
                assert_eq!(held(&memory), 0);
            }
        }
    }

    #[test]
    fn a_body_for_which_there_is_no_memory_gives_back_what_it_had() {
        let memory = BodyMemory::new(MIB);
        let mut other = memory.share();
        other.grow(MIB / 2).unwrap();
        let mut buffer = BodyBuffer::new(&memory);
        let refused = (0..100).find_map(|_| buffer.push(&[0; 10_000]).err());
        assert_eq!(refused, Some(NoMemory));
        assert!(buffer.len() > MIB / 2 - 10_000 - BLOCK_BYTES);
        drop(buffer);
        assert_eq!(held(&memory), MIB / 2);
    }
}
