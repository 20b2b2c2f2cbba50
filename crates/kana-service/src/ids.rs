//! Generates ids: UUIDs of version 7, each larger than the one before.

use std::sync::Mutex;

use kana_core::Timestamp;
use uuid::{ContextV7, Uuid};

/// The time and counter of the last id. The next id is larger even if the clock was set back.
static LAST: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// Returns the next id. UUIDs cannot hold times before 1970, so such a time counts as 1970's first
/// millisecond.
pub(crate) fn next(now: Timestamp) -> Uuid {
    let ms = u64::try_from(now.as_ms()).unwrap_or_default().max(1);
    let nanos = u32::try_from(ms % 1000).unwrap_or_default() * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(&LAST, ms / 1000, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_whatever_the_clock_says() {
        let mut last = Uuid::nil();
        for ms in [-62_167_219_200_000, -1, 0, 1, 1_705_320_000_000, 1, i64::MIN, i64::MAX, 0] {
            for _ in 0..100 {
                let id = next(Timestamp::from_ms(ms));
                assert!(id > last, "{id} after {last} at {ms}");
                assert_eq!(id.get_version_num(), 7);
                last = id;
            }
        }
    }
}
