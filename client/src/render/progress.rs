//! How far an upload is: a bar on a terminal, a line now and then elsewhere.

use super::{Console, Verbosity, bytes, story::sent_line};
use crate::session::{self, Sent};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The progress of one upload.
pub struct Progress<'a> {
    console: &'a mut Console,
    bar: Option<ProgressBar>,
    total_bytes: u64,
    sent_bytes: u64,
    told: Instant,
}

impl<'a> Progress<'a> {
    pub fn new(console: &'a mut Console) -> Self {
        Self { console, bar: None, total_bytes: 0, sent_bytes: 0, told: Instant::now() }
    }

    fn line(&mut self) {
        let percent = self.sent_bytes.saturating_mul(100) / self.total_bytes.max(1);
        let (sent, total) = (bytes(self.sent_bytes), bytes(self.total_bytes));
        self.console.note(&format!("      {sent} of {total} ({percent} %)"));
    }
}

impl session::Progress for Progress<'_> {
    fn start(&mut self, total_bytes: u64, chunks: u64) {
        (self.total_bytes, self.sent_bytes, self.told) = (total_bytes, 0, Instant::now());
        let shown = self.console.verbosity > Verbosity::Quiet && !self.console.json;
        if chunks == 0 {
            self.console.note("Upload: the server has everything already");
        } else if shown && self.console.terminal {
            let bar = ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::stderr());
            let look = "Upload [{bar:30}] {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(look) {
                bar.set_style(style.progress_chars("=> "));
            }
            self.bar = Some(bar);
        } else {
            self.console
                .note(&format!("Upload: {} in {chunks} parts are new to the server", bytes(total_bytes)));
        }
    }

    fn sent(&mut self, count: u64) {
        self.sent_bytes += count;
        match &self.bar {
            Some(bar) => bar.set_position(self.sent_bytes),
            None if self.told.elapsed() >= LINE_EVERY => {
                self.told = Instant::now();
                self.line();
            }
            None => {}
        }
    }

    fn finish(&mut self, sent: &Sent) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if sent.chunks > 0 {
            self.console
                .note(&format!("Upload: {}", sent_line(sent.content_bytes, sent.bytes, sent.duration)));
        }
        if self.console.json {
            self.console.object(
                "uploaded",
                &Uploaded {
                    chunks: sent.chunks,
                    bytes: sent.bytes,
                    content_bytes: sent.content_bytes,
                    duration_ms: u64::try_from(sent.duration.as_millis()).unwrap_or(u64::MAX),
                },
            );
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.abandon();
        }
    }
}

#[derive(serde::Serialize)]
struct Uploaded {
    chunks: u64,
    bytes: u64,
    content_bytes: u64,
    duration_ms: u64,
}
