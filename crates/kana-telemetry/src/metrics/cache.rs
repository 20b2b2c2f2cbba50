//! Caches.

use super::format::{Kind, Page};
use super::number::Counter;

/// What is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheName {
    /// Parsed and validated GraphQL documents.
    Document,
    /// The plans of hot operations.
    Plan,
    /// Features and packages.
    Catalog,
    /// Keys.
    Key,
    /// Users' facts and counters.
    Facts,
}

const CACHES: [CacheName; 5] =
    [CacheName::Document, CacheName::Plan, CacheName::Catalog, CacheName::Key, CacheName::Facts];

static REQUESTS: [[Counter; 2]; CACHES.len()] =
    [const { [const { Counter::new() }; 2] }; CACHES.len()];

/// Counts a look-up, and whether it found something.
pub fn looked_up(cache: CacheName, is_hit: bool) {
    REQUESTS[cache as usize][usize::from(!is_hit)].count();
}

pub(super) fn write(page: &mut Page) {
    page.family("kana_cache_requests_total", Kind::Counter, "Look-ups in caches.");
    for cache in CACHES {
        let name = match cache {
            CacheName::Document => "document",
            CacheName::Plan => "plan",
            CacheName::Catalog => "catalog",
            CacheName::Key => "key",
            CacheName::Facts => "facts",
        };
        for (result, counter) in ["hit", "miss"].into_iter().zip(&REQUESTS[cache as usize]) {
            page.sample(&[("cache", name), ("result", result)], counter.value());
        }
    }
}
