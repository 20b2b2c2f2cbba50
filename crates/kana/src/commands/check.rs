//! `kana check`: what is wrong with the database (contract: `operations.md`, "Backup, restore, check,
//! doctor").

use std::collections::HashMap;
use std::io::{BufWriter, Write as _};

use kana_service::{Clock as _, SystemClock};
use kana_store::check::Finding;
use kana_store::{PostgresStore, SqliteStore};

use super::{Failure, for_a_tool};
use crate::settings::DatabaseSettings;

/// How many findings of one check are shown. If there are more, their number is.
const SHOWN_MAX: u64 = 1000;

/// Prints a line for each finding. Returns true if there are none.
pub(crate) async fn run(settings: &DatabaseSettings, json: bool) -> Result<bool, Failure> {
    let mut report = Report::new(json);
    let mut found = |finding: Finding| report.add(&finding);
    let now = SystemClock.now();
    match &settings.database_url {
        Some(url) => {
            let store = PostgresStore::open_existing(url.reveal(), for_a_tool(settings)).await?;
            store.check(now, &mut found).await?;
        }
        None => SqliteStore::open_existing(&settings.data_dir)?.check(now, &mut found).await?,
    }
    report.finish().map_err(Failure::Output)
}

/// Findings on their way to standard output, as soon as they are found.
struct Report {
    json: bool,
    out: BufWriter<std::io::Stdout>,
    /// The first error; nothing is written after it.
    written: std::io::Result<()>,
    counts: HashMap<&'static str, u64>,
}

impl Report {
    fn new(json: bool) -> Self {
        let out = BufWriter::new(std::io::stdout());
        Self { json, out, written: Ok(()), counts: HashMap::new() }
    }

    fn add(&mut self, finding: &Finding) {
        let count = self.counts.entry(finding.check).or_default();
        *count += 1;
        if *count <= SHOWN_MAX {
            self.write(finding);
        }
    }

    fn write(&mut self, finding: &Finding) {
        if self.written.is_err() {
            return;
        }
        let line = if self.json {
            let separator = if self.counts.values().sum::<u64>() == 1 { "[" } else { ",\n " };
            serde_json::to_string(finding).map(|line| format!("{separator}{line}"))
        } else {
            let Finding { check, subject, found } = finding;
            // What a product named could hold anything.
            let subject: String = subject.escape_debug().collect();
            Ok(format!("{check}: {subject}: {}\n", found.escape_debug()))
        };
        let line = line.map_err(std::io::Error::other);
        self.written = line.and_then(|line| self.out.write_all(line.as_bytes()));
    }

    fn finish(mut self) -> std::io::Result<bool> {
        let mut more: Vec<_> = self.counts.iter().map(|(check, count)| (*check, *count)).collect();
        more.retain(|(_, count)| *count > SHOWN_MAX);
        more.sort_unstable();
        for (check, count) in more {
            let found = format!("{} more findings are not shown", count - SHOWN_MAX);
            self.write(&Finding { check, subject: "all".to_owned(), found });
        }
        let is_sound = self.counts.is_empty();
        self.written?;
        if self.json {
            self.out.write_all(if is_sound { b"[]\n" } else { b"]\n" })?;
        }
        self.out.flush()?;
        Ok(is_sound)
    }
}
