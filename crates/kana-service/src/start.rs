//! Starts a Kana: the reader and the writer.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use kana_store::Store;

use crate::access::Access;
use crate::clock::Clock;
use crate::deadlines::WriterDeadlines;
use crate::kana::Kana;
use crate::people::node::PeopleOnNode;
use crate::reader::Reader;
use crate::settings::Settings;
use crate::simulations::Simulations;
use crate::subscriber_counts::SubscriberCounts;
use crate::writer::{LanesOn, Writer};

impl Kana {
    /// Starts with the settings that most need. Must be called within a Tokio runtime.
    pub fn start(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> std::io::Result<Arc<Self>> {
        Self::start_with(store, clock, Settings::default())
    }

    /// Starts the reader and the writer, and no jobs (see [`jobs`](crate::jobs)). Must be called
    /// within a Tokio runtime.
    pub fn start_with(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> std::io::Result<Arc<Self>> {
        let threads = store.needed_threads();
        Self::start_on(store, clock, settings, LanesOn::Threads(&threads))
    }

    /// Like [`start_with`](Self::start_with), but writes in tasks of the runtime instead of threads,
    /// so that everything happens in an order that depends on the runtime alone. A simulator needs
    /// that to repeat what it found. A commit holds up the runtime's thread.
    pub fn start_in_tasks(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> std::io::Result<Arc<Self>> {
        Self::start_on(store, clock, settings, LanesOn::Tasks)
    }

    fn start_on(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        lanes: LanesOn<'_>,
    ) -> std::io::Result<Arc<Self>> {
        let threads = store.needed_threads();
        let reader = Reader::start(Arc::clone(&store), Arc::clone(&clock), &threads);
        let (writer, finished) = Writer::start(
            &store,
            reader.catalogs(),
            &clock,
            (settings, WriterDeadlines::DEFAULT),
            lanes,
        )?;
        let access = Access::new(Arc::clone(&store), Arc::clone(&clock), settings);
        let people = PeopleOnNode::new(&store, &clock);
        Ok(Arc::new(Self {
            store,
            clock,
            settings,
            access,
            people,
            reader,
            writer,
            subscribers: SubscriberCounts::default(),
            simulations: Simulations::default(),
            threads,
            writer_finished: Mutex::new(Some(finished)),
            is_stopping: AtomicBool::new(false),
        }))
    }
}
