//! What a run has found, and whether it is good.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::faults::Fault;
use super::ledger::Audit;
use super::level::Level;

/// How long a server may take to end once it is asked to: what it promises, and a margin for a busy
/// machine.
pub(super) const END_WITHIN: Duration = Duration::from_secs(12);

/// Examples that are shown of what is wrong.
const EXAMPLES: usize = 3;

/// An ending by `SIGTERM`.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub(super) took: Duration,
    /// How it ended, in words, unless it was as it should.
    pub(super) wrong: Option<String>,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) audit: Audit,
    /// Users beside the ledger, and what differs of them from what was acknowledged.
    pub(super) guests: usize,
    pub(super) guests_differ: Vec<String>,
    pub(super) faults: BTreeMap<&'static str, Fault>,
    pub(super) panics: u64,
    pub(super) endings: Vec<Ending>,
    pub(super) kills: usize,
    /// How long each start took.
    pub(super) starts: Vec<Duration>,
    /// Anonymous resident memory in bytes, in the calm part.
    pub(super) memory: Vec<u64>,
    pub(super) judges_memory: bool,
    /// Open files after the warm-up and in the end, without clients.
    pub(super) open_files: (usize, usize),
    /// What `kana check` has found.
    pub(super) check: Vec<String>,
}

/// A line of the verdict. `holds` is `None` where nothing is judged.
struct Row {
    what: &'static str,
    found: String,
    must: &'static str,
    holds: Option<bool>,
}

impl Row {
    /// A list that must be empty.
    fn none(what: &'static str, list: &[String]) -> Self {
        let mut found = list.len().to_string();
        for example in list.iter().take(EXAMPLES) {
            // Writing to a text cannot fail.
            let _ = write!(found, "; {}", example.replace('|', "\\|"));
        }
        Self { what, found, must: "0", holds: Some(list.is_empty()) }
    }

    fn told(what: &'static str, found: String) -> Self {
        Self { what, found, must: "", holds: None }
    }
}

impl Findings {
    /// Whether everything is as it must be.
    pub(super) fn is_good(&self) -> bool {
        self.rows().iter().all(|row| row.holds != Some(false))
    }

    /// The verdict as a table in Markdown.
    pub(super) fn to_markdown(&self) -> String {
        let mut text = "| what | found | must be | holds |\n|---|---|---|---|\n".to_owned();
        for Row { what, found, must, holds } in self.rows() {
            let holds = match holds {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "",
            };
            // Writing to a text cannot fail.
            let _ = writeln!(text, "| {what} | {found} | {must} | {holds} |");
        }
        text
    }

    fn rows(&self) -> Vec<Row> {
        let audit = &self.audit;
        let (all, counting) = (audit.unanswered, audit.unanswered_that_count);
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|(kind, fault)| format!("{kind}, {} times: {}", fault.times, fault.first))
            .collect();
        vec![
            Row {
                what: "usage acknowledged",
                found: audit.acknowledged.to_string(),
                must: "some",
                holds: Some(audit.acknowledged > 0),
            },
            Row::told("usage without an answer", format!("{all}, of which {counting} count")),
            Row::none("acknowledged and lost", &audit.lost),
            Row::none("counted twice", &audit.doubled),
            Row::none("stored otherwise than sent or answered", &audit.invented),
            Row::none("refused with credits left", &audit.wrongly_refused),
            Row::none("users with a wrong sum", &audit.wrong_sums),
            Row::told("other users changed", self.guests.to_string()),
            Row::none("other users not as acknowledged", &self.guests_differ),
            Row::none("kinds of wrong answers", &faults),
            Row {
                what: "panics",
                found: self.panics.to_string(),
                must: "0",
                holds: Some(self.panics == 0),
            },
            self.endings(),
            Row::told("ended by `kill -9`", self.kills.to_string()),
            Row::told("slowest start", longest(&self.starts)),
            self.memory(),
            self.open_files(),
            Row::none("findings of `kana check`", &self.check),
        ]
    }

    fn endings(&self) -> Row {
        let wrong: Vec<&str> =
            self.endings.iter().filter_map(|ending| ending.wrong.as_deref()).collect();
        let times: Vec<Duration> = self.endings.iter().map(|ending| ending.took).collect();
        let mut found = format!("{}, the slowest {}", times.len(), longest(&times));
        for wrong in wrong.iter().take(EXAMPLES) {
            let _ = write!(found, "; {wrong}");
        }
        let in_time = times.iter().all(|took| *took <= END_WITHIN);
        Row {
            what: "ended by `SIGTERM`",
            found,
            must: "exit 0 within 10 s (and 2 s of margin)",
            holds: Some(wrong.is_empty() && in_time),
        }
    }

    fn memory(&self) -> Row {
        const WHAT: &str = "memory, first to last quarter of the calm half";
        let Some(level) = Level::of(&self.memory) else {
            return Row::told(WHAT, "too few samples".to_owned());
        };
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let (first, last, rise) = (mb(level.first), mb(level.last), level.rise_percent());
        let most = mb(self.memory.iter().copied().max().unwrap_or(0));
        let found = format!("{first:.1} to {last:.1} MB, {rise:+.1}%; at most {most:.1} MB");
        if self.judges_memory {
            let holds = Some(level.stays());
            Row { what: WHAT, found, must: "at most +10%", holds }
        } else {
            Row::told(WHAT, format!("{found}; too short to judge"))
        }
    }

    fn open_files(&self) -> Row {
        let (start, end) = self.open_files;
        Row {
            what: "open sockets and files without clients, before and after the calm half",
            found: format!("{start} and {end}"),
            must: "no more than before",
            holds: Some(end <= start),
        }
    }
}

