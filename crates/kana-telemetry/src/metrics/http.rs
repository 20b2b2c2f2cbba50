//! Requests.

use std::time::Duration;

use super::format::{Kind, Page};
use super::number::{Counter, Gauge, Seconds};
use super::snapshot::Snapshot;
use crate::surface::Surface;

const SURFACES: usize = Surface::ALL.len();
/// The least status, and how many there are.
const STATUS_MIN: u16 = 100;
const STATUSES: usize = 500;

static REQUESTS: [[Counter; STATUSES]; SURFACES] =
    [const { [const { Counter::new() }; STATUSES] }; SURFACES];
static DURATIONS: [Seconds; SURFACES] = [const { Seconds::of_seconds() }; SURFACES];
static IN_FLIGHT: [Gauge; SURFACES] = [const { Gauge::new(0) }; SURFACES];

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub struct InFlight(Surface);

impl InFlight {
    /// Counts a request that has begun.
    #[must_use]
    pub fn begin(surface: Surface) -> Self {
        IN_FLIGHT[surface as usize].add(1);
        Self(surface)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        IN_FLIGHT[self.0 as usize].add(-1);
    }
}

/// Counts an answered request.
pub fn answered(surface: Surface, status: u16, duration: Duration) {
    let place = usize::from(status.saturating_sub(STATUS_MIN));
    if let Some(counter) = REQUESTS[surface as usize].get(place) {
        counter.count();
    }
    DURATIONS[surface as usize].observe(duration);
}

pub(super) fn write(page: &mut Page, snapshot: &Snapshot) {
    page.family("kana_http_requests_total", Kind::Counter, "Answered requests.");
    for surface in Surface::ALL {
        for (status, counter) in (STATUS_MIN..).zip(&REQUESTS[surface as usize]) {
            let count = counter.value();
            // The one that every surface has is there from the start.
            if count > 0 || status == 200 {
                let status = status.to_string();
                page.sample(&[("surface", surface.name()), ("status", &status)], count);
            }
        }
    }
    let help = "Time from the first byte of a request's head to the last of its answer.";
    page.family("kana_http_request_duration_seconds", Kind::Histogram, help);
    for surface in Surface::ALL {
        DURATIONS[surface as usize].write(page, &[("surface", surface.name())]);
    }
    page.family("kana_http_requests_in_flight", Kind::Gauge, "Requests that are being answered.");
    for surface in Surface::ALL {
        page.sample(&[("surface", surface.name())], IN_FLIGHT[surface as usize].value());
    }
    page.family("kana_http_body_bytes_held", Kind::Gauge, "Bytes of request bodies in memory.");
    page.sample(&[], snapshot.body_bytes_held);
    let help = "The most bytes of request bodies in memory.";
    page.family("kana_http_body_bytes_max", Kind::Gauge, help);
    page.sample(&[], snapshot.body_bytes_max);
}
