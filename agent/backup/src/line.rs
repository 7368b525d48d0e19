//! The lines that the child writes: any number of updates, then exactly one `done` or `failed`.

use crate::{BackupError, Phase, Progress, Update};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The longest line, either way, in bytes.
pub(crate) const LINE_BYTES: u64 = 16 * 1024 * 1024;
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// How many notes one request may write; a project with a million odd files must not flood its job.
const NOTES: usize = 100;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(crate) enum Line {
    Update { update: Update },
    Done { report: serde_json::Value },
    Failed { error: BackupError },
}

/// Where the child's lines go.
pub(crate) struct Outbox {
    state: Mutex<State>,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

struct State {
    out: Box<dyn Write + Send>,
    notes: usize,
    phase: Option<Phase>,
    told: Instant,
}

impl Outbox {
    pub(crate) fn new(out: impl Write + Send + 'static) -> Self {
        Self { state: Mutex::new(State { out: Box::new(out), notes: 0, phase: None, told: Instant::now() }) }
    }

    pub(crate) fn note(&self, text: impl Into<String>) {
        let mut state = self.lock();
        state.notes += 1;
        let text = match state.notes.cmp(&NOTES) {
            std::cmp::Ordering::Less => text.into(),
            std::cmp::Ordering::Equal => "more such notes follow, which are not told".to_owned(),
            std::cmp::Ordering::Greater => return,
        };
        state.write(&Line::Update { update: Update::Note { text } });
    }

    /// Tells progress, unless it was told just before.
    pub(crate) fn progress(&self, progress: Progress) {
        let mut state = self.lock();
        if state.phase == Some(progress.phase) && state.told.elapsed() < PROGRESS_EVERY {
            return;
        }
        state.phase = Some(progress.phase);
        state.told = Instant::now();
        state.write(&Line::Update { update: Update::Progress(progress) });
    }

    pub(crate) fn last(&self, line: &Line) {
        self.lock().write(line);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, line: &Line) {
        let Ok(mut json) = serde_json::to_vec(line) else { return };
        json.push(b'\n');
        // Nobody reads any more: the end of standard input ends this process, so there is nothing to do here.
        let _ = self.out.write_all(&json).and_then(|()| self.out.flush());
    }
}
