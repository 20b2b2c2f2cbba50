//! The progress of an export, import or backup, shown on terminals only.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kana_store::transfer::Progress;

const RECORDS: &str = "{msg} {wide_bar} {human_pos}/{human_len} records, {eta}";
const PAGES: &str = "{msg} {wide_bar} {human_pos}/{human_len} pages, {eta}";
const BYTES: &str = "{msg} {wide_bar} {bytes}/{total_bytes}, {eta}";
const BYTES_OF_UNKNOWN: &str = "{msg} {spinner} {bytes}, {bytes_per_sec}";

/// A progress bar on standard error. Removed on drop.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(crate) fn of_records() -> Self {
        Self::new(Some(0), RECORDS, "exporting")
    }

    pub(crate) fn of_pages() -> Self {
        Self::new(Some(0), PAGES, "copying")
    }

    /// Shows how many pages of how many are copied.
    pub(crate) fn show_pages(&self, done: u64, all: u64) {
        self.bar.set_length(all);
        self.bar.set_position(done);
        if done == all {
            self.bar.set_message("checking");
        }
    }

    /// Creates a bar for a file whose size may be known.
    pub(crate) fn of_bytes(bytes: Option<u64>) -> Self {
        let style = if bytes.is_some() { BYTES } else { BYTES_OF_UNKNOWN };
        Self::new(bytes, style, "importing")
    }

    fn new(length: Option<u64>, style: &str, message: &'static str) -> Self {
        // It draws nothing if there is no terminal.
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
        let bar = Self { bar: bar.with_message(message) };
        bar.set_style(style);
        bar
    }

    fn set_style(&self, style: &str) {
        if let Ok(style) = ProgressStyle::with_template(style) {
            self.bar.set_style(style);
        }
    }

    pub(crate) fn show(&self, progress: Progress) {
        match progress {
            Progress::Exported(records, expected) => {
                self.bar.set_length(expected);
                self.bar.set_position(records);
            }
            Progress::Imported(bytes) => self.bar.set_position(bytes),
            Progress::Checked(records, all) => {
                if self.bar.message() != "checking" {
                    self.bar.set_message("checking");
                    self.bar.reset();
                    self.set_style(RECORDS);
                }
                self.bar.set_length(all);
                self.bar.set_position(records);
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