fn longest(times: &[Duration]) -> String {
    let longest = times.iter().max().copied().unwrap_or_default();
    format!("{:.2} s", longest.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Findings {
        let ending = Ending { took: Duration::from_secs(1), wrong: None };
        Findings {
            audit: Audit { acknowledged: 9, ..Audit::default() },
            endings: vec![ending],
            memory: vec![100_000_000; 8],
            judges_memory: true,
            open_files: (20, 20),
            ..Findings::default()
        }
    }

    /// The lines that do not hold, after a change of what is good.
    fn failed(change: impl FnOnce(&mut Findings)) -> Vec<&'static str> {
        let mut findings = good();
        change(&mut findings);
        let rows = findings.rows();
        let failed: Vec<_> = rows.iter().filter(|row| row.holds == Some(false)).collect();
        assert_eq!(findings.is_good(), failed.is_empty());
        assert_eq!(findings.to_markdown().matches("**no**").count(), failed.len());
        failed.iter().map(|row| row.what).collect()
    }

    #[test]
    fn each_thing_that_is_wrong_fails_the_verdict() {
        assert!(good().is_good());
        let one = || vec!["a".to_owned()];
        assert_eq!(failed(|f| f.audit.acknowledged = 0), ["usage acknowledged"]);
        assert_eq!(failed(|f| f.audit.lost = one()), ["acknowledged and lost"]);
        assert_eq!(failed(|f| f.audit.doubled = one()), ["counted twice"]);
        assert_eq!(failed(|f| f.audit.invented = one()).len(), 1);
        assert_eq!(failed(|f| f.audit.wrongly_refused = one()).len(), 1);
        assert_eq!(failed(|f| f.audit.wrong_sums = one()), ["users with a wrong sum"]);
        assert_eq!(failed(|f| f.guests_differ = one()).len(), 1);
        assert_eq!(failed(|f| f.panics = 1), ["panics"]);
        assert_eq!(failed(|f| f.check = one()), ["findings of `kana check`"]);
        let fault = Fault { times: 2, first: "500".to_owned() };
        assert_eq!(failed(|f| f.faults = [("kind", fault)].into()), ["kinds of wrong answers"]);
    }

    #[test]
    fn a_bad_ending_fails_the_verdict() {
        let late = END_WITHIN + Duration::from_millis(1);
        assert_eq!(failed(|f| f.endings[0].took = late), ["ended by `SIGTERM`"]);
        let wrong = Some("exit 70".to_owned());
        assert_eq!(failed(|f| f.endings[0].wrong = wrong), ["ended by `SIGTERM`"]);
    }

    #[test]
    fn memory_that_grows_and_files_that_stay_open_fail_the_verdict() {
        let leak: Vec<u64> = (0..80).map(|n| 100_000_000 + n * 500_000).collect();
        assert_eq!(failed(|f| f.memory = leak.clone()).len(), 1);
        let short = |f: &mut Findings| (f.memory, f.judges_memory) = (leak.clone(), false);
        assert!(failed(short).is_empty());
        let falls: Vec<u64> = leak.iter().rev().copied().collect();
        assert!(failed(|f| f.memory = falls).is_empty());
        assert_eq!(failed(|f| f.open_files = (20, 21)).len(), 1);
        assert!(failed(|f| f.open_files = (20, 19)).is_empty());
    }
}
