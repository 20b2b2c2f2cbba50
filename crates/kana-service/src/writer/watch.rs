//! Looks after lanes whose commit hangs.

use std::sync::Weak;
use std::time::Instant;

use kana_store::NeededThreads;

use super::lane_queue::LaneQueue;
use crate::deadlines::WriterDeadlines;

/// How often a queue is looked at within the time that a command may wait in it.
const LOOKS: u32 = 20;

const NAME: &str = "kana-writer-watch";

/// Starts a thread that answers those who wait too long for a lane. It ends after the lanes.
pub(super) fn start(
    queues: Vec<Weak<LaneQueue>>,
    limits: WriterDeadlines,
    threads: &NeededThreads,
) -> std::io::Result<()> {
    let needed = threads.watch(NAME);
    std::thread::Builder::new().name(NAME.into()).spawn(move || {
        let _needed = needed;
        loop {
            std::thread::sleep(limits.queue / LOOKS);
            let mut is_over = true;
            for queue in queues.iter().filter_map(Weak::upgrade) {
                is_over = false;
                queue.look(Instant::now());
            }
            if is_over {
                return;
            }
        }
    })?;
    Ok(())
}
